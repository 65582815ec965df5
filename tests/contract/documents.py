"""The OpenAPI and AsyncAPI document of each service, as it is today and as it was frozen."""

import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from jsonschema_rs import Draft202012Validator
from starlette.routing import BaseRoute

import services.certification.app
import services.certification.settings
import services.enrolment.app
import services.enrolment.settings
import services.reporting.app
import services.reporting.settings
from shared.asyncapi import CONTRACTS, document
from tests.servers import broker_files

FOLDER = Path(__file__).parent
KINDS = ("openapi", "asyncapi")
APPS: dict[str, Any] = {
    "enrolment": (services.enrolment.app.create, services.enrolment.settings.Settings),
    "certification": (services.certification.app.create, services.certification.settings.Settings),
    "reporting": (services.reporting.app.create, services.reporting.settings.Settings),
}
STREAMED = {"/v1/changes"}
"""Addresses whose answer never ends."""
DOCUMENTS = [(kind, service) for kind in KINDS for service in CONTRACTS]


@cache
def app(service: str) -> FastAPI:
    """The service as it is wired, with nothing behind it."""
    create, settings = APPS[service]
    with TemporaryDirectory() as folder:
        secret, token = Path(folder) / "secret", Path(folder) / "token"
        secret.write_text("0b" * 32)
        token.write_text("nobody knows it")
        made: FastAPI = create(
            settings(
                database_url="postgresql+asyncpg://nobody@127.0.0.1:1/nothing",
                nats_url="nats://127.0.0.1:1",
                secret_file=secret,
                admin_token_file=token,
                **broker_files(Path(folder), service),
            )
        )
    return made


@cache
def today(kind: str, service: str) -> dict[str, Any]:
    """The document as the service serves it."""
    whole = app(service).openapi() if kind == "openapi" else document(CONTRACTS[service])
    served: dict[str, Any] = json.loads(json.dumps(whole))
    return served


def validator(document: dict[str, Any], part: dict[str, Any]) -> Draft202012Validator:
    """Checks what fits a part of the document, whose references lead into its components."""
    return _validator(json.dumps({**part, "components": document["components"]}))


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema))


def path(kind: str, service: str) -> Path:
    return FOLDER / kind / f"{service}.json"


def frozen(kind: str, service: str) -> dict[str, Any]:
    """The document that others rely on."""
    text: dict[str, Any] = json.loads(path(kind, service).read_text(encoding="utf-8"))
    return text


def routes(service: str) -> list[APIRoute]:
    """Every route of the service that is ours."""
    return [route for route in _all(app(service).routes) if isinstance(route, APIRoute)]


def _all(found: Sequence[BaseRoute]) -> Iterator[BaseRoute]:
    for route in found:
        included = getattr(route, "original_router", None)  # FastAPI keeps an included router as it is
        yield from _all(included.routes) if included else [route]
