"""How long one event takes from its POST to the report, when nothing else happens."""

import json
import time
from datetime import date, datetime, timedelta, timezone
from typing import Any

import httpx

from bench.program import Program
from services.eventfiles import Line

COHORT, SCHEME = "bench-latency", "bench-on-pass"
OFFICE = "/offices/cn/bench"
TITLES = {"en": "Bench"}
ZONE = timezone(timedelta(hours=8))
FIRST = datetime(2025, 9, 1, 9, tzinfo=ZONE)
PATIENCE = 10.0
PAUSE = 0.1  # between two events, so that each finds the program idle


def latency(program: Program, samples: int, cohort: str = COHORT) -> dict[str, list[float]]:
    """Milliseconds from the start of a POST until the report of its cohort shows its effect, one event at a time.

    An enrolment shows as soon as reporting has heard enrolment; a completion that issues a certificate goes by certification too.
    """
    numbers = [f"{number:03d}" for number in range(1, samples + 1)]
    prepare(program, numbers, cohort)
    program.client.wait_until_reported()
    taken: dict[str, list[float]] = {"enrolment": [], "enrolment, certification": []}
    token = {"Authorization": f"Bearer {program.sampan.admin_token}"}
    with httpx.Client(headers=token, timeout=30) as http:
        for number in numbers:
            taken["enrolment"].append(_milliseconds(program, http, enrolled(number, cohort), "enrolled"))
        marks = [assessed(number, cohort) for number in numbers]
        program.client.post_events([line(one, "certification") for one in marks])
        program.client.wait_until_reported()
        for number in numbers:
            taken["enrolment, certification"].append(
                _milliseconds(program, http, completed(number, cohort), "certified")
            )
    return taken


def _milliseconds(program: Program, http: httpx.Client, event: dict[str, Any], measure: str) -> float:
    report = f"{program.sampan.urls['reporting']}/v1/aggregates?measure={measure}&cohort={event['data']['cohort']}"

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


def enrolled(number: str, cohort: str = COHORT) -> dict[str, Any]:
    """The event that enrols somebody who was proposed."""
    return event(
        "trainee.enrolled", f"enrolled-{number}", 2, cohort, number=number, person=person(f"{cohort}-{number}")
    )


def completed(number: str, cohort: str) -> dict[str, Any]:
    """The event with which somebody who passed is certified."""
    return event("trainee.completed", f"completed-{number}", 9, cohort, number=number, date=day_of(9))


def assessed(number: str, cohort: str) -> dict[str, Any]:
    """Somebody passes; certification's."""
    return event(
        "trainee.assessed", f"assessed-{number}", 8, cohort, number=number, **_award(), date=day_of(8), result="pass"
    )


def started(cohort: str) -> dict[str, Any]:
    """The first day."""
    return event("cohort.started", "started", 7, cohort, date=day_of(7))


def post(program: Program, event: dict[str, Any]) -> None:
    """One event to enrolment, by itself."""
    program.client.post_events([line(event, "enrolment")])


def prepare(program: Program, numbers: list[str], cohort: str = COHORT) -> None:
    """Propose so many trainees for a cohort that has started."""
    proposed = {"role": "student", "country": "KH", "trade": "one"}
    events = [
        announced(cohort, len(numbers)),
        *(event("trainee.proposed", f"proposed-{number}", 1, cohort, number=number, **proposed) for number in numbers),
        started(cohort),
    ]
    register(program)
    program.client.post_events([line(one, "enrolment") for one in events])


def register(program: Program) -> None:
    """Post the programme, the centre and the scheme of all these cohorts. Once more changes nothing."""
    *of_enrolment, scheme = registered()
    program.client.post_events(of_enrolment)
    program.client.post_events([scheme])


def registered() -> list[Line]:
    """The programme and the centre, and the scheme, which is certification's."""
    programme: dict[str, Any] = {"programme": "bench", "titles": TITLES, "countries": ["KH", "CN"]}
    centre: dict[str, Any] = {"centre": "bench", "names": TITLES, "country": "CN", "kind": "training-institute"}
    scheme: dict[str, Any] = {
        "scheme": SCHEME,
        "titles": TITLES,
        "awarding_body": TITLES,
        "occupations": [{"occupation": "one", "titles": {"en": "One"}}],
        "levels": [{"level": "one", "titles": {"en": "One"}}],
        "rule": "on_pass",
        "completion_required": True,
    }
    return [
        line(event("programme.registered", "programme", 0, **programme), "enrolment"),
        line(event("centre.registered", "centre", 0, **centre), "enrolment"),
        line(event("scheme.registered", "scheme", 0, **scheme), "certification"),
    ]


def announced(cohort: str, places: int) -> dict[str, Any]:
    """A cohort of so many."""
    roles = ["coordinator", "sending-office", "host-centre", "awarding-body"]
    fields = {
        "programme": "bench",
        "titles": TITLES,
        "places": [{"country": "KH", "places": places}],
        "host_centre": "bench",
        "host_country": "CN",
        "mode": "in-person",
        "trades": ["one"],
        "starts_on": day_of(7),
        "ends_on": day_of(9),
        "language": "en",
        "timezone": "Asia/Shanghai",
        "schemes": [SCHEME],
        "parties": [{"office": OFFICE, "role": role} for role in roles],
    }
    return event("cohort.announced", "announced", 0, cohort, **fields)


def event(type_: str, name: str, day: int, cohort: str = COHORT, **data: Any) -> dict[str, Any]:
    """What the bench's office says on a day."""
    return {
        "specversion": "1.0",
        "id": f"{cohort}-{name}",
        "source": OFFICE,
        "type": f"{type_}.v1",
        "time": (FIRST + timedelta(days=day)).isoformat(),
        "data": {"cohort": cohort, **data},
    }


def line(event: dict[str, Any], service: Any) -> Line:
    """For the client."""
    return Line("", 0, service, OFFICE, json.dumps(event).encode())


def _award() -> dict[str, str]:
    return {"scheme": SCHEME, "occupation": "one", "level": "one"}


def day_of(number: int) -> str:
    """The date of one of these cohorts' days."""
    day: date = (FIRST + timedelta(days=number)).date()
    return day.isoformat()


def person(number: str) -> dict[str, Any]:
    """Somebody whom no other number names."""
    return {
        "identifiers": [{"kind": "national-id", "number": f"BENCH{number}", "country": "KH"}],
        "names": {"original": f"Bench {number}", "romanised": f"Bench {number}"},
        "sex": "F",
    }
