"""Several offices with clocks that disagree, on lines that lose answers, send the same files by several ways: one final state."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from services.certification.handlers import Handlers
from services.certification.subscribers import read
from services.enrolment.handlers import Handlers as EnrolmentHandlers
from shared.database import Database
from shared.events.wire import Raw
from shared.offices import Caller
from tests.integration.certification import conftest as certification
from tests.integration.certification import given as at_certification
from tests.integration.certification.given import SECRET
from tests.integration.chain.test_both_services import ALL
from tests.integration.enrolment.house import REGISTRATIONS, House, empty
from tests.properties import examples
from tests.unit.certification.given import BODY, about, scheme_data
from tests.unit.enrolment.story import (
    COORDINATOR,
    HOST,
    SENDER,
    announced,
    completed,
    fields,
    on,
    proposed,
    session,
    started,
    trainee,
    voided,
)

Event = dict[str, Any]
ROLES = {
    COORDINATOR: "coordinator",
    SENDER: "sending-office",
    HOST: "host-centre",
    BODY: "awarding-body",
}


def award(kind: str, number: str, day: int, **more: Any) -> Event:
    data = {**about(number), "cohort": "wuxi-2025", "date": on(day), **more}
    return fields(kind, day, BODY, f"{kind.replace('.', '-')}-{number}-{day}", **data)


TAKEN = completed("02", 42)
LATE = voided(TAKEN, 50)
FILES: dict[str, list[Event]] = {
    COORDINATOR: [*REGISTRATIONS, announced(parties=ALL)],
    SENDER: [
        *(proposed(f"{n:02}") for n in (1, 2, 3)),
        *(trainee("trainee.enrolled", f"{n:02}") for n in (1, 2, 3)),
        voided(proposed("03"), 20),
        voided(voided(proposed("03"), 20), 21),
        {**proposed("02", 6), "id": "corrected", "replaces": proposed("02")["id"]},
    ],
    HOST: [started(), session(1, 31, absent=["02"]), session(2, 32), completed("01"), TAKEN, LATE, voided(LATE, 51)],
    BODY: [
        fields("scheme.registered", 1, BODY, "scheme", **scheme_data()),
        *(award("trainee.assessed", f"{n:02}", 44, attempt=1, result="pass") for n in (1, 2)),
        *(award("certificate.awarded", f"{n:02}", 45, certificate_number=f"S-{n}") for n in (1, 2)),
        award("certificate.suspended", "01", 60, reason="review"),
    ],
}
"""What each office has to say, in its own order."""


def as_its_clock_has_it(event: Event, skew: timedelta) -> Event:
    time = datetime.fromisoformat(event["time"]) + skew
    return {**event, "time": time.isoformat()}


@st.composite
def sendings(draw: st.DrawFn, files: dict[str, list[Event]]) -> list[tuple[str, list[Event], str]]:
    """(office, part of its file, way) in the order in which they arrive.

    Where an answer was lost an office sends the part again, or begins the file anew, perhaps by another way.
    """
    waiting: dict[str, list[list[Event]]] = {}
    for office, events in files.items():
        said = draw(st.permutations(events)) if draw(st.booleans()) else events
        cuts = sorted(draw(st.lists(st.integers(1, len(said) - 1), max_size=3, unique=True)))
        parts = [list(said[start:end]) for start, end in zip([0, *cuts], [*cuts, len(said)], strict=True)]
        lost = draw(st.lists(st.sampled_from(parts), max_size=2))
        parts += [draw(st.sampled_from([part, list(said)])) for part in lost]
        waiting[office] = parts
    arrived = []
    while waiting:
        office = draw(st.sampled_from(sorted(waiting)))
        arrived.append((office, waiting[office].pop(0), draw(st.sampled_from(("http", "nats", "courier")))))
        if not waiting[office]:
            del waiting[office]
    return arrived


async def live_through(
    house: House, own: Database, sent: Iterator[tuple[str, list[Event], str]]
) -> tuple[dict[str, Any], dict[str, str]]:
    await empty(house.database)
    await certification.empty(own)
    for database in (house.database, own):
        async with database.transaction() as session_:
            for office, role in ROLES.items():
                await session_.execute(
                    text(
                        "INSERT INTO offices (office, name, roles, status, epoch, revision) "
                        "VALUES (:office, 'Office', CAST(:roles AS jsonb), 'active', 0, 0)"
                    ),
                    {"office": office, "roles": json.dumps([role])},
                )
    services: dict[str, EnrolmentHandlers | Handlers] = {
        "enrolment": house.handlers,
        "certification": Handlers(own, SECRET, "http://enrolment.example"),
    }
    heard = 0
    for office, events, way in sent:
        where = "certification" if office == BODY else "enrolment"
        handlers = services[where]
        if way == "nats":
            subject = f"intake.{where}{office.removeprefix('/offices').replace('/', '.')}"
            await handlers.take_messages([(subject, json.dumps(events).encode())])
        else:
            caller = Caller(office, frozenset({ROLES[office]}), "desk-1")
            if way == "courier":
                caller = Caller(None, frozenset(), "administrator", administrator=True)
            answer = await handlers.take([Raw(place, event) for place, event in enumerate(events, 1)], caller)
            assert "rejected" not in {receipt.status for receipt in answer.receipts}, answer
        told = await house.rows("SELECT body FROM outbox WHERE position > :heard ORDER BY position", heard=heard)
        heard += len(told)
        await at_certification.tell(own, *filter(None, (read(row["body"].encode()) for row in told)))
    things, standings = {}, {}
    for database in (house.database, own):
        async with database.transaction() as session_:
            rows = await session_.execute(text("SELECT subject, body FROM things WHERE body->>'status' <> 'void'"))
            things |= {row.subject: row.body for row in rows}
            rows = await session_.execute(
                text("SELECT source || id AS id, status || ' ' || code AS standing FROM events")
            )
            standings |= {row.id: row.standing for row in rows}
    return things, standings


SKEWS = st.sampled_from(
    [timedelta(), timedelta(hours=-7), timedelta(minutes=11), timedelta(days=3), timedelta(hours=-20)]
)


@examples(3)
@given(data=st.data())
async def test_one_final_state(both: tuple[House, Database], data: st.DataObject) -> None:
    skews = {office: data.draw(SKEWS) for office in FILES}
    files = {
        office: [as_its_clock_has_it(event, skews[office]) for event in events] for office, events in FILES.items()
    }
    in_order = ((office, events, "http") for office, events in files.items())
    expected = await live_through(*both, in_order)
    assert len(expected[1]) == sum(map(len, files.values()))
    assert await live_through(*both, iter(data.draw(sendings(files)))) == expected


async def test_with_clocks_that_agree_all_of_it_applies(both: tuple[House, Database]) -> None:
    things, standings = await live_through(*both, ((office, events, "http") for office, events in FILES.items()))
    assert set(standings.values()) == {"accepted applied", "accepted voided", "accepted replaced"}
    certificates = [body for subject, body in things.items() if ".certificate." in subject]
    assert sorted(body["status"] for body in certificates) == ["issued", "suspended"]
