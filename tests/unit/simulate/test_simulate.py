"""What is simulated is deterministic, valid, allowed to its offices, and accepted in the end: by the services' own rules."""

import hashlib
import json
import unicodedata
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from services.certification import domain as certification
from services.certification import rules as certification_rules
from services.certification.awards import Cohort, Trainee, World
from services.demo import offices_of
from services.enrolment.domain import Entry, Known
from services.enrolment.facts import components
from services.enrolment.fold import Folded
from services.enrolment.fold import fold as fold_cohort
from services.enrolment.register import Register
from services.enrolment.rules import refusal_of
from services.eventfiles import Line
from services.invented import LANDS
from services.simulate import simulate
from shared.events import offices_to_certification, offices_to_enrolment
from shared.events.envelope import Event, canonical, read_event
from shared.events.wire import Raw

TRAINEES = 400
REGISTER = Register(b"\x01" * 32)
# What no event may depend on is the day on which it was simulated.
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def told() -> list[dict[str, Any]]:
    return list(simulate(TRAINEES, 7))


def test_the_same_seed_gives_the_same_bytes_on_every_machine() -> None:
    text = b"".join(canonical(event) for event in simulate(60, 1))
    assert hashlib.sha256(text).hexdigest() == "31d39362f4f79284f60fc39eb5d970f1dfd99b6cee18586224ff5b5b6a63e412"
    assert list(simulate(60, 2)) != list(simulate(60, 1))


def test_so_many_trainees_are_enrolments(told: list[dict[str, Any]]) -> None:
    assert Counter(event["type"] for event in told)["trainee.proposed.v1"] == TRAINEES
    assert [Counter(event["type"] for event in simulate(1, 1))["trainee.proposed.v1"], list(simulate(0, 1))] == [1, []]


def test_events_come_in_the_order_in_which_they_happened_and_have_ids_of_their_own(told: list[dict[str, Any]]) -> None:
    moments = [datetime.fromisoformat(event["time"]) for event in told]
    assert moments == sorted(moments)
    assert len({(event["source"], event["id"]) for event in told}) == len(told)


def test_all_but_suspending_revoking_cancelling_and_deciding_about_persons_happens(told: list[dict[str, Any]]) -> None:
    types = {*offices_to_enrolment.TYPES, *offices_to_certification.TYPES}
    never = {"certificate.suspended.v1", "certificate.reinstated.v1", "certificate.revoked.v1", "cohort.cancelled.v1"}
    never |= {"consent.withdrawn.v1", "person.merged.v1", "person.parted.v1", "person.forgotten.v1"}
    never |= {"recognition.granted.v1", "recognition.withdrawn.v1"}  # each needs a source, and none is invented
    assert {event["type"] for event in simulate(2000, 1)} == types - never


def test_names_are_written_in_the_scripts_of_their_countries() -> None:
    scripts = {"km": "KHMER", "lo": "LAO", "my": "MYANMAR"}
    for land in LANDS:
        for original, romanised in (*land.women, *land.men, *land.families):
            assert all(unicodedata.name(letter).startswith(scripts[land.language]) for letter in original), original
            assert romanised.isascii()
            assert romanised.isalpha()


def test_some_come_back_for_the_next_level(told: list[dict[str, Any]]) -> None:
    persons = Counter(
        event["data"]["person"]["identifiers"][0]["number"] for event in told if event["type"] == "trainee.enrolled.v1"
    )
    assert max(persons.values()) > 1


def test_every_event_is_valid_and_its_office_may_say_it(told: list[dict[str, Any]]) -> None:
    roles = offices_of([_line(event) for event in told])
    for event in told:
        read = _read(event)
        own = frozenset(roles[read.source])
        if event["type"] in offices_to_enrolment.TYPES:
            assert refusal_of(read, own, administrator=False) is None
        else:
            assert certification_rules.refusal(read, own) is None


def test_every_event_is_accepted_in_the_end(told: list[dict[str, Any]]) -> None:
    """By enrolment's fold of each cohort, and by certification's fold of what follows."""
    events = [_read(event) for event in told]
    ours = [REGISTER.entry(event) for event in events if event.type in offices_to_enrolment.TYPES]
    folded = _fold(ours)
    assert {standing.status for unit in folded for standing in unit.standings.values()} == {"accepted"}
    assert sum(len(unit.standings) for unit in folded) == len(ours)

    theirs = [event for event in events if event.type not in offices_to_enrolment.TYPES]
    schemes = certification.fold_schemes(theirs)
    decided = certification.fold(theirs, World(*_known(folded), schemes.schemes))
    outcomes = decided.outcomes | schemes.outcomes
    assert {(outcome.status, outcome.code) for outcome in outcomes.values()} <= {
        ("accepted", "applied"),
        ("accepted", "replaced"),
    }
    assert len(outcomes) == len(theirs)


def _read(event: dict[str, Any]) -> Event:
    types = {**offices_to_certification.TYPES, **offices_to_enrolment.TYPES}
    read = read_event(Raw(1, event), types=types, elsewhere={}, now=NOW)
    assert isinstance(read, Event), read
    return read


def _fold(entries: list[Entry]) -> list[Folded]:
    units: dict[str, list[Entry]] = {}
    cohorts = {entry.ref: entry.cohort for entry in entries}
    for entry in entries:
        cohort = cohorts[entry.voids] if entry.voids else entry.cohort
        units.setdefault(cohort or f"{entry.type} {entry.id}", []).append(entry)
    registered = {need for entry in entries for need in entry.needs}
    return [fold_cohort(unit, Known(frozenset(registered))) for unit in units.values()]


def _known(folded: list[Folded]) -> tuple[dict[str, Trainee], dict[str, Cohort]]:
    enrolments = [enrolment for unit in folded for enrolment in unit.state.enrolments.values()]
    persons = components((one.enrolment, link) for one in enrolments for link in one.links)
    trainees = {
        one.enrolment: Trainee(
            one.enrolment,
            one.cohort,
            one.number,
            persons.get(one.enrolment, one.enrolment),
            one.country,
            "in-force" if one.completed else "none",
            one.completed,
        )
        for one in enrolments
    }
    cohorts = {
        held.terms.cohort: Cohort(
            held.terms.cohort,
            held.terms.timezone,
            frozenset((party.office, party.role) for party in held.terms.parties),
        )
        for unit in folded
        if (held := unit.state.cohort)
    }
    return trainees, cohorts


def _line(event: dict[str, Any]) -> Line:
    return Line("simulated.ndjson", 1, "enrolment", event["source"], json.dumps(event).encode())
