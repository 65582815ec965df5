"""What an administrator does to keep it in order: check, dead letters, rebuild; each against what can really go wrong."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from nats.js import JetStreamContext

from tests.e2e.conftest import Program
from tests.e2e.inside import inside
from tests.e2e.test_program import eventually

pytestmark = pytest.mark.xdist_group("e2e")

CENTRE: dict[str, Any] = {
    "specversion": "1.0",
    "source": "/offices/la/tvet",
    "type": "centre.registered.v1",
    "time": "2026-03-02T09:00:00+07:00",
    "data": {"centre": "lao-german", "country": "LA", "kind": "training-institute", "names": {"en": "Lao-German"}},
}
RECOGNITION: dict[str, Any] = {
    "specversion": "1.0",
    "id": "upkeep-electricians",
    "source": "/offices/la/qualifications",
    "type": "recognition.granted.v1",
    "time": "2026-03-02T09:00:00+07:00",
    "data": {
        "scheme": "cn-vslc",
        "occupation": "6-31-01-03",
        "level": "intermediate",
        "framework": "lnqf",
        "framework_level": "3",
        "degree": "partial",
        "starts_on": "2026-04-01",
        "source": "An invented decision",
    },
}
COHORT = "wuxi-2025-spring"
CORRUPTIONS = {
    "enrolment": {
        "cohorts": "UPDATE cohorts SET state = jsonb_set(state, '{closed}', 'null')",
        "enrolments": "UPDATE enrolments SET person = 'p-0' WHERE state->>'number' = '001'",
        "links": "DELETE FROM links WHERE enrolment IN (SELECT enrolment FROM enrolments WHERE state->>'number' = '002')",
        "programmes": 'UPDATE programmes SET data = data || \'{"donor": "Nobody"}\'',
        "events": "UPDATE events SET status = 'waiting', code = 'cohort_unknown' WHERE type = 'cohort.closed.v1'",
        "things": 'UPDATE things SET body = body || \'{"status": "proposed"}\' '
        "WHERE kind = 'trainee' AND body->>'number' = '003'",
        "outbox": "DELETE FROM outbox WHERE position = 5",
        "tokens": "DELETE FROM tokens WHERE office = '/offices/la/tvet'",
        "audit": "UPDATE audit SET officer = 'somebody-else' WHERE place = 1",
    },
    "certification": {
        "certificates": "UPDATE certificates SET data = data || '{\"number\": \"X-1\"}' WHERE data->>'trainee' = '004'",
        "schemes": "UPDATE schemes SET data = data || '{\"valid_months\": 1}'",
        "recognitions": 'UPDATE recognitions SET data = data || \'{"framework_level": "8"}\'',
        "trainees": "UPDATE trainees SET country = 'LA' WHERE number = '005'",
        "cohorts": "UPDATE cohorts SET revision = revision - 1",
        "audit": "DELETE FROM audit WHERE place = 1",
        "events": "UPDATE events SET code = 'passed_not_issued' WHERE enrolment IN "
        "(SELECT enrolment FROM trainees WHERE number = '006')",
    },
    "reporting": {
        "cohorts": 'UPDATE cohorts SET data = data || \'{"language": "th"}\'',
        "enrolments": "UPDATE enrolments SET data = data || '{\"sex\": \"M\"}' WHERE data->>'number' = '001'",
        "offices": "UPDATE offices SET roles = '[\"coordinator\", \"reader\"]' WHERE office = '/offices/la/tvet'",
        "cube": "UPDATE cube SET value = value + 1 WHERE measure = 'certified'",
    },
}
REFERENCED = (
    "UPDATE certificates SET data = kept.data FROM kept_certificates AS kept "
    "WHERE kept.certificate = certificates.certificate"
)
"""Other tables hold on to certificates: they are put right where they are."""
FOUND = (
    f"enrolment: cohort {COHORT}: its state is not the fold of its events",
    "belongs to another person than its links give",
    "is not linked to a person as its events say",
    "enrolment: programme ",
    "stands as waiting cohort_unknown, but the fold gives accepted applied",
    "the last fact is not what the state gives",
    "is not what is kept as such",
    "enrolment: journal ENROLMENT 5: is missing",
    "enrolment: office /offices/la/tvet: its last fact is not",
    "enrolment: audit trail 1: is not what was written there",
    "certification: audit trail 1: is missing",
    "certification: certificate ",
    "certification: scheme ",
    "certification: certificate's fact ",
    "certification: recognition ",
    "certification: recognition's fact ",
    "certification: trainee ",
    f"certification: cohort {COHORT}: is held as of revision",
    "stands as accepted passed_not_issued, but the fold gives accepted applied",
    f"reporting: cohort {COHORT}: is not what fact",
    "reporting: trainee ",
    "reporting: office /offices/la/tvet: is not what fact",
    'reporting: cell {"measure": "certified"',
    "reporting: changes ",
    "reporting: coarser cell -: certified by ",
)


@pytest.fixture(scope="module")
def posted(example: Program) -> Program:
    program = example
    said = httpx.post(
        f"{program.url('certification')}/v1/events",
        json=RECOGNITION,
        headers=program.admin | {"Content-Type": "application/cloudevents+json"},
    )
    assert said.json()["receipts"][0]["code"] == "applied", said.text
    added = program.run("office", "add", "la/tvet", "--name", "Lao TVET", "--role", "coordinator")
    assert added.returncode == 0, added.stderr
    return program


def in_database(program: Program, service: str, *statements: str) -> None:
    inside(program).change(service, *statements)


def on_the_bus(program: Program, work: Callable[[JetStreamContext], Awaitable[object]]) -> None:
    async def execute() -> None:
        connection = await inside(program).broker()
        try:
            await work(connection.jetstream())
        finally:
            await connection.close()

    asyncio.run(execute())


def checked(program: Program, service: str) -> dict[str, Any]:
    answer = httpx.get(f"{program.url(service)}/v1/check", headers=program.admin, timeout=60)
    return answer.json()  # type: ignore[no-any-return]


def letters(program: Program, service: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{program.url(service)}/v1/deadletters", headers=program.admin)
    return answer.json()["items"]  # type: ignore[no-any-return]


def assert_clean(program: Program) -> None:
    check = program.run("check")
    assert check.returncode == 0, check.stdout + check.stderr
    for what in ("messages of ENROLMENT", "events", "trainees", "certificates", "recognitions", "offices", "cells"):
        assert what in check.stderr


def test_given_untouched_data_when_checked_then_all_is_compared_and_nothing_differs(posted: Program) -> None:
    assert_clean(posted)


@pytest.mark.long
def test_given_facts_of_before_a_field_was_added_when_checked_then_nothing_differs(posted: Program) -> None:
    """A new field of a fact is optional: what was told without it before an upgrade is as true as it was."""
    in_database(
        posted,
        "enrolment",
        "UPDATE things SET body = body - 'former_parties' WHERE kind = 'cohort'",
        "UPDATE things SET body = body - 'declined_on' WHERE kind = 'trainee'",
        "UPDATE outbox SET body = (CAST(body AS jsonb) #- '{data,former_parties}' #- '{data,declined_on}')::text",
    )
    in_database(
        posted,
        "reporting",
        "UPDATE cohorts SET data = data - 'former_parties'",
        "UPDATE enrolments SET data = data - 'declined_on'",
    )
    for listener in ("certification", "reporting"):  # nobody else changes what was told: to them it is another history
        in_database(posted, listener, "UPDATE heard SET last = NULL")
    on_the_bus(posted, lambda streams: streams.delete_stream("ENROLMENT"))
    eventually(lambda: checked(posted, "enrolment")["number"] == 0, "the stream was not made anew", 30)

    assert_clean(posted)


def test_given_data_changed_by_hand_when_checked_then_every_difference_is_named(posted: Program) -> None:
    for service, tables in CORRUPTIONS.items():
        for table, corruption in tables.items():
            in_database(posted, service, f"CREATE TABLE kept_{table} AS SELECT * FROM {table}", corruption)  # noqa: S608
    try:
        check = posted.run("check")
    finally:
        for service, tables in CORRUPTIONS.items():
            for table in tables:
                kept = f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM kept_{table}"  # noqa: S608
                restored = (REFERENCED,) if table == "certificates" else (f"TRUNCATE {table}", kept)
                in_database(posted, service, *restored, f"DROP TABLE kept_{table}")

    assert check.returncode == 1
    assert [line for line in FOUND if line not in check.stdout] == []
    assert_clean(posted)


@pytest.mark.long
def test_given_a_message_taken_from_a_stream_when_checked_then_it_is_named_until_the_stream_is_made_anew(
    posted: Program,
) -> None:
    on_the_bus(posted, lambda streams: streams.delete_msg("ENROLMENT", 7))
    check = posted.run("check")
    assert check.returncode == 1
    assert "enrolment: stream ENROLMENT 7: the message on enrolment." in check.stdout

    on_the_bus(posted, lambda streams: streams.delete_stream("ENROLMENT"))
    eventually(lambda: checked(posted, "enrolment")["same"], "the stream was not made anew", 30)
    assert_clean(posted)


def test_given_reporting_when_it_is_rebuilt_then_the_cube_is_the_same(posted: Program) -> None:
    rebuilt = posted.run("rebuild", "reporting")

    assert rebuilt.returncode == 0, rebuilt.stderr
    assert rebuilt.stdout.startswith("reporting is made anew from ")
    assert rebuilt.stdout.endswith("Nothing was otherwise: the cube is the same as before.\n")
    assert_clean(posted)


@pytest.mark.long
def test_given_facts_that_reporting_cannot_take_when_that_is_mended_then_a_replay_takes_them(posted: Program) -> None:
    in_database(posted, "reporting", "ALTER TABLE offices ADD CONSTRAINT nobody CHECK (name <> 'Poison') NOT VALID")
    posted.run("office", "add", "mm/upkeep", "--name", "Poison", "--role", "coordinator")
    eventually(lambda: bool(letters(posted, "reporting")), "no dead letter", 30)

    again = posted.run("deadletters", "replay", "reporting")
    assert again.returncode == 1
    assert "failed again and is kept: IntegrityError at" in again.stdout
    assert "Poison" not in again.stdout
    check = posted.run("check")
    assert check.returncode == 1
    assert "reporting: office /offices/mm/upkeep: is not held" in check.stdout

    in_database(posted, "reporting", "ALTER TABLE offices DROP CONSTRAINT nobody")
    replayed = posted.run("deadletters", "replay", "reporting")
    assert replayed.returncode == 0, replayed.stdout
    assert posted.run("deadletters", "list").stdout == "There are no dead letters.\n"
    assert_clean(posted)


@pytest.mark.long
def test_given_a_message_that_names_no_office_when_it_is_a_dead_letter_then_only_the_administrator_sees_its_body(
    posted: Program,
) -> None:
    body = json.dumps(CENTRE | {"id": "lost-1"})
    on_the_bus(posted, lambda streams: streams.publish("intake.enrolment.la", body.encode()))
    eventually(lambda: bool(letters(posted, "enrolment")), "no dead letter", 30)
    listed = posted.run("deadletters", "list").stdout
    assert "intake.enrolment.la" in listed
    assert "lao-german" not in listed
    number = str(letters(posted, "enrolment")[0]["id"])

    shown = posted.run("deadletters", "show", "enrolment", number)
    assert json.loads(json.loads(shown.stdout)["body"]) == CENTRE | {"id": "lost-1"}
    again = posted.run("deadletters", "replay", "enrolment", number)
    assert again.returncode == 1
    assert "failed again and is kept: ValueError at " in again.stdout
    log = inside(posted).logs()["enrolment"]
    acts = posted.run("audit", "list", "--action", "deadletter.read").stdout
    assert ["administrator", "deadletter.read", number, "1"] in [line.split()[-4:] for line in acts.splitlines()]
    assert "lao-german" not in log

    added = posted.run("office", "add", "la/reads", "--name", "A reader", "--role", "reader")
    token = next(line.split()[1] for line in added.stdout.splitlines() if line.strip().startswith("Token"))
    for method, path in (
        ("GET", "/v1/deadletters"),
        ("GET", f"/v1/deadletters/{number}"),
        ("POST", f"/v1/deadletters/{number}/replay"),
        ("GET", "/v1/check"),
    ):
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.request(method, posted.url("enrolment") + path, headers=headers)
        assert (path, answer.status_code) == (path, 403)
        assert "lost-1" not in answer.text
