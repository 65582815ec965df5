"""Through the real handlers: any order, repetition and portions of a set of events give the same facts and standings."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.integration.enrolment.house import REGISTRATIONS, House, checked, empty
from tests.properties import examples
from tests.unit.enrolment.story import (
    completed,
    decided,
    on,
    person,
    place,
    proposed,
    session,
    trainee,
    voided,
    whole,
)

PASSPORT = {"kind": "passport", "number": "N123456", "country": "KH"}


def by_enrolment(event: dict[str, Any]) -> dict[str, Any]:
    data = {name: value for name, value in event["data"].items() if name not in ("cohort", "number")}
    return {**event, "id": event["id"] + "-e", "data": {**data, "enrolment": place(event["data"]["number"])}}


def other(event: dict[str, Any]) -> dict[str, Any]:
    """The same in another cohort."""
    return {**event, "id": "o-" + event["id"], "data": {**event["data"], "cohort": "other"}}


WITH_PASSPORT = person(identifiers=[PASSPORT])
CIRCLE = [
    {**voided({**voided(proposed()), "id": other}), "id": own}
    for own, other in (("round-1", "round-2"), ("round-2", "round-1"))
]
STORY = [
    *REGISTRATIONS,
    *whole(),
    other(whole()[0]),
    other(proposed("01", person=WITH_PASSPORT)),
    proposed("03", person=WITH_PASSPORT),
    proposed("04", sending_centre="ntti"),
    by_enrolment(trainee("competitor.placed", "01", 91, competition="asean", skill="18", medal="gold")),
    by_enrolment(trainee("outcome.reported", "01", 92, date=on(92), months_after=1, outcome="employed")),
    {**completed("01", 42), "id": "right", "replaces": completed()["id"]},
    voided(session(2, 32)),
    voided(proposed("04")),
    trainee("person.corrected", "03", 50, identifiers=[{**PASSPORT, "number": "OTHER"}]),
    decided("merged", "01", "03", 94),
    trainee("consent.withdrawn", "01", 45, date=on(45), by="self", purposes=["photos"]),
    voided(REGISTRATIONS[2], 95),
    voided(voided(session(2, 32)), 96),
    voided(voided(voided(proposed("04"))), 96),
    *CIRCLE,
    voided(CIRCLE[0], 97),
]


def _told(facts: dict[str, Any]) -> dict[str, Any]:
    """What is void is told only where it was told before, so that depends on the order."""
    return {subject: body for subject, body in facts.items() if body["status"] != "void"}


@st.composite
def portions(draw: st.DrawFn) -> list[list[dict[str, Any]]]:
    """The story in any order, or with some of it late, some of it twice, in several transactions."""
    order = draw(st.permutations(range(len(STORY))))
    if draw(st.booleans()):
        late = frozenset(order[:8])
        order = sorted(order, key=lambda n: n + 12 * (n in late))
    again = draw(st.lists(st.sampled_from(range(len(STORY))), max_size=4))
    events = [STORY[n] for n in (*order, *again)]
    cuts = sorted(draw(st.lists(st.integers(1, len(events) - 1), max_size=6, unique=True)))
    return [events[start:end] for start, end in zip([0, *cuts], [*cuts, len(events)], strict=True)]


async def _one_by_one(house: House) -> tuple[dict[str, Any], dict[str, str]]:
    await empty(house.database)
    for event in STORY:
        await house.post(event)
    return await house.facts(), await house.standings()


EXPECTED: dict[str, Any] = {}


@examples(8)
@given(bodies=portions())
async def test_any_order_gives_the_same(house: House, bodies: list[list[dict[str, Any]]]) -> None:
    if not EXPECTED:
        facts, standings = await _one_by_one(house)
        EXPECTED.update(facts=_told(facts), standings=standings)
        assert len(EXPECTED["facts"]) > 6
    await empty(house.database)
    for body in bodies:
        await house.post(*body)
    assert _told(await house.facts()) == EXPECTED["facts"]
    assert await house.standings() == EXPECTED["standings"]
    await checked(house)
