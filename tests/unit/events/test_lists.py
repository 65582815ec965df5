"""What stands twice in one list is refused when it is said, and read from where it is kept already."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.events.envelope import Refusal, read_event
from shared.events.wire import ONE, read_body
from tests.contract.models import EVENTS, example

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LISTS = [
    ("programme.registered.v1", "countries", "KH"),
    ("programme.registered.v1", "trades", {"trade": "welding", "titles": {"en": "Welding"}}),
    ("programme.registered.v1", "periods", {"period": "2025", "starts_on": "2025-01-01", "ends_on": "2025-12-31"}),
    ("programme.registered.v1", "targets", {"indicator": "enrolled", "period": "2025", "value": 9}),
    ("cohort.announced.v1", "trades", "welding"),
    ("cohort.announced.v1", "schemes", "cn-vslc"),
    ("cohort.announced.v1", "parties", {"office": "/offices/kh/dgtvet", "role": "reader"}),
    ("cohort.changed.v1", "trades", "welding"),
    ("cohort.changed.v1", "schemes", "cn-vslc"),
    ("cohort.changed.v1", "parties", {"office": "/offices/kh/dgtvet", "role": "reader"}),
    ("scheme.registered.v1", "occupations", {"occupation": "6-31-01-03", "titles": {"en": "Electrician"}}),
    ("scheme.registered.v1", "levels", {"level": "junior", "titles": {"en": "Junior"}}),
]
each_list = pytest.mark.parametrize(("type_", "name", "item"), LISTS)


def said(type_: str, **data: Any) -> dict[str, Any]:
    event = example(type_)
    return {**event, "data": {**event["data"], **data}}


def refusal(event: dict[str, Any]) -> Refusal | None:
    read = read_event(read_body(ONE, json.dumps(event).encode())[0], types=EVENTS, elsewhere={}, now=NOW)
    return read if isinstance(read, Refusal) else None


@each_list
def test_given_one_twice_in_a_list_when_it_is_said_then_it_is_refused(type_: str, name: str, item: Any) -> None:
    assert refusal(said(type_, **{name: [item]})) is None
    refused = refusal(said(type_, **{name: [item, item]}))
    assert refused is not None
    assert (refused.code, refused.sentence) == ("invalid_data", f"data.{name}: names one twice.")


@pytest.mark.parametrize(
    ("type_", "name", "first", "second"),
    [
        (
            "scheme.registered.v1",
            "levels",
            {"level": "junior", "titles": {"en": "Junior"}, "printed": "5"},
            {"level": "junior", "titles": {"en": "Junior"}, "printed": "4"},
        ),
        (
            "programme.registered.v1",
            "targets",
            {"indicator": "enrolled", "value": 9},
            {"indicator": "enrolled", "value": 10},
        ),
    ],
)
def test_given_two_that_contradict_when_they_are_said_then_they_are_refused(
    type_: str, name: str, first: Any, second: Any
) -> None:
    assert refusal(said(type_, **{name: [first, second]})) is not None


def test_given_an_office_in_two_roles_and_a_target_of_two_periods_when_they_are_said_then_they_are_taken() -> None:
    office = "/offices/kh/dgtvet"
    parties = [{"office": office, "role": role} for role in ("coordinator", "sending-office")]
    targets = [{"indicator": "enrolled", "period": period, "value": 9} for period in ("2025", "2026")]
    assert refusal(said("cohort.announced.v1", parties=parties)) is None
    assert refusal(said("programme.registered.v1", targets=targets)) is None


@each_list
def test_given_one_twice_in_a_list_that_is_kept_when_it_is_read_then_it_is_as_it_was(
    type_: str, name: str, item: Any
) -> None:
    stored = said(type_, **{name: [item, item]})["data"]
    assert len(getattr(EVENTS[type_].model_validate_json(json.dumps(stored)), name)) == 2
    assert len(getattr(EVENTS[type_].model_validate(stored), name)) == 2
