"""Every type of event can be voided, brought back by a void of that void, and replaced, in whatever order all of it arrives."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.enrolment.domain import Entry, State, Undone, unit_of
from services.enrolment.fold import fold
from services.enrolment.rules import GUARDS
from tests.unit.enrolment.story import (
    COORDINATOR,
    KNOWN,
    SENDER,
    centre,
    cohort,
    decided,
    entry,
    on,
    place,
    programme,
    trainee,
    voided,
    whole,
)

OUTCOME = {"date": on(91), "months_after": 1, "outcome": "employed"}
STORY = [
    programme(),
    centre(),
    *whole(),
    cohort("cohort.changed", 2, COORDINATOR, titles={"en": "Wuxi again"}),
    trainee("trainee.declined", "03", 6, "/offices/cn/wuxi", reason="visa"),
    trainee("person.corrected", "01", 50, sex="M"),
    trainee("competitor.placed", "01", 91, competition="worldskills-asean-2025", skill="18", medal="gold"),
    trainee("outcome.reported", "01", 92, **OUTCOME),
    cohort("cohort.cancelled", 93, COORDINATOR, reason="no-funds"),
    trainee("consent.withdrawn", "01", 51, by="self", date=on(51)),
    decided("merged", "01", "02", 52),
    decided("parted", "01", "02", 53),
]
TYPES = sorted(set(GUARDS) - {"event.voided.v1", "person.forgotten.v1"})
"""All that can be taken back: forgetting cannot."""
SEEN = replace(KNOWN, seen_by={place("01"): {SENDER: None}, place("02"): {SENDER: None}})


def folded(events: list[dict[str, Any]], home: str) -> tuple[State, dict[str, str]]:
    """The state of one unit, apart from when something in it was undone, and how its events stand."""
    entries = {one.ref: one for one in map(entry, events)}

    def lives_in(one: Entry) -> str:
        while one.voids is not None:
            if one.voids not in entries:
                return home
            one = entries[one.voids]
        return unit_of(one)

    found = fold([one for one in entries.values() if lives_in(one) == home], SEEN)
    standings = {ref[1]: f"{one.status} {one.code}" for ref, one in found.standings.items()}
    return replace(found.state, undone=Undone()), standings


def of(type_: str) -> dict[str, Any]:
    return next(event for event in STORY if event["type"] == type_)


def without(event: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in STORY if one is not event]


def test_the_story_has_every_type() -> None:
    assert {event["type"] for event in STORY} == set(TYPES)


@pytest.mark.parametrize("type_", TYPES)
@settings(max_examples=8)
@given(data=st.data())
def test_voided_and_brought_back(type_: str, data: st.DataObject) -> None:
    target, home = of(type_), unit_of(entry(of(type_)))
    void = voided(target, 95)
    gone, standings = folded(data.draw(st.permutations([*STORY, void])), home)
    assert (standings[target["id"]], standings[void["id"]]) == ("accepted voided", "accepted applied")
    assert gone == folded(without(target), home)[0]
    state, before = folded(STORY, home)
    again, standings = folded(data.draw(st.permutations([*STORY, void, voided(void, 96)])), home)
    assert again == state
    assert {name: standings[name] for name in before} == before
    assert standings[void["id"]] == "accepted voided"


@pytest.mark.parametrize("type_", TYPES)
@settings(max_examples=8)
@given(data=st.data())
def test_replaced(type_: str, data: st.DataObject) -> None:
    target, home = of(type_), unit_of(entry(of(type_)))
    right = {**target, "id": f"{target['id']}-right", "replaces": target["id"]}
    state, standings = folded(data.draw(st.permutations([*STORY, right])), home)
    expected, by_itself = folded([*without(target), {**target, "id": right["id"]}], home)
    assert standings[target["id"]] == "accepted replaced"
    assert standings[right["id"]] == by_itself[right["id"]]
    assert without_pending(state) == without_pending(expected)
    # The replacement is taken back: what it replaced stands again.
    again, standings = folded(data.draw(st.permutations([*STORY, right, voided(right, 97)])), home)
    assert again == folded(STORY, home)[0]
    assert standings[right["id"]] == "accepted voided"


def without_pending(state: State) -> State:
    """What waits is compared by its standings: one of these is a replacement, and the other stands by itself."""
    return replace(state, pending=())
