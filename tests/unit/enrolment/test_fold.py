"""The same set of events gives the same state and standings, in whatever order, number and portions they arrive."""

import itertools
from dataclasses import replace
from random import Random
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from services.enrolment import fold as fold_module
from services.enrolment import rules
from services.enrolment.domain import APPLIED, Entry, Known, Ref, Standing, State
from services.enrolment.fold import SESSION, Folded, Later, advance, advance_late, fold, late, linked
from services.enrolment.rules import GUARDS, judge
from tests.properties import examples
from tests.unit.enrolment.story import (
    COORDINATOR,
    HOST,
    KNOWN,
    SENDER,
    STRANGER,
    announced,
    cohort,
    completed,
    entry,
    forgotten,
    on,
    person,
    proposed,
    session,
    started,
    trainee,
    voided,
    whole,
)

PARTIES = [*announced()["data"]["parties"], {"office": STRANGER, "role": "sending-office"}]
WITHOUT_SENDER = [party for party in PARTIES if party["office"] != SENDER]

numbers = st.sampled_from(["01", "02", "03"])
days = st.integers(1, 60)
senders = st.sampled_from([SENDER, STRANGER])


def _with_id(event: dict[str, Any], n: int) -> dict[str, Any]:
    return {**event, "id": f"{n:04}"}


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """Any event of the cohort, at any time: most of them in each other's way."""
    day, number, sender = draw(days), draw(numbers), draw(senders)
    kinds = [
        lambda: announced(
            draw(st.integers(1, 3)), parties=draw(st.sampled_from([PARTIES, PARTIES[:3], WITHOUT_SENDER]))
        ),
        lambda: cohort("cohort.changed", day, COORDINATOR, parties=draw(st.sampled_from([PARTIES, PARTIES[:2]]))),
        lambda: proposed(number, day, sender, person=person(draw(st.sampled_from("ab")))),
        lambda: proposed(number, day, SENDER, person=None),
        lambda: trainee("trainee.enrolled", number, day, sender),
        lambda: {**proposed(number, day, sender), "type": "trainee.enrolled.v1"},
        lambda: trainee("trainee.declined", number, day, HOST, reason="visa"),
        lambda: trainee("person.corrected", number, day, sender, sex=draw(st.sampled_from("FM"))),
        lambda: started(day, not_arrived=draw(st.sampled_from([[], ["03"]]))),
        lambda: session(draw(st.integers(1, 3)), day, absent=[number]),
        lambda: trainee("trainee.withdrawn", number, day, sender, date=on(day), reason="family"),
        lambda: completed(number, day),
        lambda: cohort("cohort.closed", day, date=on(day)),
        lambda: cohort("cohort.cancelled", day, reason="flood"),
        lambda: trainee("competitor.nominated", number, day, sender, competition="asean", skill="18"),
        lambda: trainee("competitor.placed", number, day, sender, competition="asean", skill="18", medal="gold"),
        lambda: trainee("outcome.reported", number, day, date=on(day), months_after=1, outcome="employed"),
        lambda: trainee("consent.withdrawn", number, day, sender, date=on(day), by="self", purposes=["photos"]),
        lambda: forgotten(number, day, sender),
    ]
    return draw(st.sampled_from(kinds))()


@st.composite
def journals(draw: st.DrawFn) -> list[Entry]:
    """A set of events with voids, voids of voids and replacements among them."""
    said = [_with_id(event, n) for n, event in enumerate(draw(st.lists(events(), max_size=25)))]
    if draw(st.booleans()):
        said = [_with_id(event, 500 + n) for n, event in enumerate(whole())] + said
    acts: list[dict[str, Any]] = []
    for n in range(draw(st.integers(0, 6)) if said else 0):
        target = draw(st.sampled_from([*said, *acts, *acts]))
        if target["type"] == "event.voided.v1" or draw(st.booleans()):
            acts.append(_with_id(voided(target, 60 + n), 900 + n))
        else:
            acts.append({**_with_id(target, 900 + n), "replaces": target["id"]})
    return [entry(event) for event in said + acts]


@examples(120)
@given(journal=journals(), data=st.data())
def test_any_order_gives_the_same(journal: list[Entry], data: st.DataObject) -> None:
    expected = fold(journal, KNOWN)
    shuffled = data.draw(st.permutations(journal))
    assert fold(shuffled, KNOWN) == expected
    assert set(expected.standings) == {event.ref for event in journal}


@examples(120)
@given(journal=journals(), cut=st.integers(0, 40))
def test_the_short_way_equals_the_whole_fold(journal: list[Entry], cut: int) -> None:
    acts = {event.acts_on for event in journal} | {event.ref for event in journal if event.acts_on}
    ordered = sorted(journal, key=lambda event: event.order)
    before, after = ordered[:cut], ordered[cut:]
    # What acts or is acted on goes the long way: here only what came before the cut may.
    after = [event for event in after if event.ref not in acts]
    before_all = [event for event in before if event.acts_on is None or event.acts_on in {e.ref for e in before}]
    if any(event.acts_on in {e.ref for e in after} for event in before_all):
        return
    expected = fold([*before_all, *after], KNOWN)
    first = fold(before_all, KNOWN)
    second = advance(first.state, after, KNOWN)
    standings: dict[Ref, Standing] = {**first.standings, **second.standings}
    assert second.state == expected.state
    assert standings == expected.standings


TRAINEES = [f"{n:02}" for n in range(1, 10)]
BEGUN = [
    announced(),
    *(proposed(number, 2, person=person(number)) for number in TRAINEES),
    *(trainee("trainee.enrolled", number, 3) for number in TRAINEES),
    started(4),
]


def quiet(chance: Random) -> list[Entry]:
    """What offices mostly say of a cohort that goes its way, once it has begun: by chance, where a strategy would rather have
    all of it about one trainee. Some of it is voided or replaced."""
    spoken_of = chance.sample(TRAINEES, chance.randint(1, len(TRAINEES)))

    def said() -> dict[str, Any]:
        day, number, new = chance.randint(2, 60), chance.choice(spoken_of), chance.choice(["10", "11"])
        return chance.choice(
            [
                proposed(new, day),
                {**proposed(new, day), "type": "trainee.enrolled.v1"},
                trainee("trainee.enrolled", new, day),
                trainee("trainee.declined", new, day, HOST, reason="visa"),
                trainee("person.corrected", number, day, sex=chance.choice("FM")),
                trainee("consent.withdrawn", number, day, date=on(day), by="self", purposes=["photos"]),
                forgotten(number, day),
                session(chance.randint(1, 30), day, absent=[number]),
                session(chance.randint(31, 99), day, absent=[new]),
                trainee("trainee.withdrawn", number, day, date=on(day), reason="family"),
                completed(number, day),
                completed(number, day),
                trainee("competitor.nominated", number, day, competition=f"c{chance.randint(1, 9)}", skill="18"),
                trainee("competitor.placed", number, day, competition="c1", skill="18", medal="gold"),
                trainee("outcome.reported", number, day, date=on(day), months_after=1, outcome="employed"),
                *([cohort("cohort.closed", day, date=on(day))] * (chance.random() < 0.2)),
                *(
                    [cohort("cohort.changed", day, COORDINATOR, parties=chance.choice([PARTIES, PARTIES[:2]]))]
                    * (chance.random() < 0.2)
                ),
            ]
        )

    begun = chance.choice([BEGUN, BEGUN, [announced(parties=WITHOUT_SENDER), *BEGUN[1:]]])
    joined = [cohort("cohort.changed", 61, COORDINATOR, parties=PARTIES)] * (begun is not BEGUN)
    later = [*(said() for _ in range(chance.randint(4, 16))), *joined]
    events = [_with_id(event, n) for n, event in enumerate((*begun, *later))]
    for n in range(chance.choice([0, 0, 1, 2])):
        target = chance.choice(events[1:])
        correction = {**target, "id": f"{900 + n:04}", "replaces": target["id"]}
        voids = target["type"] == "event.voided.v1" or chance.random() < 0.5
        events.append(_with_id(voided(target, 60 + n), 900 + n) if voids else correction)
    return [entry(event) for event in events]


def in_short(before: list[Entry], first: Folded, new: list[Entry]) -> Folded | None:
    """New events, in order, after the fold of those before, by the short way if it leads there: from what is read for it."""
    lates = late(new, [Later(e.order, e.type, e.enrolment) for e in before if e.order > new[0].order] if new else [])
    if lates is None:
        return None
    settled = [
        one
        for one in before
        if not linked(one, first.standings[one.ref])
        and (one.enrolment in lates.again or (one.enrolment is None and one.type != SESSION))
    ]
    return advance_late(first.state, settled, new, lates, KNOWN)


JOURNALS = st.one_of(st.integers(0, 2**32 - 1).map(lambda seed: quiet(Random(seed))), journals())


@examples(360)
@given(journal=JOURNALS, seed=st.integers(0, 2**32 - 1))
def test_what_comes_late_may_take_the_short_way(journal: list[Entry], seed: int) -> None:
    acts = {event.acts_on for event in journal} | {event.ref for event in journal if event.acts_on}
    free = [event for event in journal if event.ref not in acts]
    expected, chance = fold(journal, KNOWN), Random(seed)
    own = [event.order for event in free if event.enrolment is None and event.type != SESSION]
    since_the_last_of_the_cohort = [event for event in free if own and event.order >= max(own)]
    for _ in range(12):
        pool = chance.choice([free, free[-16:], [one for one in free[-16:] if one.enrolment]])
        chosen = chance.sample(pool, min(len(pool), chance.randint(1, 4)))
        if chance.random() < 0.5:
            chosen += [event for event in since_the_last_of_the_cohort if event not in chosen]
        new = sorted(chosen, key=lambda event: event.order)
        before = [event for event in journal if event not in new]
        first = fold(before, KNOWN)
        second = in_short(before, first, new)
        if second is None:
            continue
        assert second.state == expected.state
        assert {**first.standings, **second.standings} == expected.standings


def test_a_late_trainee_is_not_held_up_by_others() -> None:
    story = [entry(event) for event in whole()]
    later = [Later(event.order, event.type, event.enrolment) for event in story]
    nominated = trainee("competitor.nominated", "01", 20, competition="asean", skill="18")
    own, others = entry(nominated), entry(proposed("03", 29))
    of_own = [one for one in later if one.enrolment == own.enrolment and one.order > own.order]
    after = [one for one in later if one.order > own.order and one.enrolment and one.enrolment != own.enrolment]
    assert late([own], after) == ([own], frozenset())
    assert late([own], [*after, *of_own]) == ([], {own.enrolment})
    # the cohort's start comes after it
    assert late([others], [one for one in later if one.order > others.order]) == ([], {others.enrolment})


def _brought(before: list[dict[str, Any]], *new: dict[str, Any]) -> None:
    """Hold the short way, where it leads there, to the whole fold."""
    kept, late_ones = [entry(event) for event in before], sorted(map(entry, new), key=lambda one: one.order)
    first, expected = fold(kept, KNOWN), fold([*kept, *late_ones], KNOWN)
    second = in_short(kept, first, late_ones)
    assert second is None or second.state == expected.state
    assert second is None or {**first.standings, **second.standings} == expected.standings


def test_a_session_that_comes_with_a_late_trainee_is_of_its_day() -> None:
    changed = cohort("cohort.changed", 30, COORDINATOR, parties=PARTIES)
    _brought([*BEGUN, changed], proposed("10", 20), session(2, 60, absent=["10"]))


def test_a_session_that_waits_for_a_place_that_waited_is_of_its_day() -> None:
    early, missed = proposed("01", 5), session(1, 31, absent=["01"])
    changed = cohort("cohort.changed", 40, COORDINATOR, parties=PARTIES)
    corrected = trainee("person.corrected", sex="M")
    _brought([announced(parties=WITHOUT_SENDER), early, started(), missed], corrected, changed)
    _brought([announced(parties=WITHOUT_SENDER), early, started()], corrected, changed, session(1, 41, absent=["01"]))
    _brought([early, missed], corrected, announced(40))


def test_a_session_waits_for_somebody_also_when_there_is_no_room_for_it() -> None:
    one, other = ([{"kind": "passport", "country": "KH", "number": f"N{n}222222"}] for n in (1, 2))
    again = {**proposed("01", 45, person=person(identifiers=one)), "type": "trainee.enrolled.v1"}
    sessions = [session(1, 40, absent=["99"]), session(2, 41), session(3, 42)]
    with patch.object(rules, "SESSIONS_LIMIT", 600):
        for after in ((), (proposed("02", 50),)):
            standings = fold([entry(event) for event in (announced(), *sessions, *after)], KNOWN).standings
            assert standings[HOST, sessions[0]["id"]] == Standing("waiting", "absentee_unknown")
        before = [announced(), proposed("01", 5, person=person(identifiers=one)), *sessions]
        _brought([*before, again], trainee("person.corrected", day=39, identifiers=other))
        full = fold([entry(event) for event in (*before, session(1, 43, id_="full"))], KNOWN)
    assert full.standings[HOST, "full"] == Standing("conflict", "limit_reached")


def test_what_comes_late_of_a_trainee_takes_its_place_among_what_was_said() -> None:
    first, second = (trainee("competitor.nominated", day=day, competition=f"c{day}", skill="18") for day in (20, 30))
    _brought([*BEGUN, second], first)
    wrong, right = (trainee("person.corrected", day=day, sex=sex) for day, sex in ((20, "M"), (30, "F")))
    _brought([*BEGUN, right], wrong)


def test_a_late_trainee_meets_the_cohort_of_its_day() -> None:
    close = cohort("cohort.closed", 44, date=on(44))
    _brought([*BEGUN, close], proposed("10", 50))
    _brought([*BEGUN, close, completed("02", 43)], proposed("10", 43), completed("01", 42), completed("10", 41))


@examples(120)
@given(journal=journals())
def test_trying_only_what_may_be_helped_equals_trying_everything(journal: list[Entry]) -> None:
    standing = [event for event in journal if event.acts_on is None]
    state, judged = State(), {}
    for event in sorted(standing, key=lambda one: one.order):
        tried, state = [*state.pending, event], replace(state, pending=())
        judged[event.ref] = judge(state, event, KNOWN)
        if judged[event.ref] != APPLIED:
            state = replace(state, pending=tuple(tried))
            continue
        state, left, applied = GUARDS[event.type].effect(state, event), tried[:-1], True
        while applied:
            applied, tried, left = False, left, []
            for waiting in tried:
                judged[waiting.ref] = judge(state, waiting, KNOWN)
                if judged[waiting.ref] == APPLIED:
                    state, applied = GUARDS[waiting.type].effect(state, waiting), True
                else:
                    left.append(waiting)
        state = replace(state, pending=tuple(left))
    folded = fold(standing, KNOWN)
    assert folded.state == state
    assert folded.standings == judged


def test_a_session_that_waits_contradicts_as_soon_as_another_has_its_number() -> None:
    waiting, other = session(1, 31, absent=["07"], id_="waiting"), session(1, 32, id_="other")
    standings = fold([entry(event) for event in (*whole()[:6], waiting, other)], KNOWN).standings
    assert standings[HOST, "other"] == APPLIED
    assert standings[HOST, "waiting"] == Standing("conflict", "session_number_taken")


def test_a_session_that_waits_for_somebody_is_tried_again_only_when_somebody_comes() -> None:
    outcomes = [
        trainee("outcome.reported", day=50 + n, date=on(50 + n), months_after=n, outcome="employed") for n in range(9)
    ]
    waiting = session(absent=["02"])
    story = [entry(event) for event in (announced(), proposed(), trainee("trainee.enrolled"), waiting, *outcomes)]
    late = entry(proposed("02", day=70))
    with patch.object(fold_module, "judge", wraps=judge) as tried:
        folded = fold([*story, late], KNOWN)
    assert tried.call_count == len(story) + 1 + 1
    assert set(folded.standings.values()) == {APPLIED}


def test_every_order_of_a_short_story() -> None:
    story = [entry(event) for event in (announced(), proposed(), trainee("trainee.enrolled"), started(), completed())]
    expected = fold(story, KNOWN)
    assert all(fold(order, KNOWN) == expected for order in itertools.permutations(story))
    assert {found.status for found in expected.standings.values()} == {"accepted"}


def test_clocks_that_disagree_do_not_matter_to_what_waits() -> None:
    late_announcement = [announced(70, starts_on="2025-03-31"), *whole()[1:]]
    folded = fold([entry(event) for event in late_announcement], KNOWN)
    assert {found.status for found in folded.standings.values()} == {"accepted"}


def test_a_registration_elsewhere_changes_the_fold_and_undoes_it() -> None:
    story = [entry(event) for event in whole()]
    assert fold(story, Known()).state.cohort is None
    assert {found.status for found in fold(story, Known()).standings.values()} == {"waiting"}
