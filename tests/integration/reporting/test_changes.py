"""GET /v1/changes on a real server: whoever follows is told what moved, where they left off, and holds up nobody."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from services.reporting import changes_api, live
from services.reporting.live import Live
from services.reporting.moves import Move
from shared.database import Database
from tests.integration.reporting.conftest import BEARER
from tests.integration.reporting.test_aggregates import a_history
from tests.integration.reporting.test_projection import hear
from tests.unit.reporting.facts import a_trainee, known

SECONDS = 20
TRAINEES = (known(a_trainee(str(number), enrolled_on="2025-03-01")) for number in range(100, 1000))


@pytest.fixture
async def address(app: FastAPI) -> AsyncIterator[tuple[str, int]]:
    """Where reporting listens."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", timeout_graceful_shutdown=1)
    )
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    yield server.servers[0].sockets[0].getsockname()
    server.should_exit = True
    await serving


@pytest.fixture
async def asking(address: tuple[str, int]) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=None)
    url = f"http://127.0.0.1:{address[1]}"
    async with httpx.AsyncClient(base_url=url, headers=BEARER, timeout=SECONDS, limits=limits) as client:
        yield client


async def until(holds: Callable[[], bool]) -> None:
    deadline = monotonic() + SECONDS
    while True:
        if holds():
            return
        assert monotonic() < deadline
        await asyncio.sleep(0.01)


class Reader:
    """Somebody who follows; each event as its fields."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def next(self) -> dict[str, str]:
        """The next event that says something."""
        found: dict[str, str] = {}
        async with asyncio.timeout(SECONDS):
            async for line in self._lines:
                if not line and found:
                    return found
                name, colon, value = line.partition(": ")
                if colon and name:
                    found[name] = value
        raise AssertionError("the stream ended")

    async def change(self) -> Any:
        event = await self.next()
        assert event["event"] == "change", event
        return json.loads(event["data"])


@asynccontextmanager
async def following(client: httpx.AsyncClient, after: str | None = None) -> AsyncIterator[Reader]:
    headers = {} if after is None else {"Last-Event-ID": after}
    async with client.stream("GET", "/v1/changes", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        reader = Reader(answer.aiter_lines())
        await reader.next()  # where it is
        yield reader


@pytest.mark.parametrize(("readers", "seconds"), [(1, 0.2), (200, 0.2), (500, 0.5), (2000, 0.6)])
def test_the_more_who_follow_the_longer_a_move_waits_for_others_and_all_are_told_within_a_second(
    readers: int, seconds: float
) -> None:
    assert live.gap_seconds(readers) == seconds


async def test_a_change_is_told_at_once_with_its_figures_and_position(
    asking: httpx.AsyncClient, database: Database, app: FastAPI
) -> None:
    await hear(database, a_history(), position=20)
    await until(lambda: app.state.live.step == 1)
    async with following(asking) as reader:
        began = monotonic()
        await hear(database, [next(TRAINEES)], position=21)
        told = await reader.change()
    assert monotonic() - began < 3, "within a second on a machine that does nothing else"
    assert told["figures"] == {"enrolled": 1, "started": 1, "training_hours": 6.5, "people": 1}
    assert told["position"] == {"ENROLMENT": 21, "CERTIFICATION": 21}
    assert told["places"] == {"programme": ["ilo-china"], "country": ["KH"]}
    figures = (await asking.get("/v1/aggregates?measure=enrolled")).json()
    assert figures["position"] == told["position"]


async def test_who_comes_again_is_told_what_they_missed_and_who_missed_too_much_to_begin_anew(
    asking: httpx.AsyncClient, database: Database, app: FastAPI
) -> None:
    await hear(database, a_history())
    await until(lambda: app.state.live.step == 1)
    async with following(asking) as reader:
        await hear(database, [next(TRAINEES)])
        last = str((await reader.change())["step"])
    await hear(database, [next(TRAINEES)])
    async with following(asking, last) as reader:
        told = await reader.change()
        assert (told["since"], told["figures"]["enrolled"]) == (int(last), 1)
    for unknown in ("987654321", "-3", "no id"):
        async with following(asking, unknown) as reader:
            assert await reader.next() == {
                "id": str(told["step"]),
                "event": "reset",
                "data": f'{{"step": {told["step"]}}}',
            }


async def test_a_replica_that_does_not_project_hears_of_changes_too(
    asking: httpx.AsyncClient, database: Database, migrated: str
) -> None:
    other = Database(migrated, "reporting")
    async with following(asking) as reader:
        await hear(other, a_history())
        assert (await reader.change())["figures"]["enrolled"] == 10
    await other.close()


async def test_hundreds_follow_and_all_are_told(asking: httpx.AsyncClient, database: Database, app: FastAPI) -> None:
    told = []

    async def one() -> None:
        async with following(asking) as reader:
            told.append((await reader.change())["figures"]["enrolled"])

    readers = [asyncio.create_task(one()) for _ in range(300)]
    await until(lambda: app.state.live.followed == 300)
    await hear(database, a_history())
    await asyncio.gather(*readers)
    assert told == [10] * 300


async def test_a_reader_that_never_reads_is_dropped_and_holds_up_nobody(
    asking: httpx.AsyncClient,
    address: tuple[str, int],
    database: Database,
    app: FastAPI,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changes_api, "SEND_SECONDS", 0.2)
    large = {"cohort": [f"cohort-{number}" for number in range(20_000)]}
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(address)
    deaf.sendall(f"GET /v1/changes HTTP/1.1\r\nHost: x\r\nAuthorization: {BEARER['Authorization']}\r\n\r\n".encode())
    following_now: Live = app.state.live
    await until(lambda: following_now.followed == 1)
    async with following(asking) as reader:
        for step in range(1, 40):
            where = {"step": step, "since": step - 1, "position": {}, "time": datetime.now(UTC)}
            following_now.take(Move(**where, figures={}, places=large))
            assert (await reader.change())["step"] == step, "the other one is told all the same"
        await until(lambda: following_now.followed == 1)
    deaf.close()


async def test_more_than_can_be_served_are_told_so(asking: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "READERS", 1)
    async with following(asking):
        refused = await asking.get("/v1/changes")
    assert refused.status_code == 503
    assert refused.json()["code"] == "too_many_readers"
    assert int(refused.headers["retry-after"]) > 0


async def test_followers_leave_half_of_the_connections_to_others(
    asking: httpx.AsyncClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live.resource, "getrlimit", lambda _: (5, 5))
    async with following(asking), following(asking):
        assert (await asking.get("/v1/changes")).json()["code"] == "too_many_readers"
        assert (await asking.get("/v1/aggregates")).status_code == 200


async def test_a_stranger_is_told_nothing(asking: httpx.AsyncClient) -> None:
    answer = await asking.get("/v1/changes", headers={"Authorization": "Bearer nobody"})
    assert answer.status_code == 401
