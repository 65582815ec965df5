"""Somebody asks to be forgotten: their names are searched for everywhere, and every figure stands."""

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from services.enrolment.register import Register
from shared.events.identity import enrolment_id
from tests.e2e.conftest import EXAMPLE, Program, on_this_machine
from tests.e2e.test_program import eventually, everywhere, program_database, totals

pytestmark = [pytest.mark.xdist_group("e2e"), on_this_machine]

COHORT, NUMBER = "wuxi-2025-spring", "001"


def the_person() -> dict[str, Any]:
    """Who the example says the first trainee is."""
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


async def opened(program: Program) -> str:
    """Everything in the register that still opens with the secret."""
    register = Register(bytes.fromhex((program.folder / "secrets" / "enrolment").read_text().strip()))
    database = await asyncpg.connect(program_database(program, "enrolment"))
    await database.execute("SET search_path TO enrolment")
    masters = await database.fetch("SELECT id, sealed FROM master_keys WHERE sealed IS NOT NULL")
    register.learn({row["id"]: row["sealed"] for row in masters})
    rows = await database.fetch(
        "SELECT source, id, owner, e.sealed, k.sealed AS key FROM register_entries e JOIN register_keys k USING (owner)"
    )
    await database.close()
    return "\n".join(
        register.unseal(row["key"], row["owner"], row["sealed"], f"{row['source']}/{row['id']}").decode()
        for row in rows
    )


def test_given_somebody_is_forgotten_then_their_names_are_nowhere_and_every_figure_stands(
    program: Program, data_folder: Path, tmp_path: Path
) -> None:
    program.run("post", EXAMPLE)
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
    assert program.run("keys", "rotate").stdout.startswith("9 keys are wrapped")
    before, shown = totals(program), "\n".join(answers(program).values())
    register = asyncio.run(opened(program))
    for detail in details:
        assert detail in shown or json.dumps(detail)[1:-1] in shown
        assert detail in register

    event = {
        **refused,
        "id": "forget-1",
        "type": "person.forgotten.v1",
        "time": "2025-12-01T09:00:00+07:00",
        "data": {"cohort": COHORT, "number": NUMBER, "decided_by": "desk-1", "reason": "own-request"},
    }
    file = tmp_path / "forget.ndjson"
    file.write_text(json.dumps(event))
    posted = program.run("post", file)
    assert posted.returncode == 0, posted.stdout + posted.stderr

    found = asyncio.run(everywhere(program)) | answers(program) | {"register": asyncio.run(opened(program))}
    found |= {str(log): log.read_text(errors="replace") for log in (data_folder / "logs").iterdir()}
    assert len(found) > 50
    assert "details_forgotten" in found["enrolment.events"]
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
    assert details[0] not in asyncio.run(opened(program))
    assert totals(program) == before
