"""Enrolment and certification, one after the other: the same events of offices in any order come to the same end."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from services.certification.subscribers import read
from shared.database import Database
from shared.events.envelope import Event
from tests.integration.certification import conftest as certification
from tests.integration.certification import given as at_certification
from tests.integration.enrolment.house import REGISTRATIONS, House, empty
from tests.properties import examples
from tests.unit.certification.given import BODY, about, registered
from tests.unit.certification.given import event as award_event
from tests.unit.certification.given import voided as award_voided
from tests.unit.enrolment.story import (
    PARTIES,
    announced,
    cohort,
    completed,
    on,
    person,
    proposed,
    started,
    trainee,
    voided,
)

PASSPORT = {"identifiers": [{"kind": "passport", "number": "N123456", "country": "KH"}]}
ALL = [*PARTIES, {"office": BODY, "role": "awarding-body"}]


def award(kind: str, name: str, day: int, number: str, **more: Any) -> Event:
    """An event on a trainee's award, so many days after 31 March 2025."""
    data = {**about(number), "cohort": "wuxi-2025", **more}
    if kind != "numbered":
        data["date"] = on(30 + day)
    full = f"trainee.{kind}.v1" if kind == "assessed" else f"certificate.{kind}.v1"
    return award_event(full, name, day, data)


PASS = award("assessed", "pass", 11, "01", result="pass")
FIRST = award("awarded", "first", 14, "01", certificate_number="S-1")
STORY: list[dict[str, Any] | Event] = [
    *REGISTRATIONS,
    announced(parties=ALL),
    proposed("01", person=person("1", **PASSPORT)),
    proposed("02", person=person("2", **PASSPORT)),
    trainee("trainee.enrolled", "01"),
    trainee("trainee.enrolled", "02"),
    started(),
    completed("01"),
    completed("02"),
    registered("scheme", 1),
    PASS,
    FIRST,
    award("awarded", "second", 15, "02"),
    award("numbered", "number", 16, "02", certificate_number="S-1"),
    award("suspended", "stop", 17, "01", reason="review"),
]
TAKEN_BACK: list[dict[str, Any] | Event] = [
    voided(announced(), 70),
    voided(REGISTRATIONS[0], 70),
    voided(proposed("01"), 44),
    voided(trainee("trainee.enrolled", "01"), 46),
    voided(completed("01"), 44),
    voided(completed("02"), 70),
    voided(started(), 70),
    cohort("cohort.changed", 60, source=PARTIES[0]["office"], parties=PARTIES),
    award_voided("no-pass", 20, PASS),
    award_voided("no-first", 20, FIRST),
    award("reinstated", "go-on", 25, "01", reason="review-closed"),
]
"""What may come besides, of which a few do."""


async def live_through(
    house: House, own: Database, steps: list[tuple[dict[str, Any] | Event, bool]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Standings of certification's events, and certificates; ``True`` after a step when enrolment is heard then."""
    await empty(house.database)
    await certification.empty(own)
    heard = 0
    for event, hear in [*steps, (None, True)]:
        if isinstance(event, Event):
            await at_certification.post(own, event)
        elif event is not None:
            await house.post(event)
        if hear:
            told = await house.rows("SELECT body FROM outbox WHERE position > :heard ORDER BY position", heard=heard)
            heard += len(told)
            await at_certification.tell(own, *filter(None, (read(row["body"].encode()) for row in told)))
    async with own.transaction() as session:
        events = await session.execute(text("SELECT id, status || ' ' || code AS standing FROM events"))
        held = await session.execute(text("SELECT certificate, data FROM certificates WHERE status <> 'void'"))
        return {row.id: row.standing for row in events}, {row.certificate: row.data for row in held}


@st.composite
def orders(draw: st.DrawFn) -> list[tuple[dict[str, Any] | Event, bool]]:
    """The story with something of it taken back, in any order."""
    events = [*STORY, *draw(st.lists(st.sampled_from(TAKEN_BACK), max_size=4, unique_by=id))]
    return [(event, draw(st.booleans())) for event in draw(st.permutations(events))]


@examples(5)
@given(steps=orders())
async def test_two_orders_come_to_one_end(
    both: tuple[House, Database], steps: list[tuple[dict[str, Any] | Event, bool]]
) -> None:
    everything = [*STORY, *TAKEN_BACK]
    in_order = sorted(steps, key=lambda step: everything.index(step[0]))
    assert await live_through(*both, steps) == await live_through(*both, in_order)


async def test_the_story_by_itself(both: tuple[House, Database]) -> None:
    standings, certificates = await live_through(*both, [(event, True) for event in STORY])
    assert {name for name, standing in standings.items() if standing != "accepted applied"} == {"second", "number"}
    assert [fact["status"] for fact in certificates.values()] == ["suspended"]
