"""Cohorts without end, like the example's: two trainees from the announcement to their numbered certificates."""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

from tests.e2e.conftest import EXAMPLE

COHORT, SCHEME = "wuxi-2025-spring", "cn-vslc"
TRAINEES = ("001", "002")
OF_CERTIFICATION = {"scheme.registered.v1", "trainee.assessed.v1"}


def owner(event: dict[str, Any]) -> str:
    """The service that takes it."""
    its = event["type"] in OF_CERTIFICATION or event["type"].startswith("certificate.")
    return "certification" if its else "enrolment"


def example() -> list[dict[str, Any]]:
    """In the order of time."""
    return [json.loads(line) for line in EXAMPLE.read_text().splitlines()]


def cohorts(name: str) -> Iterator[list[dict[str, Any]]]:
    """One after the other; ``name`` sets them apart from those of others. Who is in them is in no other."""
    events = [event for event in example() if _is_of_the_way(event)]
    for number in count():
        yield [_moved(event, f"{name}-{number}") for event in events]


def _is_of_the_way(event: dict[str, Any]) -> bool:
    data = event["data"]
    return (
        data.get("cohort") == COHORT
        and data.get("number", TRAINEES[0]) in TRAINEES
        and event["type"] != "session.held.v1"
        and not event["type"].startswith("competitor.")
    )


def _moved(event: dict[str, Any], cohort: str) -> dict[str, Any]:
    data = event["data"] | {"cohort": cohort}
    if "person" in data:
        identifiers = [{"kind": "national-id", "number": f"{cohort}-{data['number']}", "country": "KH"}]
        data["person"] = data["person"] | {"identifiers": identifiers}
    if "certificate_number" in data:
        data["certificate_number"] = f"{cohort}-{data['number']}"
    return event | {"id": f"{cohort}-{event['id']}", "data": data}
