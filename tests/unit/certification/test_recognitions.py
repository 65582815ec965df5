"""What countries recognise, and what they did: one thing at a time, whatever the order in which it is said."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.certification.domain import Recognitions, fold_recognitions
from services.certification.recognising import RECOGNITIONS_LIMIT, recognised_by
from services.certification.rules import refusal
from shared.events.certification import RecognitionFact, SchemeFact
from shared.events.envelope import Event
from shared.events.offices_to_certification import RecognitionGranted
from tests.properties import examples
from tests.unit.certification.given import (
    AUTHORITY,
    BODY,
    awarded,
    day,
    recognised,
    registered,
    scheme_data,
    voided,
    withdrawn,
)

SCHEMES = {"vslc": SchemeFact(**scheme_data(), office=BODY, status="registered")}
LAO = "/offices/la/ministry"


def fold(*events: Event) -> Recognitions:
    return fold_recognitions(events, SCHEMES)


def codes(folded: Recognitions, *ids: str) -> list[str]:
    found = {ref[1]: outcome for ref, outcome in folded.outcomes.items()}
    return [found[name].code for name in ids]


def on(folded: Recognitions, number: int) -> list[str]:
    """The levels that hold on a day."""
    return sorted(
        fact.framework_level
        for fact in folded.recognitions.values()
        if fact.starts_on <= day(number) <= (fact.ends_on or day(999))
    )


class TestOneRecognition:
    def test_it_is_its_authoritys_countrys(self) -> None:
        (fact,) = fold(recognised("r", 2, starts=1)).recognitions.values()
        assert (fact.country, fact.framework, fact.framework_level, fact.degree) == ("KH", "cqf", "3", "equal")
        assert (fact.starts_on, fact.ends_on, fact.status, fact.office) == (day(1), None, "granted", AUTHORITY)

    def test_it_may_begin_later_than_it_is_said(self) -> None:
        folded = fold(recognised("r", 2, starts=20))
        assert (on(folded, 19), on(folded, 20)) == ([], ["3"])

    def test_its_withdrawal_keeps_what_was(self) -> None:
        folded = fold(recognised("r", 2, starts=1), withdrawn("w", 9, ends=10))
        (fact,) = folded.recognitions.values()
        assert (fact.status, fact.ends_on, fact.reason) == ("withdrawn", day(10), "reformed")
        assert (on(folded, 10), on(folded, 11)) == (["3"], [])

    def test_a_withdrawal_waits_for_what_it_ends(self) -> None:
        assert codes(fold(withdrawn("w", 9, ends=10)), "w") == ["recognition_unknown"]
        assert codes(fold(withdrawn("w", 9, ends=10), recognised("r", 12, starts=1)), "w", "r") == ["applied"] * 2
        assert codes(fold(withdrawn("w", 9, ends=10), recognised("r", 12, starts=11)), "w") == ["recognition_unknown"]

    def test_what_was_limited_is_not_made_longer(self) -> None:
        folded = fold(recognised("r", 2, starts=1, ends=10), withdrawn("w", 3, ends=20))
        assert codes(folded, "w") == ["recognition_unknown"]
        assert on(folded, 11) == []

    def test_it_ends_once(self) -> None:
        folded = fold(recognised("r", 2, starts=1), withdrawn("w", 9, ends=10), withdrawn("x", 10, ends=8))
        assert codes(folded, "x") == ["recognition_already_withdrawn"]
        assert on(folded, 10) == ["3"]

    def test_a_correction_is_one_step_and_a_void_takes_it_back(self) -> None:
        first = recognised("r", 2, starts=1)
        folded = fold(first, recognised("s", 3, starts=1, replaces="r", framework_level="4"))
        assert (codes(folded, "r", "s"), on(folded, 1)) == (["replaced", "applied"], ["4"])
        folded = fold(first, voided("v", 4, first))
        assert (codes(folded, "r"), folded.recognitions) == (["voided"], {})


class TestTwo:
    def test_the_first_of_two_on_the_same_days_stays(self) -> None:
        folded = fold(recognised("r", 2, starts=1), recognised("s", 3, starts=20, framework_level="4"))
        assert (codes(folded, "r", "s"), on(folded, 20)) == (["applied", "recognition_overlaps"], ["3"])

    def test_one_after_the_other(self) -> None:
        folded = fold(
            recognised("r", 2, starts=1),
            recognised("s", 3, starts=20, framework_level="4", degree="partial"),
            withdrawn("w", 4, ends=19),
        )
        assert codes(folded, "r", "s", "w") == ["applied"] * 3
        assert (on(folded, 19), on(folded, 20)) == (["3"], ["4"])
        withdrawn_too = [withdrawn("x", 30, ends=25)]
        again = fold(
            *[recognised("r", 2, starts=1), recognised("s", 3, starts=20, framework_level="4")], *withdrawn_too
        )
        assert codes(again, "s") == ["recognition_overlaps"]

    def test_another_country_or_framework_is_another_matter(self) -> None:
        folded = fold(
            recognised("r", 2, starts=1),
            recognised("s", 2, starts=1, framework="sector-framework", framework_level="B"),
            recognised("t", 2, starts=1, source=LAO, framework_level="2"),
        )
        assert on(folded, 1) == ["2", "3", "B"]
        assert {fact.country for fact in folded.recognitions.values()} == {"KH", "LA"}

    def test_nobody_ends_what_another_country_recognises(self) -> None:
        folded = fold(recognised("r", 2, starts=1), withdrawn("w", 3, ends=9, source=LAO))
        assert (codes(folded, "w"), on(folded, 30)) == (["recognition_unknown"], ["3"])

    def test_another_authority_of_the_country_ends_it(self) -> None:
        folded = fold(recognised("r", 2, starts=1), withdrawn("w", 3, ends=9, source="/offices/kh/new-authority"))
        assert on(folded, 10) == []


class TestWhatItNeeds:
    def test_a_scheme_that_is_not_registered(self) -> None:
        assert fold_recognitions([recognised("r", 2, starts=1)], {}).outcomes[AUTHORITY, "r"].status == "waiting"

    def test_an_occupation_and_a_level_of_the_scheme(self) -> None:
        folded = fold(recognised("r", 2, starts=1, occupation="welder"), recognised("s", 2, starts=1, level="chief"))
        assert codes(folded, "r", "s") == ["occupation_unknown", "level_unknown"]

    def test_a_country_to_speak_for(self) -> None:
        assert codes(fold(recognised("r", 2, starts=1, source="/offices/zz/nowhere")), "r") == ["not_a_country"]

    def test_the_role_of_an_authority(self) -> None:
        authority, body = frozenset({"recognition-authority"}), frozenset({"awarding-body"})
        grant = recognised("r", 2, starts=1)
        assert (refusal(grant, authority), refusal(grant, body)) == (None, "role_not_allowed")
        assert refusal(withdrawn("w", 2, ends=1), body) == "role_not_allowed"
        assert refusal(voided("v", 3, grant), authority) is None
        assert refusal(voided("v", 3, grant), body) == "role_not_allowed"
        assert refusal(registered("s", 1), authority) == "role_not_allowed"

    def test_a_national_framework(self) -> None:
        """The AQRF is reached through a national framework that is referenced to it, never directly."""
        with pytest.raises(ValidationError, match="national framework"):
            recognised("r", 2, starts=1, framework="aqrf")
        referenced = {"framework": "aqrf", "level": "3", "source": "Invented referencing report"}
        data = recognised("r", 2, starts=1, referenced=referenced).data
        assert isinstance(data, RecognitionGranted)
        assert data.referenced
        assert data.referenced.level == "3"

    def test_days_in_order(self) -> None:
        with pytest.raises(ValidationError, match="ends_on lies before starts_on"):
            recognised("r", 2, starts=5, ends=4)


@st.composite
def sayings(draw: st.DrawFn, name: str) -> Event:
    source = draw(st.sampled_from((AUTHORITY,) * 3 + (LAO,)))
    days = st.integers(1, 9)
    common = {"source": source, "level": draw(st.sampled_from(("junior",) * 4 + ("senior", "chief")))}
    if draw(st.booleans()):
        return withdrawn(name, draw(days), draw(days), **common)
    starts, length = draw(days), draw(st.sampled_from((None, None, 0, 3)))
    ends = None if length is None else starts + length
    return recognised(name, draw(days), starts, ends, framework_level=name, **common)


@st.composite
def sets(draw: st.DrawFn) -> list[Event]:
    """Events on recognitions that get in each other's way, with voids and replacements of them."""
    events = [draw(sayings(f"e{place}")) for place in range(draw(st.integers(1, 12)))]
    for place in range(draw(st.integers(0, 5))):
        target = draw(st.sampled_from(events))
        if target.type == "event.voided.v1" or draw(st.booleans()):
            events.append(voided(f"v{place}", draw(st.integers(1, 9)), target))
        else:
            other = draw(sayings(f"r{place}"))
            events.append(Event(target.source, other.id, other.type, other.time, other.data, {}, target.id))
    return events


@examples(80)
@given(sets(), st.randoms(use_true_random=False))
def test_any_order_gives_the_same(events: list[Event], chance: random.Random) -> None:
    shuffled = events[:]
    chance.shuffle(shuffled)
    assert fold(*shuffled) == fold(*events)


@examples(80)
@given(sets())
def test_every_event_has_its_standing_and_nothing_is_recognised_twice(events: list[Event]) -> None:
    folded = fold(*events)
    assert set(folded.outcomes) == {event.ref for event in events if event.type != "event.voided.v1"}
    by_what: dict[object, list[RecognitionFact]] = {}
    for fact in folded.recognitions.values():
        by_what.setdefault((fact.country, fact.level), []).append(fact)
    for facts in by_what.values():
        ordered = sorted(facts, key=lambda fact: fact.starts_on)
        for one, other in pairwise(ordered):
            assert one.ends_on is not None
            assert one.ends_on < other.starts_on


@examples(80)
@given(sets())
def test_what_is_about_something_else_changes_nothing(events: list[Event]) -> None:
    apart = Recognitions()
    voids = [event for event in events if event.type == "event.voided.v1"]
    sayings_only = [event for event in events if event.type != "event.voided.v1"]
    if any(event.replaces for event in sayings_only):
        return  # a replacement may carry an event from one matter to another
    for what in {recognised_by(event) for event in sayings_only}:
        folded = fold(*[event for event in sayings_only if recognised_by(event) == what], *voids)
        apart.outcomes.update(folded.outcomes)
        apart.recognitions.update(folded.recognitions)
    assert apart == fold(*events)


def test_awards_among_the_events_are_passed_over() -> None:
    assert fold(awarded("c", 14), recognised("r", 2, starts=1)).outcomes.keys() == {(AUTHORITY, "r")}


def test_one_country_cannot_make_it_costly() -> None:
    events = [recognised(f"r{number}", 1, starts=1) for number in range(2000)]
    events += [withdrawn(f"w{number}", 2, ends=1) for number in range(2000)]
    assert len(fold(*events).recognitions) == 1
    many = [recognised(f"r{number}", 1, starts=number + 1, ends=number + 1) for number in range(60)]
    folded = fold(*many)
    assert len(folded.recognitions) == RECOGNITIONS_LIMIT
    assert sum(outcome.code == "recognitions_limit_reached" for outcome in folded.outcomes.values()) == 10
