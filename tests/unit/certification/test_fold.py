"""Whatever the set: its order does not matter, nothing in it is lost, and what does not belong together stays apart."""

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from services.certification.awards import World
from services.certification.domain import Decided, fold, fold_schemes, units
from shared.events.envelope import Event
from shared.events.offices_to_certification import AwardRef
from tests.unit.certification.strategies import event_sets, worlds


@settings(max_examples=150, deadline=None)
@given(event_sets(), worlds(), st.randoms(use_true_random=False))
def test_any_order_gives_the_same(events: list[Event], world: World, chance: random.Random) -> None:
    shuffled = events[:]
    chance.shuffle(shuffled)
    assert fold(shuffled, world) == fold(events, world)


@settings(max_examples=150, deadline=None)
@given(event_sets(), worlds())
def test_every_event_has_its_standing(events: list[Event], world: World) -> None:
    assert set(fold(events, world).outcomes) == {event.ref for event in events}


@settings(max_examples=150, deadline=None)
@given(event_sets(), worlds())
def test_units_do_not_touch_each_other(events: list[Event], world: World) -> None:
    apart = Decided()
    for unit in units(events, world):
        decided = fold(unit, world)
        apart.outcomes.update(decided.outcomes)
        apart.certificates.update(decided.certificates)
    assert apart == fold(events, world)


@settings(max_examples=150, deadline=None)
@given(event_sets(), worlds())
def test_what_no_person_may_have(events: list[Event], world: World) -> None:
    certificates = fold(events, world).certificates.values()
    live = Counter(
        (fact.person, fact.scheme, fact.occupation, fact.level)
        for fact in certificates
        if fact.status in ("issued", "suspended")
    )
    assert not live or max(live.values()) == 1
    holders: dict[str, set[tuple[str, str]]] = {}
    for fact in certificates:
        if fact.number:
            holders.setdefault(fact.number, set()).add((fact.enrolment, fact.level))
    assert all(len(of) == 1 for of in holders.values())
    for fact in certificates:
        assert (fact.awarded_on is None) == (fact.status in ("assessed", "eligible"))


@settings(max_examples=100, deadline=None)
@given(event_sets(schemes=True), st.randoms(use_true_random=False))
def test_schemes_in_any_order(events: list[Event], chance: random.Random) -> None:
    folded = fold_schemes(events)
    chance.shuffle(events)
    assert fold_schemes(events) == folded
    assert set(folded.outcomes) == {event.ref for event in events if event.type == "scheme.registered.v1"}
    assert not any(isinstance(event.data, AwardRef) for event in events if event.ref in folded.outcomes)
