"""Traces across HTTP, NATS and SQL: on when the environment names an OTLP endpoint, otherwise not even imported.

Spans carry ids, addresses and the text of SQL statements; never a body, a parameter or the message of an error.
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Final, Literal, Protocol

from sqlalchemy import Engine

from shared import correlation
from shared.correlation import Way

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

Kind = Literal["server", "consumer", "producer"]
Attributes = Mapping[str, str | int]


class Span(Protocol):
    """What is learnt of a span while it lasts; OpenTelemetry's own has these."""

    def update_name(self, name: str) -> None: ...

    def set_attribute(self, key: str, value: str | int) -> None: ...


class Spans(Protocol):
    """What sends spans; see `shared.exporting`."""

    def span(
        self, name: str, kind: Kind, parents: Sequence[str], attributes: Attributes
    ) -> AbstractContextManager[tuple[str, Span]]: ...

    def watch(self, engine: Engine) -> None: ...

    def flush(self) -> None: ...


class _Switch:
    """Whether this process traces: decided once, at its start."""

    spans: Spans | None = None


def start(service: str) -> None:
    """Trace from now on if the environment names an endpoint. To be called before the database is opened."""
    if any(os.environ.get(name) for name in ENDPOINTS):
        from shared.exporting import OtlpSpans  # noqa: PLC0415 - a process that does not trace does not load it

        _Switch.spans = OtlpSpans(service)


def flush() -> None:
    """Send what is left; takes some seconds at most."""
    if _Switch.spans is not None:
        _Switch.spans.flush()


def watch(engine: Engine) -> None:
    """Trace the statements of an engine that belong to a span: nothing of what the service does for itself."""
    if _Switch.spans is not None:
        _Switch.spans.watch(engine)


@contextmanager
def span(name: str, kind: Kind, ways: Sequence[Way], attributes: Attributes) -> Iterator[Span]:
    """Handle what came on these ways: of one correlation id, or of several that are handled in one go.

    The span belongs to the first of their traces and is linked with the others.
    """
    # Several have a way of their own: that of the batch.
    here = ways[0] if len({way.correlation for way in ways}) == 1 else Way()
    if _Switch.spans is None:
        with correlation.on(here):
            yield _Unheard()
        return
    parents = list(dict.fromkeys(way.traceparent for way in ways if way.traceparent))
    said = {**attributes, "sampan.correlation": here.correlation}
    with (
        _Switch.spans.span(name, kind, parents, said) as (traceparent, traced),
        correlation.on(replace(here, traceparent=traceparent)),
    ):
        yield traced


@contextmanager
def publishing(stream: str, ways: Collection[Way | None]) -> Iterator[Callable[[Way | None], dict[str, str]]]:
    """Send messages that came on these ways; answers what tells each message's headers."""
    if _Switch.spans is None:
        yield lambda way: way.headers if way else {}
        return
    traced: dict[str, str] = {}
    for way in dict.fromkeys(way for way in ways if way is not None and way.traceparent is not None):
        assert way.traceparent is not None
        said: Attributes = {"messaging.system": "nats", "messaging.destination.name": stream}
        said = {**said, "sampan.correlation": way.correlation}
        with _Switch.spans.span(f"publish {stream}", "producer", [way.traceparent], said) as (traceparent, _):
            traced[way.traceparent] = traceparent

    def headers(way: Way | None) -> dict[str, str]:
        if way is None:
            return {}
        return replace(way, traceparent=traced.get(way.traceparent or "")).headers

    yield headers


class _Unheard:
    """A span of a process that does not trace."""

    def update_name(self, name: str) -> None: ...

    def set_attribute(self, key: str, value: str | int) -> None: ...
