"""The contract between offices, services and releases: frozen schemas, checked both ways."""

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator, meta

from shared.events import offices_to_certification, offices_to_enrolment
from shared.events.envelope import Event, read_event
from shared.events.facts import FactEnvelope
from shared.events.receipts import Receipt, Receipts
from shared.events.wire import ONE, read_body
from shared.http import receipts_response
from tests.contract.compatibility import incompatibilities
from tests.contract.models import EVENTS, EXAMPLES, FACTS, MODELS, SCHEMAS, example, frozen, payload, schema

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WITH_EXAMPLE = sorted(MODELS.keys() - {"event", "fact"})  # these two are around every other example


@pytest.mark.parametrize("name", MODELS)
def test_todays_model_can_live_with_the_frozen_schema(name: str) -> None:
    assert incompatibilities(frozen(name), schema(MODELS[name])) == []


@pytest.mark.parametrize("name", MODELS)
def test_the_frozen_schema_is_todays(name: str) -> None:
    assert frozen(name) == schema(MODELS[name]), "run `make schemas`"


def test_nothing_frozen_was_taken_away() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.json")} == MODELS.keys()
    assert {path.stem for path in EXAMPLES.glob("*.json")} == set(WITH_EXAMPLE)


@pytest.mark.parametrize("name", MODELS)
def test_the_frozen_schema_is_a_schema_and_leaves_unknown_fields_alone(name: str) -> None:
    meta.validate(frozen(name))
    assert not _closed(frozen(name))


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_the_example_shows_every_field(name: str) -> None:
    whole = frozen(name)
    shown = {key for part in _objects(payload(name)) for key in part}
    asked = {key for part in (whole, *whole.get("$defs", {}).values()) for key in part.get("properties", {})}
    assert asked - shown == set()


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_of_old_is_read_today(name: str) -> None:
    event = _read_event(name, example(name))
    assert event.type == name


@pytest.mark.parametrize("name", FACTS)
def test_a_fact_of_old_is_read_today(name: str) -> None:
    fact = FactEnvelope.model_validate_json(json.dumps(example(name)))
    assert FACTS[fact.type].model_validate(fact.data)


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_what_today_writes_is_what_the_frozen_schema_says(name: str) -> None:
    written = MODELS[name].model_validate_json(json.dumps(payload(name))).model_dump(mode="json")
    Draft202012Validator(frozen(name)).validate(written)
    assert MODELS[name].model_validate_json(json.dumps(written)).model_dump(mode="json") == written


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_what_today_writes_without_what_is_empty_is_read_the_same(name: str) -> None:
    model = MODELS[name].model_validate_json(json.dumps(payload(name)))
    assert MODELS[name].model_validate_json(model.model_dump_json(exclude_none=True)) == model


def test_a_receipt_for_what_has_no_name_is_read_as_it_was_written() -> None:
    receipt = Receipt(status="rejected", code="not_an_object", sentence="This is not a JSON object.", place=1)
    answer = receipts_response(Receipts(receipts=[receipt], position={}))
    Draft202012Validator(frozen("receipts")).validate(json.loads(answer.body))
    assert Receipts.model_validate_json(bytes(answer.body)).receipts == [receipt]


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_a_field_of_tomorrow_is_passed_over(name: str) -> None:
    tomorrow = copy.deepcopy(payload(name))
    for part in _objects(tomorrow):
        if not _free(part):
            part["of_tomorrow"] = {"any": ["thing"]}
    assert MODELS[name].model_validate_json(json.dumps(tomorrow)) == MODELS[name].model_validate_json(
        json.dumps(payload(name))
    )
    Draft202012Validator(frozen(name)).validate(tomorrow)


@pytest.mark.parametrize("name", EVENTS)
def test_an_envelope_of_tomorrow_is_read_today(name: str) -> None:
    assert (
        _read_event(name, {**example(name), "traceparent": "00-ab-cd-01"}).data == _read_event(name, example(name)).data
    )


@pytest.mark.parametrize("name", [*EVENTS, *FACTS])
def test_every_example_fits_the_frozen_envelope(name: str) -> None:
    Draft202012Validator(frozen("event" if name in EVENTS else "fact")).validate(example(name))


@pytest.mark.parametrize("name", [*EVENTS, *FACTS])
def test_a_type_ends_in_its_major_version(name: str) -> None:
    stem, _, version = name.rpartition(".v")
    assert stem
    assert version.isdecimal()


def _read_event(name: str, fields: dict[str, Any]) -> Event:
    owner = offices_to_enrolment if name in offices_to_enrolment.TYPES else offices_to_certification
    raw = read_body(ONE, json.dumps(fields).encode())[0]
    event = read_event(raw, types=owner.TYPES, elsewhere={}, now=NOW)
    assert isinstance(event, Event), event
    return event


def _objects(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [part for item in value for part in _objects(item)]
    if isinstance(value, dict):
        return [value, *(part for item in value.values() for part in _objects(item))]
    return []


def _free(part: dict[str, Any]) -> bool:
    """Whether an object's keys are data, such as languages, streams, measures or dimensions, and not fields."""
    by_name = part.keys() in ({"nominated"}, {"programme", "country", "cohort"})
    return by_name or all(key in {"en", "km", "zh-Hans", "ENROLMENT", "CERTIFICATION"} for key in part)


def _closed(part: Any) -> bool:
    if isinstance(part, list):
        return any(_closed(item) for item in part)
    return isinstance(part, dict) and (part.get("additionalProperties") is False or any(map(_closed, part.values())))
