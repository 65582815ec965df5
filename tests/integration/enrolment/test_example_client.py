"""The example of a client over NATS, run as an office would, against the real broker and a running enrolment."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from tests.integration.enrolment.house import REGISTRATIONS
from tests.servers import NatsForTests
from tests.unit.enrolment.story import SENDER, STRANGER, announced, proposed

CLIENT = Path(__file__).parents[3] / "examples" / "nats-client" / "post_and_read.py"


@pytest.fixture
async def credentials(service: httpx.AsyncClient, tmp_path: Path) -> Path:
    body = {"office": SENDER, "name": "NTTI", "roles": ["sending-office"], "officer": "desk-1"}
    answer = (await service.post("/v1/offices", json=body)).json()
    file = tmp_path / "ntti.creds"
    file.write_text(answer["nats"]["credentials"])
    deadline = monotonic() + 20
    while not await _has_durable(service):
        assert monotonic() < deadline
        await asyncio.sleep(0.05)
    return file


async def _has_durable(service: httpx.AsyncClient) -> bool:
    """Ready again means: the broker knows what the registry says."""
    return (await service.get("/readyz")).status_code == 200


async def run(server: NatsForTests, credentials: Path, events: Sequence[dict[str, Any]]) -> tuple[int, str, str]:
    file = credentials.with_suffix(".ndjson")
    file.write_text("\n".join(json.dumps(event) for event in events))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(CLIENT),
        str(credentials),
        str(file),
        server.url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), err.decode()


async def test_it_posts_and_reads_its_receipts(
    service: httpx.AsyncClient, nats_server: NatsForTests, credentials: Path
) -> None:
    content = "\n".join(json.dumps(event) for event in (*REGISTRATIONS, announced()))
    await service.post("/v1/events", content=content, headers={"Content-Type": "application/x-ndjson"})
    wrong = {**proposed("02"), "id": "wrong", "type": "trainee.invented.v1"}
    code, out, err = await run(nats_server, credentials, [proposed(), wrong, proposed("03", cohort="other")])
    assert (code, err) == (0, "")
    found = {line.split()[0]: line.split()[1:3] for line in out.splitlines()}
    assert found == {
        proposed()["id"]: ["accepted", "applied"],
        "wrong": ["rejected", "unknown_type"],
        proposed("03")["id"]: ["waiting", "cohort_unknown"],
    }


async def test_a_denied_publish_is_a_sentence_and_no_time_out(
    service: httpx.AsyncClient, nats_server: NatsForTests, credentials: Path
) -> None:
    began = monotonic()
    code, out, err = await run(nats_server, credentials, [proposed(source=STRANGER)])
    assert (code, out) == (1, "")
    assert err.strip() == (
        'These credentials may not post on "intake.enrolment.la.vte": it is another office\'s. Post as your own.'
    )
    assert monotonic() - began < 15


async def test_revoked_credentials_are_a_sentence(
    service: httpx.AsyncClient, nats_server: NatsForTests, credentials: Path
) -> None:
    assert (await service.delete("/v1/offices/kh/ntti/officers/desk-1")).status_code == 204
    deadline = monotonic() + 20
    code, out, err = 0, "", ""
    while "revoked" not in err:
        assert monotonic() < deadline, (code, out, err)
        code, out, err = await run(nats_server, credentials, [proposed()])
    assert (code, "Traceback" in err) == (1, False)
