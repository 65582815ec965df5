"""Bytes to raw events, for HTTP bodies and NATS messages alike; never raises anything but ``BodyRefused``.

The standard JSON parser takes things that are not JSON (NaN) or not one thing (a key twice). Its hooks put a mark where it
met one, so that only the event that holds the mark is refused and its neighbours are taken.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final

BODY_LIMIT: Final = 4 * 1024 * 1024
"""Bytes in one body or message."""
EVENTS_LIMIT: Final = 5_000
"""Events in one body or message."""
DEPTH_LIMIT: Final = 20
"""Levels of nesting in one event."""
VALUES_LIMIT: Final = 20_000
"""Keys and values in one event."""

ONE: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
NDJSON: Final = "application/x-ndjson"
CONTENT_TYPES: Final = (ONE, BATCH, NDJSON)


def too_large(limit: int) -> str:
    """What is said of a body of more bytes than are read."""
    return f"The body is larger than {limit} bytes. Send it in parts; sending twice is safe."


class BodyRefused(Exception):
    """A whole body that cannot be read: nothing in it was taken."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class Flaw(Enum):
    """What is wrong with one event before its fields are looked at: (code, sentence)."""

    NOT_JSON = ("invalid_json", "This line is not JSON. Write one event to a line, and send it again.")
    NOT_UTF8 = ("invalid_utf8", "This line is not UTF-8. Save the file as UTF-8 and send it again.")
    NOT_AN_OBJECT = ("not_an_object", "This is not a JSON object. An event is one object between { and }.")
    DUPLICATE_KEY = ("duplicate_key", "A key stands twice in one object. Leave one of them and send the event again.")
    NOT_A_NUMBER = ("not_a_number", "NaN and Infinity are not JSON, and a number may be too large. Write a number.")
    TEXT = ("invalid_text", "A text holds NUL or half a character. Remove it and send the event again.")
    TOO_DEEP = ("too_deep", f"The event is nested deeper than {DEPTH_LIMIT} levels.")
    TOO_MANY = ("event_too_large", f"The event holds more than {VALUES_LIMIT} values. Tell it in several events.")


@dataclass(frozen=True, slots=True)
class Raw:
    """One event as it came: its place in the body (from 1), and its object or what is wrong with it."""

    place: int
    fields: dict[str, Any] = field(repr=False)
    flaw: Flaw | None = None
    written: bytes | None = field(default=None, repr=False, compare=False)
    """What could not be read, where it stood by itself: for audit."""


class _DuplicateKey:
    """Stands for an object that had a key twice; holds the first values, so that the receipt can name the event."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields


class _NotANumber:
    """Stands for NaN, Infinity or a number that no float holds."""


def _object(pairs: list[tuple[str, Any]]) -> Any:
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else _DuplicateKey(dict(reversed(pairs)))


def _constant(_: str) -> Any:
    return _NotANumber()


def _float(text: str) -> Any:
    value = float(text)
    return value if abs(value) < 1e300 else _NotANumber()


def _int(text: str) -> Any:
    return int(text) if len(text) < 19 else _NotANumber()


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""PostgreSQL stores no NUL, and half a surrogate pair is not a character in UTF-8."""
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int, strict=True
)


def read_body(content_type: str, body: bytes) -> list[Raw]:
    """The events of an HTTP body.

    Raises ``BodyRefused`` when the body as a whole cannot be read (400), is of another type (415) or too large (413).
    """
    kind = content_type.split(";", maxsplit=1)[0].strip().lower()
    if kind not in CONTENT_TYPES:
        raise BodyRefused("content_type", f"Send events as one of {', '.join(CONTENT_TYPES)}.")
    if len(body) > BODY_LIMIT:
        raise BodyRefused("body_too_large", too_large(BODY_LIMIT))
    if body[:3] == b"\xef\xbb\xbf":
        raise BodyRefused("byte_order_mark", "The body begins with a byte order mark. Save it as UTF-8 without one.")
    if kind == NDJSON:
        lines = [(place, line) for place, line in enumerate(body.split(b"\n"), start=1) if line.strip()]
        _bounded(lines)
        return [_line(place, line) for place, line in lines]
    value = _whole(body)
    if kind == ONE:
        return [_with_flawed(_raw(1, value), body)]
    if not isinstance(value, list):
        raise BodyRefused("not_a_batch", f"A body of type {BATCH} is a JSON array of events.")
    _bounded(value)
    return [_raw(place, item) for place, item in enumerate(value, start=1)]


def read_message(body: bytes) -> list[Raw]:
    """The events of a NATS message: one event, or a batch as a JSON array. Raises ``BodyRefused``."""
    return read_body(BATCH if body.lstrip()[:1] == b"[" else ONE, body)


def _bounded(items: Sequence[object]) -> None:
    if len(items) > EVENTS_LIMIT:
        raise BodyRefused(
            "too_many_events",
            f"The body holds more than {EVENTS_LIMIT} events. Send it in parts; sending twice is safe.",
        )


def _whole(body: bytes) -> Any:
    try:
        return _decode(body)
    except UnicodeDecodeError:
        raise BodyRefused("invalid_utf8", "The body is not UTF-8. Save it as UTF-8 and send it again.") from None
    except RecursionError:
        raise BodyRefused("too_deep", f"The body is nested deeper than {DEPTH_LIMIT} levels.") from None
    except ValueError:
        raise BodyRefused("invalid_json", "The body is not JSON.") from None


def _decode(body: bytes) -> Any:
    return _DECODER.decode(body.decode("utf-8", errors="strict"))


def _line(place: int, line: bytes) -> Raw:
    try:
        value = _decode(line.strip())
        if _looks_plain(line) and _is_plain(value):
            return Raw(place, value)
        return _with_flawed(_raw(place, value), line)
    except UnicodeDecodeError:
        return Raw(place, {}, Flaw.NOT_UTF8, line)
    except RecursionError:
        return Raw(place, {}, Flaw.TOO_DEEP, line)
    except ValueError:
        return Raw(place, {}, Flaw.NOT_JSON, line)


def _with_flawed(raw: Raw, written: bytes) -> Raw:
    return replace(raw, written=written) if raw.flaw else raw


def _raw(place: int, value: Any) -> Raw:
    if isinstance(value, _DuplicateKey):
        return Raw(place, _named(value.fields), Flaw.DUPLICATE_KEY)
    if not isinstance(value, dict):
        return Raw(place, {}, Flaw.NOT_AN_OBJECT)
    for flaw in _flaws(value):
        return Raw(place, _named(value), flaw)
    return Raw(place, value)


def _named(fields: dict[str, Any]) -> dict[str, Any]:
    """Only what names the event, and only if it is safe to repeat."""
    return {
        key: value
        for key in ("source", "id", "type")
        if isinstance(value := fields.get(key), str) and re.fullmatch(r"[A-Za-z0-9./_-]{1,100}", value)
    }


def _looks_plain(line: bytes) -> bool:
    """Whether nothing of what is written here can be too deep, too many or a text that cannot be stored."""
    # What is not written as an escape has been looked at by the decoders of UTF-8 and of JSON.
    opened = line.count(b"{") + line.count(b"[")
    return opened <= DEPTH_LIMIT and len(line) <= VALUES_LIMIT and b"\\u" not in line


def _is_plain(value: Any) -> bool:
    """Whether the parser met an object and put no mark into it."""
    if type(value) is not dict:
        return False
    stack: list[Any] = [value]
    while stack:
        node = stack.pop()
        for part in node.values() if type(node) is dict else node:
            kind = type(part)
            if kind is dict or kind is list:
                stack.append(part)
            elif kind is _DuplicateKey or kind is _NotANumber:
                return False
    return True


def _flaws(value: Any) -> Iterator[Flaw]:
    stack: list[tuple[Any, int]] = [(value, 1)]
    values = 0
    while stack:
        node, depth = stack.pop()
        values += 1
        if values + len(stack) > VALUES_LIMIT:
            yield Flaw.TOO_MANY
            return
        if depth > DEPTH_LIMIT:
            yield Flaw.TOO_DEEP
            return
        if isinstance(node, dict):
            stack.extend((part, depth + 1) for pair in node.items() for part in pair)
        elif isinstance(node, list):
            stack.extend((part, depth + 1) for part in node)
        elif isinstance(node, str):
            if _UNSTORABLE.search(node):
                yield Flaw.TEXT
        elif isinstance(node, _DuplicateKey):
            yield Flaw.DUPLICATE_KEY
        elif isinstance(node, _NotANumber):
            yield Flaw.NOT_A_NUMBER
