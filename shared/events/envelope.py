"""The CloudEvents 1.0 envelope of what offices post, and reading a raw event into it.

A refusal here depends on the event alone (and, for its time, on the clock): whatever depends on other events is decided in a
fold. Refusals never repeat a value, since a value may be a name.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, cached_property, partial
from typing import Annotated, Any, Final, Literal, TypedDict

from pydantic import StringConstraints, ValidationError

from shared.events.codes import FROM_OUTSIDE, Code, Model, Moment, Source, Text, named
from shared.events.offices_to_enrolment import EventVoided
from shared.events.wire import Raw

CLOCK_TOLERANCE: Final = timedelta(hours=24)
"""How far ahead of the server's clock an event may be: offices' clocks and dates differ."""


class Envelope(Model):
    """Everything around ``data``. ``replaces`` is Sampan's extension attribute: the id of the corrected event."""

    specversion: Literal["1.0"]
    id: Code
    source: Source
    type: Annotated[str, StringConstraints(max_length=100, pattern=r"^[a-z0-9.-]+$")]
    subject: Text | None = None
    time: Moment
    datacontenttype: Literal["application/json"] = "application/json"
    replaces: Code | None = None
    data: dict[str, Any]


@dataclass(frozen=True)
class Event:
    """One event that an office posted, read and valid by itself."""

    source: str
    id: str
    type: str
    time: datetime
    data: Model = field(repr=False)
    fields: Mapping[str, Any] = field(repr=False)
    """The whole event as it came, for the journal."""
    replaces: str | None = None

    @property
    def ref(self) -> tuple[str, str]:
        """(source, id): what an event is known by."""
        return self.source, self.id

    @cached_property
    def written(self) -> bytes:
        """The whole event, ``canonical``."""
        return canonical(self.fields)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event that cannot be taken, whatever else is known: a stable code and a sentence."""

    code: str
    sentence: str
    source: str | None = None
    id: str | None = None
    type: str | None = None


def read_event(
    raw: Raw, *, types: Mapping[str, type[Model]], elsewhere: Mapping[str, str], now: datetime
) -> Event | Refusal:
    """Read one raw event.

    ``types`` are those that this service takes; ``elsewhere`` maps the types of another service to its address.
    """
    refuse = partial(Refusal, **_names(raw.fields))
    if raw.flaw is not None:
        code, sentence = raw.flaw.value
        return refuse(code, sentence)
    try:
        envelope = Envelope.model_validate(raw.fields)
    except ValidationError as error:
        return refuse(*_explain(error, Envelope))
    model = types.get(envelope.type)
    if model is None:
        return refuse(*_unknown(envelope.type, types, elsewhere))
    if envelope.time > now + CLOCK_TOLERANCE:
        return refuse(
            "time_in_future",
            "The event's time lies more than 24 hours ahead. An event says what has happened: check the office's clock.",
        )
    if envelope.replaces is not None and (envelope.type == "event.voided.v1" or envelope.replaces == envelope.id):
        return refuse("invalid_data", "replaces: a void replaces nothing, and no event replaces itself.")
    try:
        data = model.model_validate(envelope.data, context=FROM_OUTSIDE)
    except ValidationError as error:
        return refuse(*_explain(error, model, "data"))
    if isinstance(data, EventVoided):
        for type_ in (data.type, data.about):
            if type_ is not None and type_ not in types:
                return refuse(*_unknown(type_, types, elsewhere))
    happened = named(data, "date")
    if happened is not None and happened > (envelope.time + timedelta(days=1)).date():
        return refuse(
            "date_after_time",
            "data.date lies after the event's time. time is when it happened: correct one of the two.",
        )
    return Event(envelope.source, envelope.id, envelope.type, envelope.time, data, raw.fields, envelope.replaces)


class _Names(TypedDict):
    source: str | None
    id: str | None
    type: str | None


def _names(fields: Mapping[str, Any]) -> _Names:
    def name(key: str) -> str | None:
        value = fields.get(key)
        # Only what is safe to repeat in a receipt and in a log.
        return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9./_-]{1,100}", value) else None

    return {"source": name("source"), "id": name("id"), "type": name("type")}


def canonical(fields: Mapping[str, Any]) -> bytes:
    """The event's content as bytes that do not depend on the order or spacing in which it was written."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(key: bytes, written: bytes) -> bytes:
    """A keyed digest of canonical content: two events with one id are the same if and only if their digests are.

    Without the service's key nobody can find out by trying whether an event held a certain name.
    """
    return hmac.digest(key, hashlib.sha256(written).digest(), hashlib.sha256)


def keyed(key: bytes, value: Any) -> str:
    """A keyed digest of any JSON value, in 32 hexadecimal digits: an id that can be derived again, and not be guessed from."""
    written = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return hmac.digest(key, written, hashlib.sha256).hex()[:32]


def _unknown(name: str, types: Mapping[str, Any], elsewhere: Mapping[str, str]) -> tuple[str, str]:
    if name in elsewhere:
        return "wrong_service", f"{name} is taken at {elsewhere[name]}/v1/events: post it there."
    stem = name.rpartition(".")[0]
    if any(known.rpartition(".")[0] == stem for known in (*types, *elsewhere)):
        return "unknown_version", "This version of the type is not known here. Post the version that the docs list."
    return "unknown_type", "This type is not known here. The docs list the types of each service."


_BY_PYDANTIC = {"string_pattern_mismatch": "invalid_code"}
REFUSALS: Final[Mapping[str, str]] = {
    "invalid_envelope": "A field around data is missing or of the wrong kind.",
    "invalid_code": "A code, an id or an office does not have its form.",
    "invalid_data": "A field in data is missing, of the wrong kind or out of its bounds, or two fields contradict each other.",
    "invalid_text": "A text holds control or direction characters, codes that are none, or nothing that can be read.",
    "unknown_country": "A country is not an ISO 3166-1 alpha-2 code in capitals.",
    "unknown_timezone": "A time zone is not an IANA name.",
    "date_impossible": "A date is none, or its year is not taken; a year of the Buddhist era is 543 too many.",
    "time_impossible": "The time is none.",
    "missing_offset": "The time has no offset.",
    "time_in_future": "The time lies more than 24 hours ahead.",
    "date_after_time": "The date in data lies after the event's own time.",
    "unknown_type": "No service takes this type.",
    "unknown_version": "The type is known, and this version of it is not.",
    "wrong_service": "The other service takes this type; the sentence names its address.",
}
"""What each code of a refused event means, beside the flaws of ``wire``; a refusal's own sentence also names the place."""


def _explain(error: ValidationError, model: type[Model], prefix: str = "") -> tuple[str, str]:
    """The first error as (code, sentence): where it is and what is asked, never what was written there."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    kind = first["type"]
    code = kind if kind in REFUSALS else _BY_PYDANTIC.get(kind, "invalid_data" if prefix else "invalid_envelope")
    where = ".".join([prefix] * bool(prefix) + [_place(part, model) for part in first["loc"]])
    message = first["msg"]
    if kind == "string_pattern_mismatch":
        message = "does not have the form asked for (codes and ids: a to z, 0 to 9 and -, at most 63)"
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return code, f"{where or 'The event'}: {message}{more}."


def _place(part: int | str, model: type[Model]) -> str:
    """A step of the way to what is wrong. A key that is no field of ours may be somebody's text."""
    return str(part) if isinstance(part, int) or part in _fields(model) else "?"


@cache
def _fields(model: type[Model]) -> frozenset[str]:
    """The names of every field in the model and in the models inside it."""
    schema = model.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    return frozenset(name for part in parts for name in part.get("properties", {}))
