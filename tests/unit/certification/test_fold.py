"""Whatever the set: its order does not matter, nothing in it is lost, and what does not belong together stays apart."""

import random
from collections import Counter
from datetime import date
from itertools import pairwise
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from services.certification import domain
from services.certification.awards import World
from services.certification.domain import Decided, fold, fold_schemes, units
from services.certification.rules import GUARDS, LIFTS, OF_REPLACEMENTS
from shared.events.envelope import Event
from shared.events.offices_to_certification import AwardRef
from tests.properties import examples
from tests.unit.certification.given import awarded, numbered, standing, suspended
from tests.unit.certification.given import world as a_world
from tests.unit.certification.strategies import FAR_APART, event_sets, worlds


@examples(60)
@given(event_sets(), worlds(), st.randoms(use_true_random=False))
def test_any_order_gives_the_same(events: list[Event], world: World, chance: random.Random) -> None:
    shuffled = events[:]
    chance.shuffle(shuffled)
    assert fold(shuffled, world) == fold(events, world)


@examples(60)
@given(event_sets(), worlds())
def test_every_event_has_its_standing(events: list[Event], world: World) -> None:
    assert set(fold(events, world).outcomes) == {event.ref for event in events}


@examples(60)
@given(event_sets(), worlds())
def test_units_do_not_touch_each_other(events: list[Event], world: World) -> None:
    apart = Decided()
    for unit in units(events, world):
        decided = fold(unit, world)
        apart.outcomes.update(decided.outcomes)
        apart.certificates.update(decided.certificates)
    assert apart == fold(events, world)


@examples(60)
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


@examples(120)
@given(event_sets(days=FAR_APART), worlds(months=st.just(1)))
def test_what_no_person_may_have_on_any_day(events: list[Event], world: World) -> None:
    live: dict[tuple[str, ...], list[tuple[date, date]]] = {}
    for fact in fold(events, world).certificates.values():
        if fact.status in ("issued", "suspended"):
            assert fact.awarded_on is not None
            assert fact.valid_until is not None
            award = (fact.person, fact.scheme, fact.occupation, fact.level)
            live.setdefault(award, []).append((fact.awarded_on, fact.valid_until))
    for held in live.values():
        assert all(first[1] < second[0] for first, second in pairwise(sorted(held)))


@examples(40)
@given(event_sets(schemes=True), st.randoms(use_true_random=False))
def test_schemes_in_any_order(events: list[Event], chance: random.Random) -> None:
    folded = fold_schemes(events)
    chance.shuffle(events)
    assert fold_schemes(events) == folded
    assert set(folded.outcomes) == {event.ref for event in events if event.type == "scheme.registered.v1"}
    assert not any(isinstance(event.data, AwardRef) for event in events if event.ref in folded.outcomes)


@examples(60)
@given(event_sets(most=20), worlds())
def test_trying_again_only_what_may_fit_misses_nothing(events: list[Event], world: World) -> None:
    decided = fold(events, world)
    everything = dict.fromkeys(LIFTS, frozenset(GUARDS))
    with patch.object(domain, "LIFTS", everything), patch.object(domain, "_same_award", lambda *_: ()):
        assert fold(events, world) == decided


@examples(40)
@given(event_sets(schemes=True), worlds())
def test_what_a_replacement_may_meet_besides(events: list[Event], world: World) -> None:
    others = {guard.code for guards in GUARDS.values() for guard in guards} | {"scheme_already_registered"}
    outcomes = fold(events, world).outcomes | fold_schemes(events).outcomes
    met = {outcomes[event.ref] for event in events if event.replaces and outcomes[event.ref].status == "conflict"}
    assert {outcome.code for outcome in met} - others <= set(OF_REPLACEMENTS)


def test_thousands_of_events_on_one_award_are_decided_at_once() -> None:
    events = [awarded("c", 1, printed="S-1"), *(numbered(f"n{number}", 2, "S-2") for number in range(2000))]
    events += [suspended(f"s{number}", 3) for number in range(2000)]
    # Trying every waiting event after every applied one took minutes; the test's own time limit holds this.
    assert standing(fold(events, a_world()), "n1999", "s1999") == ["conflict already_numbered", "accepted"]
