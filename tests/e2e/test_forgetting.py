"""Somebody asks to be forgotten: their names are searched for everywhere, and every figure stands."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.events.identity import enrolment_id
from tests.e2e.conftest import EXAMPLE, Program
from tests.e2e.inside import inside
from tests.e2e.test_program import eventually, totals

pytestmark = pytest.mark.xdist_group("e2e")

COHORT, NUMBER = "wuxi-2025-spring", "009"


def the_person() -> dict[str, Any]:
    """Who the example says the last trainee is."""
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        data: dict[str, Any] = json.loads(line)["data"]
        if data.get("number") == NUMBER and data.get("person"):
            return dict(data["person"])
    raise AssertionError("the example has no such trainee")


def details_of(person: dict[str, Any]) -> list[str]:
    """What would tell who it was."""
    return [
        person["names"]["original"],
        person["names"]["romanised"],
        person["birth_date"],
        *(identifier["number"] for identifier in person["identifiers"]),
        *person.get("contact", {}).values(),
    ]


def answers(program: Program) -> dict[str, str]:
    """What can be asked of the services: exports, details, dead letters and rejected bodies with what is in them."""
    found: dict[str, str] = {}

    def ask(service: str, path: str) -> httpx.Response:
        answer = httpx.get(f"{program.url(service)}{path}", headers=program.admin)
        found[f"{service} {path}"] = answer.text
        return answer

    place = enrolment_id(COHORT, NUMBER)
    person = ask("enrolment", f"/v1/enrolments/{place}").json()["person"]
    for path in (f"/v1/persons/{person}", f"/v1/persons/{person}/export", f"/v1/cohorts/{COHORT}/trainees"):
        assert ask("enrolment", path).status_code == 200
    ask("enrolment", "/v1/persons/likely-duplicates")
    ask("reporting", "/v1/aggregates?by=sex")
    ask("reporting", "/v1/aggregates.csv")
    for service, kept in (("enrolment", "rejected"), ("enrolment", "deadletters"), ("certification", "deadletters")):
        for line in ask(service, f"/v1/{kept}").json()["items"]:
            ask(service, f"/v1/{kept}/{line['id']}")
    return found


async def on_the_broker(program: Program) -> dict[str, str]:
    """Every message of every stream, once what was posted is taken in."""
    found: dict[str, str] = {}
    connection = await inside(program).broker()
    stream = connection.jetstream()
    deadline = time.monotonic() + 30
    while (await stream.stream_info("INTAKE")).state.messages:
        assert time.monotonic() < deadline, "INTAKE was not emptied"
        await asyncio.sleep(0.1)  # polls with a deadline
    for name in ("ENROLMENT", "CERTIFICATION", "RECEIPTS", "DEADLETTERS"):
        state = (await stream.stream_info(name)).state
        for sequence in range(max(state.first_seq, 1), state.last_seq + 1):
            message = await stream.get_msg(name, sequence)
            found[f"{name}:{sequence}"] = f"{message.subject} {message.headers} {(message.data or b'').decode()}"
    await connection.close()
    return found


@pytest.mark.long
def test_given_somebody_is_forgotten_then_their_names_are_nowhere_and_every_figure_stands(
    own_program: Program, tmp_path: Path
) -> None:
    program = own_program
    program.post(EXAMPLE)
    eventually(lambda: totals(program)["certified"] == 9, "the report never showed nine certificates")
    person = the_person()
    details = details_of(person)
    assert len(details) >= 4
    refused = {
        "specversion": "1.0",
        "id": "refused",
        "source": "/offices/kh/dgtvet",
        "type": "trainee.enrolled.v1",
        "time": "2025-03-14T14:00:00",
        "data": {"cohort": COHORT, "number": NUMBER, "person": person},
    }
    headers = program.admin | {"Content-Type": "application/cloudevents+json"}
    httpx.post(f"{program.url('enrolment')}/v1/events", content=json.dumps(refused), headers=headers)
    assert "keys are wrapped under a new master key" in program.run("keys", "rotate").stdout
    before, shown = totals(program), "\n".join(answers(program).values())
    for detail in details:
        assert detail in shown or json.dumps(detail)[1:-1] in shown

    event = {
        **refused,
        "id": "forget-1",
        "type": "person.forgotten.v1",
        "time": "2025-12-01T09:00:00+07:00",
        "data": {"cohort": COHORT, "number": NUMBER, "decided_by": "desk-1", "reason": "own-request"},
    }
    file = tmp_path / "forget.ndjson"
    file.write_text(json.dumps(event))
    program.post(file)

    found = asyncio.run(on_the_broker(program)) | inside(program).tables() | inside(program).logs() | answers(program)
    assert len(found) > 50
    assert "details_forgotten" in found["enrolment.events"]
    for table in ("register_keys", "register_entries"):
        assert enrolment_id(COHORT, NUMBER) not in found[f"enrolment.{table}"]
    leaks = {
        (place, detail)
        for place, text in found.items()
        for detail in details
        if detail in text or json.dumps(detail)[1:-1] in text
    }
    assert not leaks
    assert totals(program) == before
    checked = program.run("check")
    assert checked.returncode == 0, checked.stdout + checked.stderr

    # The whole example again brings nothing back: its events are known, and say nothing of them any more.
    program.run("post", EXAMPLE)
    assert details[0] not in "".join(answers(program).values())
    assert totals(program) == before
