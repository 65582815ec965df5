"""Events of one cohort, as its offices would post them, in few words."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from services.enrolment.domain import Entry, Known, State
from services.enrolment.fold import Folded, fold
from services.enrolment.register import Register
from shared.events import offices_to_certification as certification
from shared.events.envelope import Event, Refusal, read_event
from shared.events.identity import enrolment_id
from shared.events.offices_to_enrolment import TYPES
from shared.events.wire import Raw

COORDINATOR, SENDER, HOST, STRANGER = "/offices/cn/ilo", "/offices/kh/ntti", "/offices/cn/wuxi", "/offices/la/vte"
PARTIES = [
    {"office": COORDINATOR, "role": "coordinator"},
    {"office": SENDER, "role": "sending-office"},
    {"office": HOST, "role": "host-centre"},
]
KNOWN = Known(frozenset({"programme/partnership", "centre/wuxi-institute", "centre/ntti"}))
REGISTER = Register(b"\x01" * 32)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def at(day: int, hour: int = 8) -> str:
    """A moment that many days (and hours) after 1 March 2025, in the sending country."""
    return (datetime(2025, 3, 1, tzinfo=UTC) + timedelta(days=day, hours=hour)).strftime("%Y-%m-%dT%H:%M:%S+00:00")


def on(day: int) -> str:
    return at(day)[:10]


def fields(
    type_: str, day: int, source: str, id_: str | None = None, replaces: str | None = None, **data: Any
) -> dict[str, Any]:
    """An event as an office writes it."""
    said = {"specversion": "1.0", "source": source, "type": type_ + ".v1", "time": at(day), "data": data}
    if replaces:
        said["replaces"] = replaces
    who = data.get("number") or data.get("session") or ""
    return {**said, "id": id_ or f"{type_.replace('.', '-')}-{who}{'-' if who else ''}{day}"}


def read(event: dict[str, Any]) -> Event | Refusal:
    elsewhere = dict.fromkeys(certification.TYPES, "http://127.0.0.1:8002")
    return read_event(
        Raw(1, event), types=TYPES, elsewhere={k: v for k, v in elsewhere.items() if k not in TYPES}, now=NOW
    )


def entry(event: dict[str, Any]) -> Entry:
    """The event as the journal holds it."""
    read_ = read(event)
    assert isinstance(read_, Event), read_
    return REGISTER.entry(read_)


def programme(day: int = 0, **more: Any) -> dict[str, Any]:
    data = {"programme": "partnership", "titles": {"en": "Partnership"}, "countries": ["KH", "CN"]}
    return fields("programme.registered", day, COORDINATOR, **{**data, **more})


def centre(code: str = "wuxi-institute", country: str = "CN", day: int = 0, **more: Any) -> dict[str, Any]:
    data = {"centre": code, "names": {"en": code}, "country": country, "kind": "training-institute"}
    return fields("centre.registered", day, COORDINATOR, **{"id_": f"centre-{code}", **data, **more})


def announced(day: int = 1, source: str = COORDINATOR, **more: Any) -> dict[str, Any]:
    data = {
        "cohort": "wuxi-2025",
        "programme": "partnership",
        "titles": {"en": "Wuxi"},
        "places": [{"country": "KH", "places": 9}],
        "host_centre": "wuxi-institute",
        "host_country": "CN",
        "mode": "in-person",
        "trades": ["electrical", "cabling"],
        "starts_on": "2025-03-31",
        "ends_on": "2025-04-13",
        "language": "zh",
        "timezone": "Asia/Shanghai",
        "parties": PARTIES,
    }
    return fields("cohort.announced", day, source, **{**data, **more})


def cohort(type_: str, day: int, source: str = HOST, **more: Any) -> dict[str, Any]:
    """cohort.changed, started, closed or cancelled, or a session."""
    return fields(type_, day, source, **{"cohort": "wuxi-2025", **more})


def person(number: str = "1", **more: Any) -> dict[str, Any]:
    names = {"original": f"សុខា {number}", "language": "km", "romanised": f"Sokha {number}"}
    return {"names": names, "sex": "F", "birth_date": "2005-04-01", **more}


def proposed(number: str = "01", day: int = 5, source: str = SENDER, **more: Any) -> dict[str, Any]:
    data = {"cohort": "wuxi-2025", "number": number, "role": "student", "country": "KH", "trade": "electrical"}
    return fields("trainee.proposed", day, source, **{**data, "person": person(number), **more})


def trainee(type_: str, number: str = "01", day: int = 10, source: str = SENDER, **more: Any) -> dict[str, Any]:
    return fields(type_, day, source, **{"cohort": "wuxi-2025", "number": number, **more})


def started(day: int = 30, **more: Any) -> dict[str, Any]:
    return cohort("cohort.started", day, **{"date": on(day), **more})


def session(number: int = 1, day: int = 31, **more: Any) -> dict[str, Any]:
    return cohort("session.held", day, **{"session": number, "date": on(day), "hours": 6.0, **more})


def completed(number: str = "01", day: int = 43, **more: Any) -> dict[str, Any]:
    return trainee("trainee.completed", number, day, HOST, **{"date": on(day), **more})


def voided(event: dict[str, Any], day: int = 60, **more: Any) -> dict[str, Any]:
    data = {"event": event["id"], "type": event["type"], "reason": "error", **more}
    return fields("event.voided", day, event["source"], f"void-{event['id']}-{day}", **data)


def decided(kind: str, one: str, other: str, day: int, source: str = SENDER, **more: Any) -> dict[str, Any]:
    """person.merged or parted: two trainees' numbers in cohorts, such as ``01`` or ``other/01``."""
    enrolments = [
        {"cohort": cohort or "wuxi-2025", "number": number}
        for cohort, _, number in (trainee.rpartition("/") for trainee in (one, other))
    ]
    id_ = f"{kind}-{one}-{other}-{day}".replace("/", "-")
    return fields(f"person.{kind}", day, source, id_, enrolments=enrolments, decided_by="desk-1", reason="same", **more)


def forgotten(number: str = "01", day: int = 95, source: str = SENDER, **more: Any) -> dict[str, Any]:
    return trainee("person.forgotten", number, day, source, **{"decided_by": "desk-1", "reason": "request", **more})


def whole() -> list[dict[str, Any]]:
    """A cohort from its announcement to its end: two trainees, one withdraws."""
    return [
        announced(),
        proposed("01"),
        proposed("02"),
        trainee("trainee.enrolled", "01"),
        trainee("trainee.enrolled", "02"),
        started(),
        session(1, 31),
        session(2, 32, absent=["02"]),
        trainee("trainee.withdrawn", "02", 33, date=on(33), reason="family"),
        completed("01"),
        cohort("cohort.closed", 44, date=on(44)),
        trainee("competitor.nominated", "01", 90, competition="worldskills-asean-2025", skill="18"),
    ]


def attended() -> list[dict[str, Any]]:
    """Three sessions of six hours, and six trainees: 01 is there throughout, 02 withdraws on the day of the second session, 03 is
    listed both as absent and as partly present, 04 twice as partly present, 05 does not arrive, and 06 declined.
    """
    joined = [event for n in range(1, 6) for event in (proposed(f"0{n}"), trainee("trainee.enrolled", f"0{n}"))]
    return [
        announced(),
        *joined,
        proposed("06"),
        trainee("trainee.declined", "06", reason="visa"),
        started(not_arrived=["05"]),
        session(1, 31, absent=["03"], partial=[{"number": "03", "hours": 2.0}]),
        session(2, 32, partial=[{"number": "04", "hours": 1.5}, {"number": "04", "hours": 4.0}]),
        session(3, 33),
        trainee("trainee.withdrawn", "02", 32, date=on(32), reason="family"),
    ]


HOURS: dict[str, list[float]] = {
    "01": [6.0, 6.0, 6.0],
    "02": [6.0, 6.0],
    "03": [2.0, 6.0, 6.0],
    "04": [6.0, 1.5, 6.0],
    "05": [],
    "06": [],
}
"""What the sessions of ``attended`` that count for each trainee gave them, whoever counts."""


def given(events: Iterable[dict[str, Any]], known: Known = KNOWN) -> Folded:
    """The fold of these events."""
    return fold([entry(event) for event in events], known)


def standing(folded: Folded, event: dict[str, Any]) -> str:
    """How an event stands, as ``status code``."""
    found = folded.standings[event["source"], event["id"]]
    return f"{found.status} {found.code}"


def place(number: str = "01") -> str:
    return enrolment_id("wuxi-2025", number)


def status(state: State, number: str = "01") -> str | None:
    """A trainee's status, if there is one."""
    found = state.enrolments.get(place(number))
    return found.status if found else None
