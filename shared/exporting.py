"""OpenTelemetry, for the process that traces: spans to an OTLP endpoint over HTTP. Its own variables (OTEL_...) hold.

By hand rather than with the libraries' instrumentations (FastAPI has one built in): those tell of addresses, queries and errors
more than may be told here.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sqlalchemy import Engine, event

FLUSH_MILLISECONDS = 3000
STATEMENT_LIMIT = 2000
"""Characters of a statement; longer ones end there."""

_KINDS: Final = {"server": SpanKind.SERVER, "consumer": SpanKind.CONSUMER, "producer": SpanKind.PRODUCER}
_CONTEXT = TraceContextTextMapPropagator()


class OtlpSpans:
    """One process's spans."""

    def __init__(self, service: str) -> None:
        resource = Resource.create({"service.name": f"sampan-{service}"})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("sampan")

    @contextmanager
    def span(
        self, name: str, kind: str, parents: Sequence[str], attributes: Mapping[str, str | int]
    ) -> Iterator[tuple[str, Span]]:
        """A span under the first parent, linked with the others: its own traceparent, and itself.

        An error is told by its class: its message may hold what an office sent.
        """
        contexts = [_CONTEXT.extract({"traceparent": parent}) for parent in parents]
        links = [Link(trace.get_current_span(context).get_span_context()) for context in contexts[1:]]
        with self._tracer.start_as_current_span(
            name,
            context=contexts[0] if contexts else None,
            kind=_KINDS[kind],
            attributes=dict(attributes),
            links=links,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            carrier: dict[str, str] = {}
            _CONTEXT.inject(carrier)
            try:
                yield carrier["traceparent"], span
            except BaseException as error:
                _failed(span, error)
                raise

    def watch(self, engine: Engine) -> None:
        """A span for each statement that is executed within a span."""

        def before(_connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
            if not trace.get_current_span().is_recording():
                return
            words = statement.split(maxsplit=1)
            context.sampan_span = self._tracer.start_span(
                words[0].upper() if words else "SQL",
                kind=SpanKind.CLIENT,
                attributes={"db.system.name": "postgresql", "db.query.text": statement[:STATEMENT_LIMIT]},
            )

        def after(_connection: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool) -> None:
            if (span := getattr(context, "sampan_span", None)) is not None:
                span.end()

        def failed(failure: Any) -> None:
            if (span := getattr(failure.execution_context, "sampan_span", None)) is not None:
                _failed(span, failure.original_exception)
                span.end()

        event.listen(engine, "before_cursor_execute", before)
        event.listen(engine, "after_cursor_execute", after)
        event.listen(engine, "handle_error", failed)

    def flush(self) -> None:
        """Send what is left, within some seconds."""
        self._provider.force_flush(FLUSH_MILLISECONDS)


def _failed(span: Span, error: BaseException) -> None:
    span.set_status(Status(StatusCode.ERROR))
    span.set_attribute("error.type", type(error).__name__)
