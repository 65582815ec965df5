"""Every type of event can be voided, brought back by a void of that void, and replaced, in whatever order all of it arrives."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.certification.awards import Ref, World
from services.certification.domain import Outcome, Schemes, fold, fold_schemes
from services.certification.rules import RANKS
from shared.events.certification import CertificateFact
from shared.events.envelope import Event
from tests.unit.certification.given import (
    assessed,
    awarded,
    certificates,
    day,
    numbered,
    registered,
    reinstated,
    replaced,
    revoked,
    standing,
    suspended,
    trainee,
    voided,
    world,
)

STORY = [
    registered("s", 1),
    assessed("a", 2),
    awarded("c", 3),
    numbered("n", 4, "S-1"),
    suspended("stop", 5),
    reinstated("go", 6),
    replaced("lost", 7, "S-2"),
    revoked("end", 8),
]
TYPES = sorted(type_ for type_ in set(RANKS) - {"event.voided.v1"} if not type_.startswith("recognition."))
"""Recognitions have no part in the story of a certificate: see test_recognitions."""
WORLD: World = world()


def decided(events: list[Event]) -> tuple[dict[Ref, Outcome], dict[str, CertificateFact], Schemes]:
    awards, schemes = fold(events, WORLD), fold_schemes(events)
    return awards.outcomes | schemes.outcomes, awards.certificates, schemes


def of(type_: str) -> Event:
    return next(event for event in STORY if event.type == type_)


def correction(event: Event, *, replaces: bool) -> Event:
    target = event.id if replaces else None
    return Event(event.source, "right", event.type, event.time, event.data, {}, target)


def test_the_story_has_every_type() -> None:
    assert {event.type for event in STORY} == set(TYPES)
    assert {outcome.code for outcome in decided(STORY)[0].values()} == {"applied"}


@pytest.mark.parametrize("type_", TYPES)
@settings(max_examples=8)
@given(data=st.data())
def test_voided_and_brought_back(type_: str, data: st.DataObject) -> None:
    target = of(type_)
    void = voided("void", 9, target)
    back = voided("back", 10, void)
    outcomes, certificates, _ = decided(data.draw(st.permutations([*STORY, void])))
    assert outcomes[target.ref] == ("accepted", "voided")
    assert outcomes[void.ref] == ("accepted", "applied")
    if type_ not in (
        "trainee.assessed.v1",
        "scheme.registered.v1",
    ):  # a pass that is gone is remembered; see test_domain
        assert certificates == decided([event for event in STORY if event is not target])[1]
    outcomes, *state = decided(data.draw(st.permutations([*STORY, void, back])))
    before, *as_before = decided(STORY)
    assert [state[0], state[1].schemes] == [as_before[0], as_before[1].schemes]
    assert {ref: outcomes[ref] for ref in before} == before
    assert outcomes[void.ref] == ("accepted", "voided")


@pytest.mark.parametrize("type_", TYPES)
@settings(max_examples=8)
@given(data=st.data())
def test_replaced(type_: str, data: st.DataObject) -> None:
    target = of(type_)
    right, plain = correction(target, replaces=True), correction(target, replaces=False)
    outcomes, certificates, schemes = decided(data.draw(st.permutations([*STORY, right])))
    expected = decided([*(event for event in STORY if event is not target), plain])
    assert outcomes[target.ref] == ("accepted", "replaced")
    assert outcomes[right.ref] == expected[0][right.ref]
    assert (certificates, schemes.schemes) == (expected[1], expected[2].schemes)
    outcomes, certificates, schemes = decided(data.draw(st.permutations([*STORY, right, voided("void", 9, right)])))
    before = decided(STORY)
    assert {ref: outcomes[ref] for ref in before[0]} == before[0]
    assert (certificates, schemes.schemes) == (before[1], before[2].schemes)


def test_a_later_pass_leaves_a_certificate_on_its_day_where_it_would_meet_another() -> None:
    known = world(trainee("001", "ann"), trainee("002", "ann"), rule="on_pass", valid_months=1)
    first, second = assessed("first", 14), assessed("second", 50, number="002")
    events = [first, voided("v", 60, first), second, assessed("third", 51, attempt=2)]
    held = [(fact.trainee, fact.status, fact.awarded_on) for fact in certificates(fold(events, known))]
    assert held == [("001", "issued", day(14)), ("002", "issued", day(50))]


def test_an_expired_certificate_stays_in_the_way_of_one_for_its_own_days() -> None:
    known = world(valid_months=1)
    events = [awarded("a", 14), awarded("b", 15), awarded("c", 60), revoked("r", 61)]
    decided = fold(events, known)
    assert standing(decided, "a", "b", "c") == ["accepted", "conflict already_certified", "accepted"]
    assert [fact.status for fact in certificates(decided)] == ["issued", "revoked"]
