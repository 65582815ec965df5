"""What a service counts and says of the work it does: once for each body and batch, never for each event."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Literal

from prometheus_client import Counter as Metric
from prometheus_client import Histogram

from shared import tracing
from shared.correlation import Way
from shared.delivery import Delivery
from shared.events import offices_to_certification, offices_to_enrolment
from shared.events.receipts import Receipt

log = logging.getLogger(__name__)

TYPES = offices_to_enrolment.TYPES.keys() | offices_to_certification.TYPES.keys()
OTHER = "other"
"""In the place of a type that nobody knows: whatever an office writes there must not become a label."""

EVENTS = Metric(
    "sampan_events", "Events of offices by how they were first answered", ["service", "way", "type", "outcome"]
)
BODIES = Histogram(
    "sampan_batch_events",
    "Events of offices in one transaction",
    ["service", "way"],
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000),
)
SECONDS = Histogram(
    "sampan_handling_seconds",
    "Time to handle one POST of events, or one batch of messages of a stream, to the end of its transaction",
    ["service", "what"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)


def taken(
    service: str,
    way: Literal["http", "nats"],
    receipts: Sequence[Receipt],
    started: float,
    *,
    postedby: str | None = None,
    ways: Sequence[Way] = (),
) -> None:
    """Count and say what was answered to the events of one transaction, after it is committed.

    ``started`` is of ``monotonic()``; ``postedby`` the caller as it is recorded; ``ways`` those of the messages over NATS.
    """
    seconds = monotonic() - started
    outcomes: Counter[str] = Counter()
    for (kind, outcome), number in Counter((receipt.type, receipt.status) for receipt in receipts).items():
        EVENTS.labels(service, way, kind if kind in TYPES else OTHER, outcome).inc(number)
        outcomes[outcome] += number
    BODIES.labels(service, way).observe(len(receipts))
    if way == "http":  # over NATS the whole batch is timed: see handling
        SECONDS.labels(service, "http").observe(seconds)
    only = receipts[0] if len(receipts) == 1 else None
    office, _, officer = (postedby or "").partition("#")
    log.info(
        "%d events over %s: %s",
        len(receipts),
        way,
        ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items())) or "none",
        extra={
            "events": len(receipts),
            "outcomes": dict(outcomes),
            "seconds": round(seconds, 4),
            "office": office or None,
            "officer": officer or None,
            "source": only.source if only else None,
            "id": only.id if only else None,
            **_correlations(ways),
        },
    )


@contextmanager
def handling(service: str, stream: str, batch: Sequence[Delivery]) -> Iterator[None]:
    """Time and trace what is done with one batch of a stream, and let its logs tell where it came from."""
    started = monotonic()
    attributes: tracing.Attributes = {
        "messaging.system": "nats",
        "messaging.destination.name": stream,
        "messaging.batch.message_count": len(batch),
    }
    with tracing.span(f"process {stream}", "consumer", [delivery.way for delivery in batch], attributes):
        yield
    SECONDS.labels(service, stream).observe(monotonic() - started)


def heard(stream: str, applied: Sequence[Delivery], position: int) -> None:
    """Say which facts of a stream are applied, after the commit; ``position`` is up to where it is heard by now."""
    if applied:
        log.info(
            "%s: %d facts are applied, up to %d",
            stream,
            len(applied),
            position,
            extra={
                "stream": stream,
                "sequence": applied[-1].sequence,
                "events": len(applied),
                **_correlations([delivery.way for delivery in applied]),
            },
        )


def _correlations(ways: Sequence[Way]) -> dict[str, str | list[str]]:
    ids = list(dict.fromkeys(way.correlation for way in ways))
    return {"correlation": ids[0]} if len(ids) == 1 else {"correlations": ids} if ids else {}
