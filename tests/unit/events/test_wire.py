"""Bytes that offices send, and what becomes of them: the good events are taken, the bad ones named, nothing crashes."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.events.wire import (
    BATCH,
    BODY_LIMIT,
    CONTENT_TYPES,
    DEPTH_LIMIT,
    EVENTS_LIMIT,
    NDJSON,
    ONE,
    VALUES_LIMIT,
    BodyRefused,
    Flaw,
    Raw,
    read_body,
    read_message,
)


def refusal(content_type: str, body: bytes) -> str:
    with pytest.raises(BodyRefused) as caught:
        read_body(content_type, body)
    assert caught.value.sentence.endswith(".")
    return caught.value.code


def flaws(body: bytes, content_type: str = BATCH) -> list[Flaw | None]:
    return [raw.flaw for raw in read_body(content_type, body)]


def nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


def test_one_event_a_batch_and_lines_give_the_same_events() -> None:
    assert read_body(ONE, b'{"id": "a"}') == [Raw(1, {"id": "a"})]
    assert read_body(BATCH, b'[{"id": "a"}, {"id": "b"}]') == [Raw(1, {"id": "a"}), Raw(2, {"id": "b"})]
    assert read_body(NDJSON, b'{"id": "a"}\n{"id": "b"}\n') == [Raw(1, {"id": "a"}), Raw(2, {"id": "b"})]


def test_empty_batches_hold_nothing() -> None:
    assert read_body(BATCH, b"[]") == []
    assert read_body(NDJSON, b"") == []
    assert read_body(NDJSON, b"\n \r\n\n") == []


def test_a_place_among_lines_is_the_line_number() -> None:
    assert [raw.place for raw in read_body(NDJSON, b'\n{"id": "a"}\r\n\n{"id": "b"}')] == [2, 4]


@pytest.mark.parametrize("parameters", ["; charset=utf-8", " ;charset=UTF-8", ""])
def test_parameters_and_capitals_of_the_content_type_do_not_matter(parameters: str) -> None:
    assert read_body(ONE.upper() + parameters, b"{}") == [Raw(1, {})]


@pytest.mark.parametrize("content_type", ["", "application/json", "text/plain", "multipart/form-data", "a/b; " + ONE])
def test_another_content_type_is_refused(content_type: str) -> None:
    assert refusal(content_type, b"{}") == "content_type"


@pytest.mark.parametrize(
    "body", [b"", b" ", b"{", b"{'a': 1}", b'{"a": 1,}', b"{} {}", b"\x00", b"// {}", b'{"a": 01}', b'"\n"']
)
@pytest.mark.parametrize("content_type", [ONE, BATCH])
def test_what_is_not_json_is_refused_as_a_whole(content_type: str, body: bytes) -> None:
    assert refusal(content_type, body) == "invalid_json"


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": "\xff"}',
        b'{"a": "\xc0\x80"}',
        b'{"a": "\xed\xa0\x80"}',
        '{"a": "é"}'.encode("latin-1"),
        "{}".encode("utf-16"),
    ],
)
def test_what_is_not_utf8_is_refused_as_a_whole(body: bytes) -> None:
    assert refusal(ONE, body) == "invalid_utf8"


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_a_byte_order_mark_is_named(content_type: str) -> None:
    assert refusal(content_type, b"\xef\xbb\xbf{}") == "byte_order_mark"


def test_a_batch_is_an_array() -> None:
    assert refusal(BATCH, b"{}") == "not_a_batch"
    assert refusal(BATCH, b"NaN") == "not_a_batch"


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_a_body_that_is_too_large_is_refused(content_type: str) -> None:
    assert refusal(content_type, b" " * (BODY_LIMIT + 1)) == "body_too_large"


def test_a_body_as_large_as_the_limit_is_read() -> None:
    assert read_body(ONE, b"{}".ljust(BODY_LIMIT)) == [Raw(1, {})]


def test_more_events_than_the_limit_are_refused() -> None:
    assert len(read_body(BATCH, b"[" + b"{}," * (EVENTS_LIMIT - 1) + b"{}]")) == EVENTS_LIMIT
    assert refusal(BATCH, b"[" + b"{}," * EVENTS_LIMIT + b"{}]") == "too_many_events"
    assert refusal(NDJSON, b"{}\n" * (EVENTS_LIMIT + 1)) == "too_many_events"


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_absurd_nesting_is_refused_and_does_not_crash(opening: bytes) -> None:
    assert refusal(ONE, opening * 100_000) == "too_deep"
    assert flaws(opening * 100_000 + b"\n{}", NDJSON) == [Flaw.TOO_DEEP, None]


def test_nesting_has_a_limit() -> None:
    assert flaws(nested(DEPTH_LIMIT), ONE) == [None]
    assert flaws(nested(DEPTH_LIMIT + 1), ONE) == [Flaw.TOO_DEEP]


def test_an_event_holds_so_many_values() -> None:
    assert flaws(b'{"a": [' + b"1," * (VALUES_LIMIT - 4) + b"1]}", ONE) == [None]
    assert flaws(b'[{"a": [' + b"1," * (VALUES_LIMIT - 3) + b"1]}, {}]") == [Flaw.TOO_MANY, None]


@pytest.mark.parametrize(
    ("bad", "flaw"),
    [
        (b"1", Flaw.NOT_AN_OBJECT),
        (b"null", Flaw.NOT_AN_OBJECT),
        (b'"text"', Flaw.NOT_AN_OBJECT),
        (b"[{}]", Flaw.NOT_AN_OBJECT),
        (b'{"a": NaN}', Flaw.NOT_A_NUMBER),
        (b'{"a": Infinity}', Flaw.NOT_A_NUMBER),
        (b'{"a": [-Infinity]}', Flaw.NOT_A_NUMBER),
        (b'{"a": {"b": 1e999}}', Flaw.NOT_A_NUMBER),
        (b'{"a": -1e999}', Flaw.NOT_A_NUMBER),
        (b'{"a": 1' + b"0" * 5000 + b"}", Flaw.NOT_A_NUMBER),
        (b'{"a": 1, "a": 1}', Flaw.DUPLICATE_KEY),
        (b'{"data": {"a": 1, "\\u0061": 2}}', Flaw.DUPLICATE_KEY),
        (b'{"a": [{"b": 1, "b": 2}]}', Flaw.DUPLICATE_KEY),
        (b'{"a": "\\u0000"}', Flaw.TEXT),
        (b'{"a\\u0000": 1}', Flaw.TEXT),
        (b'{"a": "\\ud800"}', Flaw.TEXT),
        (b'{"a": ["\\udc00\\ud800"]}', Flaw.TEXT),
        (b'{"\\udfff": 1}', Flaw.TEXT),
    ],
)
def test_a_bad_event_does_not_cost_its_neighbours(bad: bytes, flaw: Flaw) -> None:
    assert flaws(b'[{"id": "a"}, ' + bad + b', {"id": "b"}]') == [None, flaw, None]
    assert flaws(b'{"id": "a"}\n' + bad + b'\n{"id": "b"}', NDJSON) == [None, flaw, None]


@pytest.mark.parametrize("line", [b"{", b"not json", b"\xef\xbb\xbf{}", b"{}{}", b'{"a":'])
def test_a_line_that_is_not_json_does_not_cost_its_neighbours(line: bytes) -> None:
    assert flaws(b'{"id": "a"}\n' + line + b'\n{"id": "b"}', NDJSON) == [None, Flaw.NOT_JSON, None]


def test_a_line_that_is_not_utf8_does_not_cost_its_neighbours() -> None:
    assert flaws(b'{}\n{"a": "\xff"}\n{}', NDJSON) == [None, Flaw.NOT_UTF8, None]


def test_a_whole_surrogate_pair_is_a_character() -> None:
    assert read_body(ONE, b'{"a": "\\ud83d\\ude00"}') == [Raw(1, {"a": "\U0001f600"})]


def test_an_event_with_a_flaw_keeps_only_what_names_it() -> None:
    body = b'{"id": "x-1", "source": "/offices/kh/ntti", "type": "a.v1", "data": {"name": "Dara", "n": NaN}}'
    assert read_body(ONE, body) == [
        Raw(1, {"source": "/offices/kh/ntti", "id": "x-1", "type": "a.v1"}, Flaw.NOT_A_NUMBER)
    ]


def test_the_first_of_two_ids_names_an_event_with_a_key_twice() -> None:
    assert read_body(ONE, b'{"id": "first", "id": "second"}') == [Raw(1, {"id": "first"}, Flaw.DUPLICATE_KEY)]


@pytest.mark.parametrize("name", ["a b", "a\\nb", "<b>", "ដារ៉ា", "x" * 101, ""])
def test_a_name_that_is_not_safe_to_repeat_is_left_out(name: str) -> None:
    assert read_body(ONE, f'{{"id": "{name}", "a": NaN}}'.encode()) == [Raw(1, {}, Flaw.NOT_A_NUMBER)]


def test_numbers_keep_their_kind() -> None:
    fields = read_body(ONE, b'{"a": 1, "b": 1.0, "c": true, "d": 123456789012345678}')[0].fields
    assert [type(value) for value in fields.values()] == [int, float, bool, int]


def test_a_message_is_one_event_or_a_batch() -> None:
    assert read_message(b' {"id": "a"}') == [Raw(1, {"id": "a"})]
    assert read_message(b'\n[{"id": "a"}]') == [Raw(1, {"id": "a"})]
    with pytest.raises(BodyRefused):
        read_message(b"")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=[])), inner),
)


@given(st.sampled_from(CONTENT_TYPES), st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
@example(NDJSON, b"\xed\xa0\x80\n\x00\n")
@example(BATCH, b"[" * 5000)
def test_any_bytes_are_read_or_refused(content_type: str, body: bytes) -> None:
    for read in (lambda: read_body(content_type, body), lambda: read_message(body)):
        try:
            events = read()
        except BodyRefused:
            continue
        for raw in events:  # what is taken can be stored: it is JSON and UTF-8 again
            json.dumps(raw.fields, allow_nan=False, ensure_ascii=False).encode()
