"""How long one event takes from its POST to the report, when nothing else happens."""

import json
import time
from datetime import date, datetime, timedelta, timezone
from typing import Any

import httpx

from bench.program import Program
from services.client import Line

COHORT, SCHEME = "bench-latency", "bench-on-pass"
OFFICE = "/offices/cn/bench"
ZONE = timezone(timedelta(hours=8))
FIRST = datetime(2025, 9, 1, 9, tzinfo=ZONE)
PATIENCE = 10.0
PAUSE = 0.1  # between two events, so that each finds the program idle


def latency(program: Program, samples: int) -> dict[str, list[float]]:
    """Milliseconds from the start of a POST until the report shows its effect, one event at a time.

    An enrolment shows as soon as reporting has heard enrolment; a completion that issues a certificate goes by certification too.
    """
    numbers = [f"{number:03d}" for number in range(1, samples + 1)]
    prepare(program, numbers)
    program.client.wait_until_reported()
    taken: dict[str, list[float]] = {"enrolment": [], "enrolment, certification": []}
    token = {"Authorization": f"Bearer {program.sampan.admin_token}"}
    with httpx.Client(headers=token, timeout=30) as http:
        for number in numbers:
            taken["enrolment"].append(_milliseconds(program, http, enrolled(number), "enrolled"))
        for number in numbers:
            assessed = _event(
                "trainee.assessed", f"assessed-{number}", 8, number=number, **_award(), date=_day(8), result="pass"
            )
            program.client.post_events([_line(assessed, "certification")])
        program.client.wait_until_reported()
        for number in numbers:
            completed = _event("trainee.completed", f"completed-{number}", 9, number=number, date=_day(9))
            taken["enrolment, certification"].append(_milliseconds(program, http, completed, "certified"))
    return taken


def _milliseconds(program: Program, http: httpx.Client, event: dict[str, Any], measure: str) -> float:
    report = f"{program.sampan.urls['reporting']}/v1/aggregates?measure={measure}"

    def figure() -> float:
        return float(http.get(report).raise_for_status().json()["totals"][measure])

    before = figure()
    time.sleep(PAUSE)
    start = time.perf_counter()
    url = f"{program.sampan.urls['enrolment']}/v1/events"
    http.post(url, json=event, headers={"Content-Type": "application/cloudevents+json"}).raise_for_status()
    while figure() == before:
        if time.perf_counter() - start > PATIENCE:
            raise TimeoutError(f"{event['id']} does not show in the report")
        time.sleep(0.005)
    return (time.perf_counter() - start) * 1000


def enrolled(number: str) -> dict[str, Any]:
    """The event that enrols one of those who were proposed."""
    return _event("trainee.enrolled", f"enrolled-{number}", 2, number=number, person=_person(number))


def post(program: Program, event: dict[str, Any]) -> None:
    """One event to enrolment, by itself."""
    program.client.post_events([_line(event, "enrolment")])


def prepare(program: Program, numbers: list[str]) -> None:
    """Propose so many trainees for a cohort that has started."""
    roles = ["coordinator", "sending-office", "host-centre", "awarding-body"]
    scheme = {
        "scheme": SCHEME,
        "titles": {"en": "Bench"},
        "awarding_body": {"en": "Bench"},
        "occupations": [{"occupation": "one", "titles": {"en": "One"}}],
        "levels": [{"level": "one", "titles": {"en": "One"}}],
        "rule": "on_pass",
        "completion_required": True,
    }
    titles = {"en": "Bench"}
    cohort = {
        "programme": "bench",
        "titles": titles,
        "places": [{"country": "KH", "places": len(numbers)}],
        "host_centre": "bench",
        "host_country": "CN",
        "mode": "in-person",
        "trades": ["one"],
        "starts_on": _day(7),
        "ends_on": _day(9),
        "language": "en",
        "timezone": "Asia/Shanghai",
        "schemes": [SCHEME],
        "parties": [{"office": OFFICE, "role": role} for role in roles],
    }
    programme = {"programme": "bench", "titles": titles, "countries": ["KH", "CN"]}
    centre = {"centre": "bench", "names": titles, "country": "CN", "kind": "training-institute"}
    proposed = {"role": "student", "country": "KH", "trade": "one"}
    events = [
        _event("programme.registered", "programme", 0, **programme),
        _event("centre.registered", "centre", 0, **centre),
        _event("cohort.announced", "announced", 0, **cohort),
        *(_event("trainee.proposed", f"proposed-{number}", 1, number=number, **proposed) for number in numbers),
        _event("cohort.started", "started", 7, date=_day(7)),
    ]
    program.client.post_events([_line(event, "enrolment") for event in events])
    program.client.post_events([_line(_event("scheme.registered", "scheme", 0, **scheme), "certification")])


def _event(type_: str, name: str, day: int, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"bench-{name}",
        "source": OFFICE,
        "type": f"{type_}.v1",
        "time": (FIRST + timedelta(days=day)).isoformat(),
        "data": {"cohort": COHORT, **data},
    }


def _line(event: dict[str, Any], service: Any) -> Line:
    return Line("", 0, service, OFFICE, json.dumps(event).encode())


def _award() -> dict[str, str]:
    return {"scheme": SCHEME, "occupation": "one", "level": "one"}


def _day(number: int) -> str:
    day: date = (FIRST + timedelta(days=number)).date()
    return day.isoformat()


def _person(number: str) -> dict[str, Any]:
    return {
        "identifiers": [{"kind": "national-id", "number": f"BENCH{number}", "country": "KH"}],
        "names": {"original": f"Bench {number}", "romanised": f"Bench {number}"},
        "sex": "F",
    }
