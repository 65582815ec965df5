"""The id that follows an event from POST to cube: in every log, in the outbox, on the bus; and the trace that it is part of.

One transaction may take many events of many messages, so what leaves it is matched by its cause, the event behind it.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import uuid4

HEADER: Final = "X-Correlation-Id"
"""Of a POST and its answer, of an office's NATS message, and of every message that the services publish."""
TRACEPARENT: Final = "traceparent"
"""W3C Trace Context, https://www.w3.org/TR/trace-context/#traceparent-header; of HTTP requests and NATS messages."""

_ID = re.compile(r"[a-z0-9-]{1,63}")
_TRACE = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def _new_id() -> str:
    return uuid4().hex


@dataclass(frozen=True, slots=True)
class Way:
    """The way on which something came: its correlation id and, when it is traced, the span behind it as a ``traceparent``."""

    correlation: str = field(default_factory=_new_id)
    traceparent: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """For a message that goes on from here."""
        traced = {TRACEPARENT: self.traceparent} if self.traceparent else {}
        return {HEADER: self.correlation, **traced}

    @property
    def trace(self) -> str | None:
        """The trace's own id."""
        return self.traceparent.split("-")[1] if self.traceparent else None


_here: ContextVar[Way | None] = ContextVar("way", default=None)
_by_cause: ContextVar[Mapping[str, Way] | None] = ContextVar("ways", default=None)


def way_of(headers: Mapping[str, str]) -> Way:
    """The way that a request's or message's headers tell.

    What is not of the form of an event's id (a name, say) is no correlation id: a new one is made in its place.
    """
    said = {name.lower(): value for name, value in headers.items()}
    given, trace = said.get(HEADER.lower(), ""), said.get(TRACEPARENT, "")
    return Way(
        given if _ID.fullmatch(given) else _new_id(),
        trace if _TRACE.fullmatch(trace) else None,
    )


def here() -> Way | None:
    """The way on which what is being handled came; None when nothing is."""
    return _here.get()


def here_or_new() -> Way:
    """The same, or the start of a new way."""
    return _here.get() or Way()


@contextmanager
def on(way: Way) -> Iterator[None]:
    """Within the block, this is where everything comes from."""
    here_before, by_cause_before = _here.set(way), _by_cause.set(None)
    try:
        yield
    finally:
        _here.reset(here_before)
        _by_cause.reset(by_cause_before)


def follow(ways: Mapping[str, Way]) -> None:
    """Until the surrounding block ends, what is caused by one of these events (``<source>/<id>``) goes on in its way."""
    now = here()
    if (
        now is not None and now.trace is not None
    ):  # so that it hangs on what is done now, when that is of the same trace
        traced = now.traceparent
        ways = {
            cause: replace(way, traceparent=traced) if way.trace == now.trace else way for cause, way in ways.items()
        }
    _by_cause.set(ways)


def leading_to(cause: str | None) -> Way | None:
    """The way of what this event (``<source>/<id>``) causes now; None when nobody knows."""
    found = (_by_cause.get() or {}).get(cause or "")
    return found or here()


def id_of(ref: tuple[str, str]) -> str | None:
    """The correlation id of an event (source, id) that is being handled."""
    way = leading_to("/".join(ref))
    return way.correlation if way else None
