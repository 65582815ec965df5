"""A fresh database and an empty broker for each test."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from shared import batches, bus, subscriptions
from tests.integration.bus.house import House
from tests.servers import NatsForTests, PostgresForTests


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look more often than in the program, so that the tests wait less."""
    monkeypatch.setattr(bus, "WATCH_SECONDS", 0.3)
    monkeypatch.setattr(subscriptions, "WATCH_SECONDS", 0.3)
    monkeypatch.setattr(batches, "STRIKE_SECONDS", 0.2)


@pytest.fixture
async def house(postgres: PostgresForTests, nats_server: NatsForTests, scratch_database: str) -> AsyncIterator[House]:
    """On the broker that other tests use as well: to be left running, and found without streams."""
    async for made in _house(postgres, nats_server, scratch_database):
        async with made.js() as js:
            for info in await js.streams_info():
                await js.delete_stream(info.config.name or "")
        yield made


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[NatsForTests]:
    with NatsForTests(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def own_house(
    postgres: PostgresForTests, own_server: NatsForTests, scratch_database: str
) -> AsyncIterator[House]:
    """On a broker of its own, which the test may kill."""
    async for made in _house(postgres, own_server, scratch_database):
        yield made


async def _house(postgres: PostgresForTests, server: NatsForTests, name: str) -> AsyncIterator[House]:
    postgres.empty_database(name)
    async with AsyncExitStack() as stack:
        yield House(postgres, server, name, stack)
