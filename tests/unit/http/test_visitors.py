"""Strangers are counted by their address: that of the connection, or what a proxy says that was named as one to be believed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from fastapi import Depends, FastAPI

from shared.http import create_app
from shared.limits import BURST_SECONDS
from shared.visitors import Visitors

RATE = 0.05
"""Requests a second of one address: so few that a slow machine saves up none while it asks."""
ALLOWED = int(RATE * BURST_SECONDS)
DOOR = ("172.20.0.5", 40_000)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield


async def nothing() -> list[str]:
    return []


@pytest.fixture
def behind_the_door(monkeypatch: pytest.MonkeyPatch, trusted: str) -> httpx.AsyncClient:
    """Whoever comes through the door, to a service as uvicorn serves it with this setting."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", trusted)
    app = create_app("A service", lifespan, nothing)

    @app.get("/open", dependencies=[Depends(Visitors(RATE).open)])
    async def opened() -> str:
        return "come in"

    served = uvicorn.Config(app)
    served.load()
    return httpx.AsyncClient(transport=httpx.ASGITransport(served.loaded_app, client=DOOR), base_url="http://it")


async def asked(client: httpx.AsyncClient, forwarded: str) -> int:
    return (await client.get("/open", headers={"X-Forwarded-For": forwarded})).status_code


@pytest.mark.parametrize("trusted", ["172.20.0.0/16", "10.1.1.1,172.20.0.5"])
async def test_behind_a_proxy_that_is_named_each_address_counts_by_itself(behind_the_door: httpx.AsyncClient) -> None:
    for _ in range(ALLOWED + 2):
        last = await asked(behind_the_door, "203.0.113.5")
    assert last == 429
    assert await asked(behind_the_door, "198.51.100.1, 203.0.113.5") == 429, (
        "what they wrote there themself is not heard"
    )
    assert await asked(behind_the_door, "203.0.113.6") == 200


@pytest.mark.parametrize("trusted", ["", "127.0.0.1"])
async def test_else_it_is_the_connection_that_counts_whatever_is_claimed(behind_the_door: httpx.AsyncClient) -> None:
    for number in range(ALLOWED + 2):
        last = await asked(behind_the_door, f"203.0.113.{number}")
    assert last == 429
