"""A refusal goes into receipts, logs and streams, so it never repeats what was written; and reading never crashes."""

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import offices_to_certification, offices_to_enrolment
from shared.events.envelope import Event, Refusal, read_event
from shared.events.wire import BATCH, BodyRefused, read_body
from tests.contract.models import EVENTS, example

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECRETS = [
    "Sok Dara",
    "SokDaraSecret",
    "sok_dara_secret",
    "sokdarasecret",
    "សុខដារ៉ា",
    "2569-07-31",
    "0987-06-05",
    "77-88",
    "<sok>",
]
KINDS: list[Any] = [None, True, 77889900, -7788.99, [], {}, ["sokdarasecret"], {"sokdarasecret": "sokdarasecret"}]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def read(body: bytes) -> list[Event | Refusal]:
    return [
        read_event(raw, types=owner.TYPES, elsewhere={"a.b.v1": "http://127.0.0.1"}, now=NOW)
        for owner in (offices_to_enrolment, offices_to_certification)
        for raw in read_body(BATCH, body)
    ]


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside."""
    if way:
        yield way
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield from places(inner, (*way, step))


def planted(event: dict[str, Any], way: tuple[Any, ...], value: Any, *, as_key: bool = False) -> dict[str, Any]:
    """The event with another value, or another key, at that place."""
    changed = copy.deepcopy(event)
    holder: Any = changed
    for step in way[:-1]:
        holder = holder[step]
    if as_key and isinstance(holder, dict):
        holder[value] = holder.pop(way[-1])
    else:
        holder[way[-1]] = value
    return changed


PLACES = [(name, way) for name in EVENTS for way in places(example(name))]


UNHEARD_OF = st.text(min_size=8).map("§{}".format)
"""Texts that no sentence holds by itself, as it does the name of a field."""


@given(st.sampled_from(PLACES), st.sampled_from(SECRETS) | UNHEARD_OF, st.booleans())
def test_no_refusal_repeats_what_was_written(place: tuple[str, tuple[Any, ...]], secret: str, as_key: bool) -> None:
    name, way = place
    for answer in read(json.dumps([planted(example(name), way, secret, as_key=as_key)]).encode()):
        if isinstance(answer, Refusal):
            assert secret not in answer.sentence
            assert secret not in answer.code


@pytest.mark.long
@pytest.mark.parametrize("name", EVENTS)
def test_every_place_of_every_event_may_hold_a_secret(name: str) -> None:
    for way in places(example(name)):
        variants = [planted(example(name), way, secret) for secret in SECRETS]
        variants += [planted(example(name), way, secret, as_key=True) for secret in SECRETS]
        variants += [planted(example(name), way, kind) for kind in KINDS]
        for answer in read(json.dumps(variants).encode()):
            if isinstance(answer, Refusal):
                said = f"{answer.code} {answer.sentence}"
                assert not any(secret in said for secret in SECRETS), said
                assert not any(part in said for part in ("7788", "2569", "987")), said


@pytest.mark.parametrize("name", EVENTS)
def test_a_source_and_an_id_are_repeated_only_when_they_are_safe(name: str) -> None:
    for field in ("id", "source", "type"):
        for value in ("Sok Dara", "a\nb", "<b>", "x" * 101, "សុខ", None, 7):
            for answer in read(json.dumps([{**example(name), field: value}]).encode()):
                assert getattr(answer, field) is None


@given(JSON)
def test_reading_any_json_gives_an_answer(value: Any) -> None:
    for answer in read(json.dumps([value]).encode()):
        assert isinstance(answer, Event | Refusal)


@given(st.sampled_from(PLACES), JSON, st.booleans())
def test_reading_a_broken_event_gives_an_answer(place: tuple[str, tuple[Any, ...]], value: Any, as_key: bool) -> None:
    name, way = place
    broken = planted(example(name), way, str(value) if as_key else value, as_key=as_key)
    try:
        answers = read(json.dumps([broken]).encode())
    except BodyRefused:
        return
    assert all(isinstance(answer, Event | Refusal) for answer in answers)


@pytest.mark.parametrize("item", [1, "A", {}, None])
def test_a_list_is_refused_at_its_first_bad_item(item: Any) -> None:
    event = example("cohort.started.v1")
    event["data"]["not_arrived"] = [item] * 10_000
    answer = read(json.dumps([event]).encode())[0]
    assert isinstance(answer, Refusal)
    assert answer.sentence.startswith("data.not_arrived.0: ")
    assert "more" not in answer.sentence
