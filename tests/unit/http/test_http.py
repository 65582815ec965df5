"""What every service's HTTP side does with what it is sent, and with what goes wrong inside."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request

from services.processes import LOOPBACK, free_port
from shared.database import Database
from shared.events.receipts import Receipt, Receipts, Status
from shared.events.wire import BATCH, BODY_LIMIT, NDJSON, ONE
from shared.http import READY_SECONDS, Problem, create_app, events_body, receipts_response
from shared.lists import Paging

A_NAME = "Sok Dara"


@asynccontextmanager
async def no_lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield


def a_service(problems: list[str] | Exception | None = None) -> FastAPI:
    async def ready() -> list[str]:
        if isinstance(problems, Exception):
            raise problems
        return problems or []

    app = create_app("A service", no_lifespan, ready)
    # Nobody listens there: every transaction fails as it does when the database is away.
    away = Database(f"postgresql+asyncpg://nobody:nothing@{LOOPBACK}:{free_port()}/nothing", "nothing")

    @app.post("/v1/events")
    async def post(request: Request) -> dict[str, int]:
        return {"events": len(await events_body(request))}

    @app.get("/pages")
    async def pages(paging: Annotated[Paging, Depends()]) -> dict[str, Any]:
        return {"limit": paging.limit, "after": paging.after}

    @app.get("/refused")
    async def refused() -> None:
        raise Problem(403, "not_allowed", "Ask the coordinator.", {"X-Reason": "role"})

    @app.get("/broken")
    async def broken() -> None:
        raise ValueError(f"{A_NAME} is not a number")

    @app.get("/away")
    async def database_away() -> None:
        async with away.transaction() as session:
            await session.connection()

    return app


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=True), base_url="http://sampan")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(a_service()) as client:
        yield client


def code_of(response: httpx.Response) -> str:
    body = response.json()
    assert body["message"].endswith(".")
    code: str = body["code"]
    return code


# Health


async def test_a_service_that_lives_says_so_without_a_token(client: httpx.AsyncClient) -> None:
    assert (await client.get("/livez")).status_code == 200


async def test_readiness_tells_the_truth() -> None:
    async with client_of(a_service()) as client:
        assert (await client.get("/readyz")).json() == {"ready": True, "problems": []}
    async with client_of(a_service(["the broker is away"])) as client:
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["problems"]) == (503, ["the broker is away"])


async def test_readiness_that_cannot_be_told_is_a_problem_and_names_no_value() -> None:
    async with client_of(a_service(OSError(f"{A_NAME}@database"))) as client:
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["problems"]
        assert A_NAME not in answer.text


async def test_readiness_does_not_hang_with_what_it_asks() -> None:
    async def never() -> list[str]:
        await asyncio.Event().wait()
        return []

    async with client_of(create_app("A service", no_lifespan, never)) as client:
        async with asyncio.timeout(READY_SECONDS + 1):
            answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["problems"] == [f"the database does not answer within {READY_SECONDS} s"]


@pytest.mark.parametrize("page", ["/docs", "/redoc", "/openapi.json"])
async def test_no_page_that_loads_scripts_from_another_host(client: httpx.AsyncClient, page: str) -> None:
    answer = await client.get(page)
    assert answer.status_code == 404 or "https://" not in answer.text


# Bodies


async def test_events_are_taken(client: httpx.AsyncClient) -> None:
    for content_type, body in ((ONE, b"{}"), (BATCH, b"[{}]"), (NDJSON, b"{}\n")):
        answer = await client.post("/v1/events", content=body, headers={"content-type": content_type})
        assert (answer.status_code, answer.json()) == (200, {"events": 1})


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({}, b"{}", 415, "content_type"),
        ({"content-type": "application/json"}, b"{}", 415, "content_type"),
        ({"content-type": "application/x-www-form-urlencoded"}, b"a=b", 415, "content_type"),
        ({"content-type": ONE, "content-encoding": "gzip"}, b"\x1f\x8b", 415, "content_encoding"),
        ({"content-type": ONE, "content-encoding": "identity, gzip"}, b"{}", 415, "content_encoding"),
        ({"content-type": ONE}, b"", 400, "invalid_json"),
        ({"content-type": ONE}, b"\xff", 400, "invalid_utf8"),
        ({"content-type": ONE}, b"\xef\xbb\xbf{}", 400, "byte_order_mark"),
        ({"content-type": ONE}, b"[" * 100_000, 400, "too_deep"),
        ({"content-type": BATCH}, b"{}", 400, "not_a_batch"),
        ({"content-type": BATCH}, b"[" + b"{}," * 5000 + b"{}]", 413, "too_many_events"),
        ({"content-type": NDJSON}, b" " * (BODY_LIMIT + 1), 413, "body_too_large"),
    ],
)
async def test_a_body_that_cannot_be_read(
    client: httpx.AsyncClient, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    answer = await client.post("/v1/events", content=body, headers=headers)
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert "Nothing was taken" in answer.json()["message"]


async def test_an_endless_body_is_read_no_further_than_the_limit(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            assert sent < 100, "the whole body was asked for"
            yield b" " * 65_536

    answer = await client.post("/v1/events", content=endless(), headers={"content-type": ONE})
    assert (answer.status_code, code_of(answer)) == (413, "body_too_large")
    assert sent <= BODY_LIMIT // 65_536 + 2


# Answers


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], 200),
        (["accepted", "duplicate", "waiting", "conflict"], 200),
        (["accepted", "rejected"], 207),
        (["rejected", "rejected"], 422),
    ],
)
def test_the_status_of_an_answer_says_whether_something_was_rejected(statuses: list[Status], expected: int) -> None:
    receipts = [Receipt(source=None, id=None, status=status, code="a", sentence="A.") for status in statuses]
    assert receipts_response(Receipts(receipts=receipts, position={})).status_code == expected


async def test_a_page_has_a_limit_and_a_cursor(client: httpx.AsyncClient) -> None:
    assert (await client.get("/pages")).json() == {"limit": 100, "after": None}
    assert (await client.get("/pages?limit=1000&after=abc")).json() == {"limit": 1000, "after": "abc"}


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=-1", "limit=a", "limit=", "limit=1e3", "after=" + "a" * 201]
)
async def test_a_page_out_of_bounds(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/pages?{query}")
    assert (answer.status_code, code_of(answer)) == (400, "invalid_query")
    assert query.partition("=")[0] in answer.json()["message"]


async def test_a_query_that_is_refused_is_not_repeated(client: httpx.AsyncClient) -> None:
    assert A_NAME not in (await client.get("/pages", params={"limit": A_NAME})).text


async def test_what_is_not_there_and_what_is_not_taken(client: httpx.AsyncClient) -> None:
    nowhere, method = await client.get("/nowhere"), await client.get("/v1/events")
    assert (nowhere.status_code, code_of(nowhere)) == (404, "not_found")
    assert (method.status_code, code_of(method)) == (405, "method_not_allowed")
    assert method.headers["allow"] == "POST"


async def test_a_problem_is_answered_with_its_code_and_headers(client: httpx.AsyncClient) -> None:
    answer = await client.get("/refused")
    assert (answer.status_code, answer.json()) == (403, {"code": "not_allowed", "message": "Ask the coordinator."})
    assert answer.headers["x-reason"] == "role"


# What goes wrong inside


async def test_a_dead_database_is_a_503_that_says_when_to_come_again(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await client.get("/away")
    assert (answer.status_code, code_of(answer)) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert "nothing" not in caplog.text  # the address of the database, with its password


async def test_what_was_not_foreseen_is_logged_without_its_message(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = await client.get("/broken")
    assert (answer.status_code, code_of(answer)) == (500, "internal")
    assert "ValueError" in caplog.text
    assert "/broken" in caplog.text
    assert A_NAME not in caplog.text
    assert A_NAME not in answer.text
