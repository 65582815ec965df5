"""Asks every address of the running program what its OpenAPI allows, and what it does not, with schemathesis."""

import json
from collections.abc import Collection
from functools import cache

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.schemas import APIOperation

from shared.events.wire import NDJSON
from tests.contract.documents import STREAMED, today
from tests.faults.conftest import River

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@schemathesis.serializer(NDJSON)
def lines(_: schemathesis.SerializationContext, value: object) -> bytes:
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


@cache
def operations(service: str) -> list[APIOperation]:
    schema = schemathesis.openapi.from_dict(today("openapi", service))
    found = [one.ok() for one in schema.get_all_operations()]
    assert found
    return [one for one in found if one.path not in STREAMED]


def ask(river: River, service: str, number: int, paths: Collection[str] = ()) -> int:
    """Ask every address (or these) what its document allows, and what it does not; how many questions that were."""
    session, asked = requests.Session(), [0]
    headers = {"Authorization": f"Bearer {river.sampan.admin_token}"}
    wrong: list[str] = []
    for operation in operations(service):
        if paths and operation.path not in paths:
            continue

        def answered(case: Case) -> None:
            asked[0] += 1
            answer = case.call(river.sampan.urls[service], session=session, headers=headers, timeout=60)
            case.validate_response(answer, checks=CHECKS)

        for mode in GenerationMode:
            try:
                questions = operation.as_strategy(mode)
                _many(number)(given(questions)(answered))()
            except Exception as error:
                if "Unsatisfiable" not in type(error).__name__:
                    wrong.append(f"{operation.label}: {error}")
    assert not wrong, "\n\n".join(wrong)
    return asked[0]


def _many(number: int) -> settings:
    return settings(
        max_examples=number,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
