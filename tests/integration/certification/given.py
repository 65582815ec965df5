"""Enrolment's facts and offices' posts, as they come from outside."""

from datetime import UTC, datetime
from typing import Any

from services.certification import handlers
from services.certification.awards import Trainee
from services.certification.handlers import Handlers, Told
from shared.database import Database
from shared.events.enrolment import CohortFact, OfficeFact, TraineeFact
from shared.events.envelope import Event
from shared.events.receipts import Receipts
from shared.events.wire import Raw
from shared.offices import Caller, token_digest
from tests.unit.certification.given import AUTHORITY, BODY, CENTRE, OTHER_BODY, PARTIES, SENDER

SECRET = b"\x02" * 32
ADMINISTRATOR = Caller(None, frozenset(), "administrator", administrator=True)
ROLES = {
    BODY: "awarding-body",
    OTHER_BODY: "awarding-body",
    CENTRE: "host-centre",
    SENDER: "sending-office",
    AUTHORITY: "recognition-authority",
}


def caller(source: str) -> Caller:
    return Caller(source, frozenset({ROLES[source]}), "officer")


def a_cohort(code: str = "wuxi", revision: int = 1, **changes: Any) -> Told:
    data = CohortFact.model_validate(
        {
            "cohort": code,
            "status": "started",
            "programme": "ilo-china",
            "titles": {"en": "Wuxi 2025"},
            "places": [{"country": "KH", "places": 9}],
            "host_centre": "wit",
            "host_country": "CN",
            "mode": "in-person",
            "trades": ["electrical"],
            "starts_on": "2025-03-31",
            "ends_on": "2025-04-13",
            "language": "en",
            "timezone": "Asia/Shanghai",
            "schemes": ["vslc"],
            "parties": [{"office": office, "role": role} for office, role in sorted(PARTIES)],
            "announced_on": "2025-01-15",
            **changes,
        }
    )
    return Told(data, 1, revision, None)


def a_trainee(trainee: Trainee, revision: int = 1, **changes: Any) -> Told:
    data = TraineeFact(
        enrolment=trainee.enrolment,
        cohort=trainee.cohort,
        number=trainee.number,
        person=trainee.person,
        country=trainee.country,
        completion=trainee.completion,
        completed_on=trainee.completed_on,
        completion_withdrawn_at=trainee.completion_withdrawn_at,
        status="completed" if trainee.completion == "in-force" else "enrolled",
        role="student",
        trade="electrical",
        sex="F",
        age_band="Y15T24",
        disability="no",
    ).model_copy(update=changes)
    return Told(data, 1, revision, f"/offices/kh/ntti/told-{trainee.number}-{revision}")


def an_office(source: str, token: str, roles: list[str] | None = None, **changes: Any) -> Told:
    data = OfficeFact.model_validate(
        {
            "office": source,
            "name": "An office",
            "roles": roles or [ROLES[source]],
            "status": "active",
            "tokens": [{"sha256": token_digest(token), "officer": "sokha", "expires": "2099-01-01T00:00:00+00:00"}],
            **changes,
        }
    )
    return Told(data, 1, 1, None)


async def tell(database: Database, *told: Told) -> None:
    """Enrolment tells, in one transaction."""
    await database.run(lambda session: handlers.hear(session, told, datetime.now(UTC)))


def fields(event: Event, **changes: Any) -> dict[str, Any]:
    """The event as an office would write it."""
    written = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": event.time.isoformat(),
        "datacontenttype": "application/json",
        "data": event.data.model_dump(mode="json", exclude_none=True),
    }
    return written | ({"replaces": event.replaces} if event.replaces else {}) | changes


def raws(*events: Event) -> list[Raw]:
    return [Raw(place, fields(event)) for place, event in enumerate(events, start=1)]


async def post(database: Database, *events: Event, by: Caller = ADMINISTRATOR) -> Receipts:
    """Post events in one body."""
    return await Handlers(database, SECRET, "http://enrolment.example").take(raws(*events), by)


def codes(receipts: Receipts) -> list[str]:
    return [receipt.code for receipt in receipts.receipts]
