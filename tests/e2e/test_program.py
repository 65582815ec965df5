"""`sampan up` and what people do with it: post, ask, come back tomorrow, be told what is in the way."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import nats
import psutil
import pytest

from tests.e2e.conftest import EXAMPLE, ROOT, Program, on_this_machine, sampan
from tests.e2e.inside import inside

pytestmark = pytest.mark.xdist_group("e2e")

COHORT = "wuxi-2025-spring"


def eventually(check: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)  # polls with a deadline


def totals(program: Program, **where: str) -> dict[str, int]:
    answer = httpx.get(f"{program.url('reporting')}/v1/aggregates", params=where, headers=program.admin)
    if answer.status_code == 400 and answer.json()["code"] == "unknown_value":
        return Counter()  # nothing of this was heard yet
    assert answer.status_code == 200, answer.text
    return answer.json()["totals"]  # type: ignore[no-any-return]


def test_given_a_running_program_when_the_example_is_posted_then_report_and_check_agree(program: Program) -> None:
    program.post(EXAMPLE)
    mine = "ilo-china-skills"  # the containers may hold programmes of other tests
    eventually(lambda: totals(program, programme=mine)["certified"] == 9, "the report never showed nine certificates")

    asked = ("--by", "sex", "--where", f"programme={mine}", "--measure", "enrolled,certified", "--format", "csv")
    report = program.run("report", *asked)
    check = program.run("check")

    assert report.stdout.split() == ["sex,enrolled,certified", "F,3,3", "M,6,6"]
    assert check.returncode == 0, check.stdout + check.stderr


def test_given_what_was_posted_when_it_is_posted_again_then_all_are_duplicates(example: Program) -> None:
    again = example.run("post", EXAMPLE)

    assert again.returncode == 0
    assert again.stdout.strip().endswith("86 events: 86 duplicate")


def test_given_an_office_when_it_posts_for_another_then_it_is_rejected_and_its_own_events_are_taken(
    program: Program,
) -> None:
    added = program.run("office", "add", "la/tvet", "--name", "Lao TVET", "--role", "coordinator")
    assert added.returncode == 0, added.stderr
    token = re.search(r"Token\s+(\S+)", added.stdout)
    assert token is not None
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": "centre-1",
        "source": "/offices/la/tvet",
        "type": "centre.registered.v1",
        "time": "2026-03-02T09:00:00+07:00",
        "data": {"centre": "lao-german", "country": "LA", "kind": "training-institute", "names": {"en": "Lao-German"}},
    }

    answer = httpx.post(
        f"{program.url('enrolment')}/v1/events",
        content=json.dumps([event, event | {"source": "/offices/kh/dgtvet", "id": "centre-2"}]),
        headers={"Authorization": f"Bearer {token[1]}", "Content-Type": "application/cloudevents-batch+json"},
    )

    assert answer.status_code == 207
    assert [receipt["code"] for receipt in answer.json()["receipts"]] == ["applied", "source_not_yours"]
    listed = program.run("office", "list")
    assert "/offices/la/tvet" in listed.stdout

    revoked = program.run("office", "revoke", "la/tvet")
    assert revoked.returncode == 0, revoked.stderr
    for service in ("enrolment", "certification", "reporting"):
        url = f"{program.url(service)}/v1/position"
        headers = {"Authorization": f"Bearer {token[1]}"}
        eventually(lambda: httpx.get(url, headers=headers).status_code == 401, f"{service} still takes it")  # noqa: B023


def test_given_an_offices_credentials_when_events_come_as_messages_then_they_are_answered_on_receipts(
    program: Program, tmp_path: Path
) -> None:
    own = {
        "specversion": "1.0",
        "id": "over-nats-1",
        "source": "/offices/mm/sat",
        "type": "centre.registered.v1",
        "time": "2026-03-02T09:00:00+06:30",
        "data": {"centre": "yangon-iti", "country": "MM", "kind": "training-institute", "names": {"en": "Yangon ITI"}},
    }
    credentials = tmp_path / "sat.creds"
    add = ("office", "add", "mm/sat", "--name", "SAT", "--role", "coordinator", "--credentials", credentials)
    sheet = program.run(*add)
    assert sheet.returncode == 0, sheet.stderr
    assert "NKEY SEED" not in sheet.stdout
    assert credentials.stat().st_mode & 0o777 == 0o600
    assert "is there already" in program.run(*add).stderr
    url = re.search(r"nats://[^\s,]+", sheet.stdout)
    assert url is not None

    async def talk() -> list[dict[str, Any]]:
        connection = await nats.connect(url[0], user_credentials=credentials, inbox_prefix="_INBOX_mm_sat")
        stream = connection.jetstream()
        receipts = await stream.pull_subscribe_bind("mm_sat", stream="RECEIPTS")
        bodies = [json.dumps([own, own]), "\xff not json", json.dumps(own | {"id": "UPPER"})]
        for body in bodies:
            await stream.publish("intake.enrolment.mm.sat", body.encode("latin-1"))
        found: list[dict[str, Any]] = []
        while len(found) < 4:
            for message in await receipts.fetch(10, timeout=20):
                found.append(json.loads(message.data))
                await message.ack()
        await connection.close()
        return found

    answers = asyncio.run(talk())

    assert sorted(answer["receipt"]["code"] for answer in answers) == [
        "applied",
        "duplicate",
        "invalid_code",
        "invalid_utf8",
    ]
    assert sorted(answer["receipt"]["status"] for answer in answers) == [
        "accepted",
        "duplicate",
        "rejected",
        "rejected",
    ]


PLANTED = (
    "Sophea",
    "សុភា",
    "2004-05-17",
    "000000001",
    "NTTI-INV",
    "+855 00 000",
    "trainee001",
    "Sok Planted",
    "P9999999",
)


def test_given_the_example_when_everything_but_the_register_is_searched_then_no_personal_detail_is_found(
    example: Program,
) -> None:
    program = example
    person = {"names": {"original": "Sok Planted", "romanised": "Sok Planted"}, "sex": "F", "birth_date": "2004-05-17"}
    refused = {  # names in an event that is refused, and in one that no handler could read
        "specversion": "1.0",
        "id": "planted",
        "source": "/offices/kh/dgtvet",
        "type": "trainee.enrolled.v1",
        "time": "2025-03-14T14:00:00",
        "data": {"cohort": "wuxi-2025-spring", "number": "001", "person": person | {"passport": "P9999999"}},
    }
    text = json.dumps(refused, ensure_ascii=False)
    for body, kind in ((text, "application/cloudevents+json"), (text[:-9], "application/x-ndjson")):
        headers = program.admin | {"Content-Type": kind}
        assert (
            httpx.post(f"{program.url('enrolment')}/v1/events", content=body.encode(), headers=headers).status_code
            >= 400
        )

    async def on_the_broker() -> dict[str, str]:
        found: dict[str, str] = {}
        connection = await inside(program).broker()
        stream = connection.jetstream()
        for service in ("enrolment", "certification"):
            await stream.publish(f"intake.{service}.kh.dgtvet", text.encode())
            await stream.publish(f"intake.{service}.kh.dgtvet", text[:-9].encode())
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

    found = asyncio.run(on_the_broker()) | inside(program).tables() | inside(program).logs()

    assert len(found) > 50
    assert any(place.startswith("enrolment.") and found[place] for place in found)
    leaks = {(place, detail) for place, text in found.items() for detail in PLANTED if detail in text}
    assert not leaks


def test_given_a_service_is_killed_when_time_passes_then_it_is_back_and_nothing_is_lost(example: Program) -> None:
    program = example
    inside(program).kill("certification")

    posted = program.run("post", EXAMPLE)  # while it is away: the command waits for it

    assert posted.stdout.strip().endswith("86 events: 86 duplicate"), posted.stderr
    mine = {"programme": "ilo-china-skills"}  # the containers may hold programmes of other tests
    eventually(lambda: program.run("check").returncode == 0 and totals(program, **mine)["certified"] == 9, "not back")
    eventually(lambda: certification_answers(program), "certification did not come back")


def certification_answers(program: Program) -> bool:
    try:
        return httpx.get(f"{program.url('certification')}/readyz").status_code == 200
    except httpx.TransportError:
        return False


@on_this_machine
def test_given_a_folder_in_use_when_a_second_program_starts_on_it_then_one_sentence_says_so(program: Program) -> None:
    second = Program(program.folder)
    ended = subprocess.run(
        sampan("up", "--data", program.folder),
        cwd=ROOT,
        env=second.env,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 1
    assert len(ended.stderr.strip().splitlines()) == 1
    assert program.process is not None
    assert str(program.folder) in ended.stderr
    assert f"in use by another Sampan (process {program.process.pid})" in ended.stderr
    assert program.answers()


@on_this_machine
def test_given_a_busy_port_when_the_program_starts_then_one_sentence_names_it(tmp_path: Path) -> None:
    busy = Program(tmp_path / "data")
    with socket.create_server(("127.0.0.1", int(busy.env["SAMPAN_REPORTING_PORT"]))):
        ended = subprocess.run(
            sampan("up", "--data", busy.folder),
            cwd=ROOT,
            env=busy.env,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )

    assert ended.returncode == 1
    assert len(ended.stderr.strip().splitlines()) == 1
    port = busy.env["SAMPAN_REPORTING_PORT"]
    assert f"reporting's port {port} is in use: stop what uses it, or set SAMPAN_REPORTING_PORT" in ended.stderr


@on_this_machine
@pytest.mark.parametrize("ending", [pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGKILL])
def test_given_the_program_ended_when_it_starts_again_then_it_carries_on_with_the_same_data(
    example: Program, ending: signal.Signals
) -> None:
    program = example
    eventually(lambda: totals(program, cohort=COHORT)["certified"] == 9, "the report never showed nine certificates")
    children = psutil.Process(program.process.pid).children(recursive=True)  # type: ignore[union-attr]

    program.stop(ending)
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive, alive
    program.start()

    assert totals(program, cohort=COHORT)["certified"] == 9
    assert program.run("check").returncode == 0


def test_given_a_wrong_token_when_a_command_asks_then_one_sentence_says_so(program: Program) -> None:
    ended = program.run("report", "--token", "sampan_kh_nobody_x")

    assert ended.returncode == 1
    assert "revoked" in ended.stderr
    assert "Traceback" not in ended.stderr


@on_this_machine
@pytest.mark.long
def test_given_no_public_address_when_certificates_are_awarded_then_nothing_is_issued_and_it_says_so(
    own_program: Program,
) -> None:
    own_program.post(EXAMPLE)
    address = own_program.url("certification")
    awarded = httpx.get(f"{address}/v1/certificates", headers=own_program.admin).raise_for_status().json()["items"]
    assert "issued" in {one["status"] for one in awarded}
    assert {one["attestation"] for one in awarded} == {None}
    for path in ("/.well-known/did.json", "/v1/status/1", "/v1/log/checkpoint"):
        answer = httpx.get(address + path)
        assert (answer.status_code, answer.json()["code"]) == (404, "nothing_issued")
    said = own_program.run("issuer", "status").stdout
    unknown = own_program.run("issuer", "compromised", "9")
    assert unknown.returncode == 1
    assert "There is no key 9" in unknown.stdout + unknown.stderr, "before anything is asked"
    assert "Nothing is issued: set SAMPAN_PUBLIC_URL" in said
    assert "Public: nothing yet." in said
