"""What holds at every door of every service, whatever is behind it: no token, no database, no such place."""

import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

import services.certification.app as certification
import services.certification.settings
import services.enrolment.app as enrolment
import services.enrolment.settings
import services.reporting.app as reporting
import services.reporting.settings
from services.processes import LOOPBACK, free_port
from shared.events.wire import BODY_LIMIT
from shared.offices import metrics_token, new_token, token_digest
from tests.apps import SharedApp
from tests.servers import broker_files

OPEN = {
    "/livez",
    "/readyz",
    # What anybody may check.
    "/.well-known/did.json",
    "/did.json",
    "/v1/status/{number}",
    "/v1/status/{number}.jwt",
    "/v1/status/{number}/reasons",
    "/v1/status/{number}/reasons.jwt",
    "/v1/credentials/{public_id}/standing",
    "/v1/credentials/{public_id}",
    "/v1/credentials/{public_id}.jwt",
    "/v1/recognitions",
    "/v1/schemes/{scheme}",
    "/v1/verify",
    "/v1/log/checkpoint",
    "/v1/log/key",
    "/v1/log/proof/inclusion",
    "/v1/log/proof/consistency",
    "/v1/log/leaves",
    "/v1/log/certificates/{public_id}",
    # What was released for anybody.
    "/v1/public",
    "/v1/public/{table}",
}
ADMINISTRATOR = secrets.token_urlsafe(32)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SERVICES: dict[str, tuple[Callable[[Any], FastAPI], type[Any]]] = {
    "enrolment": (enrolment.create, services.enrolment.settings.Settings),
    "certification": (certification.create, services.certification.settings.Settings),
    "reporting": (reporting.create, services.reporting.settings.Settings),
}


@pytest.fixture(scope="module", params=SERVICES)
def shared_app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SharedApp:
    """A service whose database and broker are away; it is not started, so it hears and publishes nothing."""
    create, settings = SERVICES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "secret").write_text(secrets.token_hex(32))
    (folder / "admin-token").write_text(ADMINISTRATOR)
    made = settings(
        database_url=f"postgresql+asyncpg://nobody:nothing@{LOOPBACK}:{free_port()}/nothing",
        nats_url=f"nats://{LOOPBACK}:{free_port()}",
        secret_file=folder / "secret",
        admin_token_file=folder / "admin-token",
        **broker_files(folder, request.param),
    )
    return SharedApp(lambda: create(made))


@pytest.fixture
def app(shared_app: SharedApp) -> FastAPI:
    return shared_app.fresh()


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sampan") as client:
        yield client


def doors(app: FastAPI) -> list[tuple[str, str]]:
    """Every method and address that asks for a token."""
    found = _addresses(app, pages=False)
    assert ("GET", "/v1/position") in found
    assert ("GET", "/metrics") in found
    return found


def pages(app: FastAPI) -> list[tuple[str, str]]:
    """Every method and address that asks with a form who is calling."""
    found = [(method, path) for method, path in _addresses(app, pages=True) if not path.startswith("/session")]
    assert {("GET", "/"), ("GET", "/docs"), ("GET", "/asyncapi")} <= set(found)
    return found


def _addresses(app: FastAPI, *, pages: bool) -> list[tuple[str, str]]:
    return [
        (method, route.path.format_map({**dict.fromkeys(route.param_convertors, "a1"), "type_": "a.b.v1"}))
        for route in _routes(app.routes)
        if isinstance(route, APIRoute) and route.path not in OPEN and route.include_in_schema != pages
        for method in route.methods
    ]


def _routes(routes: Sequence[BaseRoute]) -> Iterator[BaseRoute]:
    for route in routes:
        included = getattr(route, "original_router", None)  # FastAPI keeps an included router as it is
        yield from _routes(included.routes) if included else [route]


async def test_every_door_asks_for_a_token(app: FastAPI, client: httpx.AsyncClient) -> None:
    for method, path in doors(app):
        answer = await client.request(method, path)
        assert (method, path, answer.status_code) == (method, path, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["code"] == "unauthorised"


async def test_no_stranger_is_read_to_the_end(app: FastAPI, client: httpx.AsyncClient) -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while taken < 64:
            taken += 1
            yield b" " * (1 << 20)

    asked = [(method, path) for method, path in (*doors(app), *pages(app)) if method not in ("GET", "HEAD")]
    assert ("POST", "/v1/events") in asked or ("PUT", "/v1/publication") in asked
    for method, path in [*asked, ("POST", "/session"), ("POST", "/v1/verify"), ("POST", "/check/file")]:
        for kind in (
            "application/json",
            "application/x-www-form-urlencoded",
            "text/csv",
            "application/cloudevents+json",
        ):
            taken = 0
            answer = await client.request(method, path, content=endless(), headers={"content-type": kind})
            assert answer.status_code in (401, 413) or path in ("/session", "/v1/verify", "/check/file"), (method, path)
            assert answer.status_code < 500 or answer.json()["code"] == "unavailable", (method, path)
            assert taken <= BODY_LIMIT // (1 << 20) + 1, f"{method} {path} read {taken} MiB"
            if answer.status_code == 413 and "json" in answer.headers["content-type"]:
                assert answer.json()["code"] == "body_too_large"
                assert answer.json()["message"].startswith(f"The body is larger than {BODY_LIMIT} bytes. Send it in")
                assert "x-correlation-id" in answer.headers


LISTS = {
    "/v1/events",
    "/v1/programmes",
    "/v1/centres",
    "/v1/cohorts",
    "/v1/cohorts/a1/trainees",
    "/v1/persons/likely-duplicates",
    "/v1/crossings",
    "/v1/offices",
    "/v1/schemes",
    "/v1/certificates",
    "/v1/audit",
    "/v1/rejected",
    "/v1/deadletters",
    "/v1/periods",
    "/v1/codes",
    "/v1/indicators",
    "/v1/measures",
}


async def test_a_list_has_no_parameters_but_its_own_and_names_them(app: FastAPI, client: httpx.AsyncClient) -> None:
    token = {"authorization": f"Bearer {ADMINISTRATOR}"}
    found = [path for method, path in doors(app) if method == "GET" and path in LISTS]
    assert found
    for path in found:
        for mistyped in ({"nonsense": "1"}, {"Limit": "5"}, {"": ""}):
            answer = await client.get(path, params=mistyped, headers=token)
            assert (path, answer.status_code) == (path, 400)
            assert answer.json()["code"] == "unknown_parameter", path
            assert "nonsense" not in answer.text
        assert (await client.get(path, params={"nonsense": "1"})).status_code == 401, path
    if "/v1/events" in found:
        answer = await client.get("/v1/events", params={"cursor": "10"}, headers=token)
        assert "There are: " in answer.json()["message"]
        assert {"status", "limit", "after"} <= set(re.findall(r"[a-z]+", answer.json()["message"]))


async def test_a_list_names_the_statuses_that_there_are(app: FastAPI, client: httpx.AsyncClient) -> None:
    token = {"authorization": f"Bearer {ADMINISTRATOR}"}
    statuses = {
        "/v1/events": "accepted, waiting, conflict",
        "/v1/certificates": "assessed, eligible, issued, suspended, revoked, superseded, void",
    }
    for path in [path for method, path in doors(app) if method == "GET" and path in statuses]:
        for status in ("nonsense", "Accepted", ""):
            answer = await client.get(path, params={"status": status}, headers=token)
            assert (path, answer.status_code) == (path, 400)
            assert answer.json()["message"] == f"status: give one of {statuses[path]}."


async def test_what_anybody_may_list_has_no_parameters_but_its_own(app: FastAPI, client: httpx.AsyncClient) -> None:
    there = {route.path for route in _routes(app.routes) if isinstance(route, APIRoute)}
    for path in {"/v1/recognitions", "/v1/log/leaves"} & there:
        answer = await client.get(path, params={"nonsense": "1"})
        assert (path, answer.status_code, answer.json()["code"]) == (path, 400, "unknown_parameter")


async def test_a_dead_database_is_a_503_everywhere(app: FastAPI, client: httpx.AsyncClient) -> None:
    token = {"authorization": f"Bearer {new_token('/offices/kh/ntti')}"}
    for method, path in doors(app):
        answer = await client.request(method, path, headers=token)
        assert (method, path, answer.status_code) == (method, path, 503)
        assert answer.json()["code"] == "unavailable"
        assert int(answer.headers["retry-after"]) > 0


async def test_metrics_are_told_without_a_database_to_a_scraper_that_may_do_nothing_else(
    client: httpx.AsyncClient,
) -> None:
    scraper = {"authorization": f"Bearer {metrics_token(token_digest(ADMINISTRATOR))}"}
    told = await client.get("/metrics", headers=scraper)
    assert told.status_code == 200
    assert "# TYPE sampan_handling_seconds histogram" in told.text
    assert (await client.get("/metrics", headers={"authorization": f"Bearer {ADMINISTRATOR}"})).status_code == 200
    assert (await client.get("/v1/services", headers=scraper)).status_code == 503, "nobody's token, as far as is known"


async def test_an_answer_tells_its_correlation_id_also_when_it_is_a_refusal(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/position", headers={"x-correlation-id": "mine"})
    assert (answer.status_code, answer.headers["x-correlation-id"]) == (401, "mine")
    made = await client.get("/nowhere", headers={"x-correlation-id": "Chanthavong"})
    assert re.fullmatch(r"[0-9a-f]{32}", made.headers["x-correlation-id"])


async def test_it_lives_and_is_not_ready(client: httpx.AsyncClient) -> None:
    assert (await client.get("/livez")).status_code == 200
    ready = await client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["problems"]
    assert "nothing" not in ready.text  # the database's address, with its password


async def test_there_is_nothing_elsewhere(client: httpx.AsyncClient) -> None:
    for path in ("/nowhere", "/v1", "/v1/", "/v1/events/../../etc/passwd", "/.env", "/%00"):
        answer = await client.get(path)
        assert answer.status_code in {401, 404}, path
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["code"]


async def test_every_page_asks_who_is_calling(app: FastAPI, client: httpx.AsyncClient) -> None:
    for method, path in pages(app):
        answer = await client.request(method, path)
        assert (method, path, answer.status_code) == (method, path, 401)
        assert method == "HEAD" or "/session?to=" in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"


async def test_without_a_database_nobody_signs_in_and_no_page_breaks(app: FastAPI, client: httpx.AsyncClient) -> None:
    answer = await client.post("/session", content=f"token={ADMINISTRATOR}", headers=FORM)
    assert answer.status_code == 503
    (cookie,) = [f"sampan_{name}" for name in SERVICES if name in app.title]
    client.cookies.set(cookie, "anything")
    for method, path in pages(app):
        assert (await client.request(method, path)).status_code == 503


async def test_the_documents_are_for_programs_with_a_token(client: httpx.AsyncClient) -> None:
    token = {"Authorization": f"Bearer {ADMINISTRATOR}"}
    assert (await client.get("/openapi.json", headers=token)).json()["openapi"].startswith("3.1")
    assert (await client.get("/asyncapi.json", headers=token)).json()["asyncapi"].startswith("3.")
    assert (await client.get("/docs", headers=token)).status_code == 200


async def test_no_page_loads_anything_from_another_host(app: FastAPI, client: httpx.AsyncClient) -> None:
    for path in ("/docs", "/asyncapi", "/", "/redoc"):
        text = (await client.get(path, headers={"Authorization": f"Bearer {ADMINISTRATOR}"})).text
        assert not any(word in text for word in ('src="http', 'href="http', "src='http", "cdn.")), path
