"""The whole service: facts in at the streams, figures out over HTTP; and HTTP alone when the broker is away."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from nats.aio.subscription import Subscription

from services.reporting import announcer, moves
from services.reporting.announcer import Announcer
from services.reporting.app import create
from services.reporting.live import Live
from services.reporting.settings import Settings
from shared import database as shared_database
from shared.bus import Bus
from shared.credentials import Keys
from shared.database import Database
from shared.deadletters import DeadLetters
from shared.rights import CHANGES, FIGURES
from shared.streams import ensure_stream
from tests.contract.answers import as_documented
from tests.integration.reporting.conftest import ADMINISTRATOR, BEARER
from tests.integration.reporting.test_aggregates import a_history
from tests.integration.reporting.test_projection import hear, kept, told
from tests.servers import NatsForTests
from tests.unit.reporting.facts import a_cohort, a_trainee, known, wire


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "secret").write_text("5a" * 32)
    (tmp_path / "admin-token").write_text(f"{ADMINISTRATOR}\n")
    (tmp_path / "nats.creds").write_text(Keys.new().service_credentials("reporting"))
    return {
        "secret_file": tmp_path / "secret",
        "admin_token_file": tmp_path / "admin-token",
        "nats_credentials_file": tmp_path / "nats.creds",
    }


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://reporting",
            headers=BEARER,
            event_hooks=as_documented("reporting"),
        ) as client,
    ):
        yield client


async def until(client: httpx.AsyncClient, path: str, holds: Callable[[Any], bool]) -> Any:
    deadline = monotonic() + 20
    while True:
        answer = (await client.get(path)).json()
        if holds(answer):
            return answer
        assert monotonic() < deadline, answer
        await asyncio.sleep(0.05)


async def test_facts_of_both_streams_become_figures_and_what_cannot_be_read_holds_up_nothing(
    nats_server: NatsForTests, migrated: str, database: Database, secrets: dict[str, Path]
) -> None:
    history = a_history()
    secrets["nats_credentials_file"].write_text(nats_server.keys.service_credentials("reporting"))
    settings = Settings(
        database_url=migrated,
        nats_url=nats_server.url,
        **secrets,
    )
    async with AsyncExitStack() as stack:
        connection = await nats_server.connect()
        stack.push_async_callback(connection.close)
        js = connection.jetstream()
        for info in await js.streams_info():
            await js.delete_stream(info.config.name or "")
        for name in ("ENROLMENT", "CERTIFICATION", "DEADLETTERS"):
            await ensure_stream(js, name)
        moved = await connection.subscribe("changes.>")
        client = await stack.enter_async_context(serving(settings))

        told_of = {"ENROLMENT": 0, "CERTIFICATION": 0}
        await js.publish("enrolment.cohort.kh.x", b"no fact at all")
        told_of["ENROLMENT"] += 1
        for fact in reversed(history):
            stream = "CERTIFICATION" if fact.kind == "certificate" else "ENROLMENT"
            await js.publish(f"{stream.lower()}.{fact.kind}.kh.{fact.key}", wire(fact))
            told_of[stream] += 1

        await until(client, "/v1/position", lambda answer: answer["position"] == told_of)
        assert await kept(database) == told(history)
        totals = (await client.get("/v1/aggregates")).json()["totals"]
        assert (totals["enrolled"], totals["certified"], totals["people"]) == (10, 9, 9)
        differences = (await client.get("/v1/check")).json()["differences"]
        assert [(one["what"], one["which"]) for one in differences] == [("fact", "ENROLMENT 1")]
        await until(client, "/readyz", lambda answer: answer["ready"])
        announced = await js.get_last_msg("DEADLETTERS", "deadletter.reporting")
        assert b"no fact at all" not in (announced.data or b"")
        steps, since, enrolled = 0, 0, 0
        while steps < (await client.get("/v1/aggregates?as_of=2199-01")).json()["as_of"]["step"]:
            told_on_nats = json.loads((await moved.next_msg(timeout=20)).data)
            assert told_on_nats["since"] == since, "none was left out"
            steps = since = told_on_nats["step"]
            enrolled += told_on_nats["figures"].get("enrolled", 0)
        assert enrolled == 10


async def test_what_another_process_announced_is_not_announced_again(
    nats_server: NatsForTests, database: Database
) -> None:
    """Given that another process announced the first step, and that this one holds both steps as one move, when this one
    announces, then it tells of the second step alone."""
    await hear(database, [known(a_cohort()), known(a_trainee("01"))])
    await hear(database, [known(a_trainee("02"))])
    live = Live(database)
    async with database.engine.connect() as looking:
        both = await moves.since(looking, 0)
    assert both is not None
    live.take(both)
    async with announcing(nats_server, database, live, b'{"step": 1}') as moved:
        told_of = json.loads((await moved.next_msg(timeout=20)).data)
    assert (told_of["since"], told_of["step"], told_of["figures"]["enrolled"]) == (1, 2, 1)


@pytest.mark.parametrize("gone", ["expired", "of a newer database", "too many steps ago"])
async def test_where_the_place_is_lost_it_is_said_where_the_figures_are_and_not_all_of_their_history(
    nats_server: NatsForTests, database: Database, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    """Given that what was announced last has expired, or tells nothing of these steps, when this one announces, then it says
    where the figures are, and goes on from there."""
    monkeypatch.setattr(announcer, "STEPS", 2)
    steps = 3 if gone == "too many steps ago" else 2
    await hear(database, [known(a_cohort())])
    for number in range(1, steps):
        await hear(database, [known(a_trainee(f"{number:02}"))], 7)
    said = b'{"step": 99}' if gone == "of a newer database" else b'{"step": 0}'
    live = Live(database)
    async with live.running(), announcing(nats_server, database, live, said, expired=gone == "expired") as moved:
        first = json.loads((await moved.next_msg(timeout=20)).data)
        await hear(database, [known(a_trainee("77"))])
        second = json.loads((await moved.next_msg(timeout=20)).data)
    assert (first["since"], first["step"], first["figures"], first["places"]) == (steps, steps, {}, {})
    assert first["position"] == {"ENROLMENT": 7, "CERTIFICATION": 7}
    assert (second["since"], second["step"], second["figures"]["enrolled"]) == (steps, steps + 1, 1)


async def test_who_announces_all_the_time_keeps_its_place(
    nats_server: NatsForTests, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that found it free would tell everything a second time."""
    monkeypatch.setattr(shared_database, "IDLE_HOLDER_SECONDS", 1)
    await hear(database, [known(a_cohort())])
    live = Live(database)
    async with live.running(), announcing(nats_server, database, live) as moved:
        await moved.next_msg(timeout=20)
        trainees = (known(a_trainee(str(number))) for number in range(10, 1000))
        ends = monotonic() + 3
        while monotonic() < ends:
            await hear(database, [next(trainees)])
            await moved.next_msg(timeout=20)
        async with database.alone("announcer") as free:
            assert free is None


@asynccontextmanager
async def announcing(
    server: NatsForTests, database: Database, live: Live, said: bytes | None = None, *, expired: bool = False
) -> AsyncIterator[Subscription]:
    """An announcer on a broker where this was ``said`` last; what it tells from then on."""
    credentials = server.keys.service_credentials("reporting")
    dead_letters = DeadLetters("reporting", bytes(32))
    bus = Bus("reporting", database, dead_letters, url=server.url, credentials=credentials, owns=(CHANGES,))
    async with AsyncExitStack() as stack:
        connection = await server.connect()
        stack.push_async_callback(connection.close)
        js = connection.jetstream()
        for info in await js.streams_info():
            await js.delete_stream(info.config.name or "")
        await ensure_stream(js, CHANGES)
        if said is not None:
            await js.publish(FIGURES, said, stream=CHANGES)
        if expired:
            await js.purge_stream(CHANGES)
        moved = await connection.subscribe(FIGURES)
        await stack.enter_async_context(bus.running())
        await stack.enter_async_context(Announcer(database, bus, live).running())
        yield moved


@pytest.mark.long
@pytest.mark.parametrize("how", ["killed", "paused"])
async def test_given_a_broker_that_fails_in_the_middle_then_a_check_and_a_rebuild_say_that_it_was_the_broker(
    tmp_path: Path, migrated: str, database: Database, secrets: dict[str, Path], how: str
) -> None:
    with NatsForTests(tmp_path / "nats") as broker:
        secrets["nats_credentials_file"].write_text(broker.keys.service_credentials("reporting"))
        connection = await broker.connect()
        for name in ("ENROLMENT", "CERTIFICATION"):
            await ensure_stream(connection.jetstream(), name)
        await connection.close()
        async with serving(Settings(database_url=migrated, nats_url=broker.url, **secrets)) as client:
            await until(client, "/readyz", lambda answer: answer["ready"])
            if how == "killed":
                broker.kill()
            else:
                os.kill(broker.pid, signal.SIGSTOP)
            for answer in (await client.get("/v1/check"), await client.post("/v1/rebuild")):
                assert (answer.status_code, answer.json()["code"]) == (503, "broker_away")
                assert int(answer.headers["retry-after"]) > 0
            if how == "paused":
                os.kill(broker.pid, signal.SIGCONT)


async def test_given_no_broker_then_figures_are_answered_and_readiness_tells_the_truth(
    migrated: str, database: Database, secrets: dict[str, Path]
) -> None:
    async with serving(Settings(database_url=migrated, nats_url="nats://127.0.0.1:1", **secrets)) as client:
        assert (await client.get("/v1/aggregates")).json()["totals"]["enrolled"] == 0
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["problems"]
        assert (await client.get("/v1/services")).json().keys() == {"enrolment", "certification", "reporting"}
        assert "sampan" in (await client.get("/metrics")).text
        assert (await client.get("/metrics", headers={"Authorization": ""})).status_code == 401


async def test_given_an_address_with_https_then_the_cookie_never_travels_in_the_clear(
    migrated: str, database: Database, secrets: dict[str, Path]
) -> None:
    settings = Settings(
        database_url=migrated, nats_url="nats://127.0.0.1:1", public_url="https://sampan.example", **secrets
    )
    async with serving(settings) as client:
        answer = await client.post(
            "/session",
            content=f"token={ADMINISTRATOR}",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
    assert "secure" in answer.headers["set-cookie"].lower()
