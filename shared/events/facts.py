"""Facts: what a service now holds to be true, as CloudEvents on its own stream.

A fact carries the whole current state of one thing and (epoch, revision). Whoever hears it applies it only if it is newer
than what they hold, so duplicates, redelivery and replays are harmless.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from shared.events.codes import Model, Moment


class Version(NamedTuple):
    """Which of two facts of one thing is the newer: a restore raises the epoch, every change the revision."""

    epoch: int
    revision: int


class FactEnvelope(Model):
    """The CloudEvent around a fact's ``data``."""

    specversion: Literal["1.0"]
    id: str
    source: Literal["/services/enrolment", "/services/certification"]
    type: str
    subject: str
    time: Moment
    datacontenttype: Literal["application/json"]
    epoch: int
    revision: int
    cause: str | None = None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fact:
    """A thing's state on its way out; the outbox gives it its id, epoch, revision and time.

    ``kind`` and ``key`` name the thing (cohort, wuxi-2025-1), ``address`` is its NATS subject, ``cause`` the event behind it
    as ``<source>/<id>``. A voided thing has ``"status": "void"`` in its data.
    """

    kind: str
    key: str
    address: str
    data: Model
    cause: str | None = None

    @property
    def type(self) -> str:
        """The fact's type, with its major version."""
        return f"{self.kind}.v1"
