"""Offices on the broker: let in with what POST /v1/offices hands out, shut out by a revocation, whatever is away meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import nats.errors
import pytest
from fastapi import FastAPI
from nats.aio.client import Client
from nats.js import JetStreamContext
from sqlalchemy import text

from services.enrolment import admissions
from services.enrolment.admissions import Admissions
from shared.bus import Bus
from shared.credentials import Authority, Keys
from shared.database import Database
from shared.deadletters import DeadLetters
from tests.servers import NatsForTests
from tests.unit.enrolment.story import SENDER, proposed


async def until(holds: Callable[[], Awaitable[Any]], seconds: float = 15) -> Any:
    deadline = monotonic() + seconds
    while not (answer := await holds()):
        assert monotonic() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.05)
    return answer


async def added(client: httpx.AsyncClient, office: str = SENDER) -> dict[str, Any]:
    body = {"office": office, "name": "An office", "roles": ["sending-office"], "officer": "dara"}
    answer = await client.post("/v1/offices", json=body)
    assert answer.status_code == 201, answer.text
    given: dict[str, Any] = answer.json()["nats"]
    return given


@pytest.fixture
async def connect(nats_server: NatsForTests) -> AsyncIterator[Callable[[dict[str, Any]], Awaitable[Client]]]:
    """Connects as an office does with what it was given."""
    async with AsyncExitStack() as stack:

        async def connecting(given: dict[str, Any]) -> Client:
            connection = await nats_server.connect(
                given["credentials"], inbox_prefix=given["inbox_prefix"], allow_reconnect=False
            )
            stack.push_async_callback(connection.close)
            return connection

        yield connecting


async def durables(river: JetStreamContext) -> set[str | None]:
    return {info.name for info in await river.consumers_info("RECEIPTS")}


async def receipts(connection: Client, durable: str) -> list[dict[str, Any]]:
    """What waits, acked; at least one."""
    reader = await connection.jetstream().pull_subscribe_bind(durable, stream="RECEIPTS")
    found = []
    for message in await reader.fetch(1, timeout=10):
        found.append(json.loads(message.data))
        await message.ack_sync()
    return found


async def test_an_office_posts_with_its_credentials_and_reads_what_came_while_it_was_away(
    service: httpx.AsyncClient, river: JetStreamContext, connect: Any
) -> None:
    given = await added(service)
    await until(lambda: durables(river))
    first = await connect(given)
    await first.jetstream().publish("intake.enrolment.kh.ntti", json.dumps(proposed()).encode())
    await first.close()

    [said] = await receipts(await connect(given), given["durable"])
    assert (said["receipt"]["status"], said["receipt"]["code"]) == ("waiting", "cohort_unknown")

    again = await connect(given)
    await again.jetstream().publish("intake.enrolment.kh.ntti", json.dumps(proposed()).encode())
    [said] = await receipts(again, given["durable"])
    assert said["receipt"]["status"] == "duplicate"


async def test_credentials_are_kept_nowhere(service: httpx.AsyncClient, database: Database) -> None:
    given = await added(service)
    seed = next(line for line in given["credentials"].splitlines() if line.startswith("SU"))
    jwt = next(line for line in given["credentials"].splitlines() if line.startswith("ey"))
    async with database.transaction() as session:
        for table in ("broker_users", "offices", "tokens", "outbox", "things", "notices"):
            rows = f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t"  # noqa: S608
            kept = (await session.execute(text(rows))).scalar_one()
            assert seed not in kept
            assert jwt not in kept


async def test_a_revoked_office_is_cut_off_and_no_other(
    service: httpx.AsyncClient, river: JetStreamContext, connect: Any
) -> None:
    given, colleagues, others = await added(service), await added(service), await added(service, "/offices/la/tvet")
    cut, cut_too, untouched = await connect(given), await connect(colleagues), await connect(others)
    await until(lambda: durables(river))

    before = monotonic()
    assert (await service.delete("/v1/offices/kh/ntti")).status_code == 204

    async def closed() -> bool:
        return bool(cut.is_closed and cut_too.is_closed)

    await until(closed)
    assert monotonic() - before < 3
    for old in (given, colleagues):
        with pytest.raises(nats.errors.Error, match=r"(?i)authorization"):
            await connect(old)
    await untouched.jetstream().publish("intake.enrolment.la.tvet", b"[]")
    await until(lambda: _is({"la_tvet"}, river))

    anew = await added(service)
    await until(lambda: _is({"la_tvet", "kh_ntti"}, river))
    await (await connect(anew)).jetstream().publish("intake.enrolment.kh.ntti", b"[]")
    with pytest.raises(nats.errors.Error, match=r"(?i)authorization"):
        await connect(given)


async def _is(names: set[str], river: JetStreamContext) -> bool:
    return await durables(river) == names


async def test_durables_that_are_gone_are_made_anew(
    service: httpx.AsyncClient, river: JetStreamContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admissions, "LOOK_SECONDS", 0.2)
    await added(service)
    await until(lambda: durables(river))
    await river.delete_stream("RECEIPTS")

    async def back() -> bool:
        try:
            return await durables(river) == {"kh_ntti"}
        except nats.js.errors.NotFoundError:
            return False

    await until(back)


async def test_an_office_revoked_while_the_broker_is_away_is_shut_out_when_it_is_back(
    client: httpx.AsyncClient, app: FastAPI, database: Database, tmp_path: Path
) -> None:
    """Also when the broker comes back with nothing of what it had been told."""
    with NatsForTests(tmp_path / "nats") as server:
        keys = server.keys
        secret = b"s" * 32
        given = server.authority.admit("kh", "ntti", _in_a_year())
        await added(client)
        async with database.transaction() as session:
            await session.execute(
                text("INSERT INTO broker_users VALUES (:key, '/offices/kh/ntti', :expires, NULL)"),
                {"key": given.key, "expires": _in_a_year()},
            )
        await (await server.connect(given.credentials, allow_reconnect=False)).close()
        server.stop()
        assert (await client.delete("/v1/offices/kh/ntti")).status_code == 204
        server.start()
        credentials = keys.service_credentials("enrolment")
        owned = ("INTAKE", "RECEIPTS", "ENROLMENT", "DEADLETTERS")
        bus = Bus(
            "enrolment", database, DeadLetters("enrolment", secret), url=server.url, credentials=credentials, owns=owned
        )
        watch = Admissions(database, bus, server.url, server.authority)

        async def refused() -> bool:
            try:
                connection = await server.connect(given.credentials, allow_reconnect=False)
            except nats.errors.Error:
                return True
            await connection.close()
            return False

        async with bus.running(), watch.running():
            await until(refused)
            assert watch.health() == []


async def test_an_authority_that_the_broker_does_not_know_is_said(
    database: Database, nats_server: NatsForTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admissions, "AGAIN_SECONDS", 0.1)
    credentials = nats_server.keys.service_credentials("enrolment")
    bus = Bus("enrolment", database, DeadLetters("enrolment", b"s" * 32), url=nats_server.url, credentials=credentials)
    watch = Admissions(database, bus, nats_server.url, Authority.from_text(Keys.new().authority()))

    async def said() -> bool:
        return any("does not know yet which offices are revoked" in problem for problem in watch.health())

    async with bus.running(), watch.running():
        await until(said)


def _in_a_year() -> datetime:
    return datetime.now(UTC) + timedelta(days=365)
