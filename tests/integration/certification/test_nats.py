"""The whole service on the real nats-server: facts of enrolment and events of offices in, receipts and facts out."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from nats.js import JetStreamContext

from services.certification.app import create
from services.certification.handlers import Told
from services.certification.settings import Settings
from shared.database import Database
from shared.events.enrolment import CohortFact, OfficeFact, TraineeFact, cohort_fact, office_fact, trainee_fact
from shared.events.facts import Fact
from shared.streams import ensure_stream
from tests.integration.certification.given import a_cohort, a_trainee, an_office, fields
from tests.servers import NatsForTests, broker_files
from tests.unit.certification.given import BODY, CENTRE, assessed, awarded, registered, trainee

ADMINISTRATOR = "an-administrators-token"
OWNED_BY_ENROLMENT = ("INTAKE", "RECEIPTS", "ENROLMENT", "DEADLETTERS")


@pytest.fixture
async def river(nats_server: NatsForTests) -> AsyncIterator[JetStreamContext]:
    """A connection of the test's own, on a broker with the streams that enrolment keeps, empty."""
    connection = await nats_server.connect()
    stream = connection.jetstream(timeout=5)
    for info in await stream.streams_info():
        await stream.delete_stream(info.config.name or "")
    for name in OWNED_BY_ENROLMENT:
        await ensure_stream(stream, name)
    yield stream
    await connection.close()


@pytest.fixture
async def service(
    migrated: str, database: Database, nats_server: NatsForTests, river: JetStreamContext, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    (tmp_path / "secret").write_text("ab" * 32)
    (tmp_path / "admin").write_text(ADMINISTRATOR)
    app = create(
        Settings(
            database_url=migrated,
            nats_url=nats_server.url,
            **broker_files(tmp_path, "certification", nats_server.keys),
            secret_file=tmp_path / "secret",
            admin_token_file=tmp_path / "admin",
        )
    )
    headers = {"Authorization": f"Bearer {ADMINISTRATOR}"}
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://it", headers=headers) as client,
    ):
        deadline = monotonic() + 20
        while (await client.get("/readyz")).status_code != 200:
            assert monotonic() < deadline, (await client.get("/readyz")).text
            await asyncio.sleep(0.05)
        yield client


def address(told: Told) -> Fact:
    """The fact with its kind and subject, as enrolment publishes it."""
    if isinstance(told.data, OfficeFact):
        return office_fact(told.data)
    if isinstance(told.data, CohortFact):
        return cohort_fact(told.data, told.cause)
    assert isinstance(told.data, TraineeFact)
    return trainee_fact(told.data, told.cause)


async def tell(river: JetStreamContext, *told: Told) -> None:
    for one in told:
        fact = address(one)
        message = {
            "specversion": "1.0",
            "id": f"1-{fact.key}",
            "source": "/services/enrolment",
            "type": fact.type,
            "subject": fact.key,
            "time": "2025-04-01T00:00:00Z",
            "datacontenttype": "application/json",
            "epoch": one.epoch,
            "revision": one.revision,
            "data": fact.data.model_dump(mode="json"),
        }
        await river.publish(fact.address, json.dumps(message).encode())


async def messages(river: JetStreamContext, stream: str, count: int) -> list[tuple[str, dict[str, Any]]]:
    """The messages of a stream, once there are so many."""
    deadline = monotonic() + 15
    while (info := await river.stream_info(stream)).state.messages < count:
        assert monotonic() < deadline, f"{stream} has {info.state.messages} of {count}"
        await asyncio.sleep(0.05)
    read = [await river.get_msg(stream, sequence) for sequence in range(1, info.state.last_seq + 1)]
    return [(message.subject or "", json.loads(message.data or b"")) for message in read]


async def test_facts_and_events_in_receipts_and_facts_out(service: httpx.AsyncClient, river: JetStreamContext) -> None:
    await tell(river, an_office(BODY, "t1"), an_office(CENTRE, "t2"))
    programme = {
        "specversion": "1.0",
        "id": "1-9",
        "source": "/services/enrolment",
        "type": "programme.v1",
        "subject": "p",
    }
    programme |= {"time": "2025-04-01T00:00:00Z", "datacontenttype": "application/json"}
    await river.publish(
        "enrolment.programme.p", json.dumps({**programme, "epoch": 1, "revision": 1, "data": {}}).encode()
    )
    deadline = monotonic() + 10
    while (await service.get("/v1/position")).json()["heard"] != {"ENROLMENT": 3}:
        assert monotonic() < deadline
        await asyncio.sleep(0.05)
    posted = {
        "intake.certification.cn.appraisal": [registered("scheme", 1), awarded("c", 14, printed="S-1")],
        "intake.certification.cn.institute": [assessed("a", 11), awarded("x", 14)],
    }
    for subject, events in posted.items():
        await river.publish(subject, json.dumps([fields(event) for event in events]).encode())
    await messages(river, "RECEIPTS", 4)
    await tell(river, a_cohort(), a_trainee(trainee()))
    receipts = [(subject, said["receipt"]) for subject, said in await messages(river, "RECEIPTS", 6)]
    last = {(subject, receipt["id"]): (receipt["code"], receipt.get("number")) for subject, receipt in receipts}
    assert last == {
        ("receipts.cn.appraisal", "scheme"): ("applied", 1),
        ("receipts.cn.appraisal", "c"): ("applied", 2),
        ("receipts.cn.institute", "a"): ("applied", 2),
        ("receipts.cn.institute", "x"): ("source_not_yours", None),
    }
    (_, scheme), (subject, certificate) = await messages(river, "CERTIFICATION", 2)
    assert (scheme["type"], certificate["type"]) == ("scheme.v1", "certificate.v1")
    assert subject == f"certification.certificate.kh.{certificate['subject']}"
    assert (certificate["data"]["status"], certificate["data"]["number"]) == ("issued", "S-1")
    position = (await service.get("/v1/position")).json()
    assert position == {"position": {"CERTIFICATION": 2}, "heard": {"ENROLMENT": 5}}


async def test_bad_messages_get_receipts_and_their_neighbours_are_taken(
    service: httpx.AsyncClient, river: JetStreamContext
) -> None:
    await tell(river, an_office(BODY, "t1"))
    deadline = monotonic() + 10
    while (await service.get("/v1/position")).json()["heard"] != {"ENROLMENT": 1}:
        assert monotonic() < deadline
        await asyncio.sleep(0.05)
    good = json.dumps(fields(registered("scheme", 1))).encode()
    bad = [b"{", b"\xff", b"", b'{"id": NaN}', b'{"id": "x", "id": "y"}', b'"text"', b"[1]", b"{}", b"[" * 100_000]
    for body in [*bad, good, good]:
        await river.publish("intake.certification.cn.appraisal", body)
    await river.publish("intake.certification.kh.nobody", good)
    receipts = await messages(river, "RECEIPTS", len(bad) + 3)
    assert sorted(said["receipt"]["code"] for _, said in receipts) == sorted(
        [
            *("invalid_json", "invalid_utf8", "invalid_json", "not_a_number", "duplicate_key", "not_an_object"),
            *("not_an_object", "invalid_envelope", "too_deep", "applied", "duplicate", "office_unknown"),
        ]
    )
    assert (await river.stream_info("DEADLETTERS")).state.messages == 0
    deadline = monotonic() + 10
    while (await river.stream_info("INTAKE")).state.messages:
        assert monotonic() < deadline
        await asyncio.sleep(0.05)
