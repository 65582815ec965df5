"""A broker and a network for schedules: they reorder, double, delay and drop what the seed says, and nothing by themselves.

Only what relay, subscriptions and checks ask of the real one is here, with the answers that tests/integration/bus has seen the
real one give. It proves nothing about the broker; it brings the services into more situations than a real one can in the time.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

import nats.errors

from shared.bus import Extent
from shared.delivery import Delivery
from shared.streams import stream_of

Said = tuple[str, bytes, Mapping[str, str]]
"""Subject, body and headers of a message."""


class Fate(StrEnum):
    """What becomes of a batch on its way to the broker."""

    ARRIVES = "arrives"
    LOST = "is lost"
    UNANSWERED = "arrives, and the answer is lost"
    LATE = "arrives when nobody waits for it any more"


@dataclass
class Broker:
    """Streams whose sequences have no gaps, as those of facts have none."""

    streams: dict[str, list[Said]] = field(default_factory=dict)
    intake: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    fate: Fate = Fate.ARRIVES
    late: list[list[Said]] = field(default_factory=list)
    _open: dict[str, list[Said]] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)
    _taken: int = 0

    # --- what offices and services say

    def accept(self, subject: str, body: bytes) -> None:
        """A message of an office, kept until it is acked."""
        self._taken += 1
        self.intake[self._taken] = subject, body

    async def publish(self, subject: str, body: bytes, headers: Mapping[str, str]) -> None:
        self._open.setdefault(headers["Nats-Batch-Id"], []).append((subject, body, headers))

    async def request(self, subject: str, body: bytes, _: float, headers: Mapping[str, str]) -> Any:
        batch = [*self._open.pop(headers["Nats-Batch-Id"], []), (subject, body, headers)]
        return self._answer(batch)

    def _answer(self, batch: list[Said]) -> Any:
        fate, self.fate = self.fate, Fate.ARRIVES
        if fate is Fate.LATE:
            self.late.append(batch)
        if fate in (Fate.LOST, Fate.LATE):
            raise nats.errors.TimeoutError
        answer = self.take(batch)
        if fate is Fate.UNANSWERED:
            raise nats.errors.TimeoutError
        return SimpleNamespace(data=json.dumps(answer).encode())

    def take(self, batch: Sequence[Said]) -> dict[str, Any]:
        """All of a batch or nothing."""
        name = stream_of(batch[0][0])
        stream = self.streams.setdefault(name, [])
        expected = batch[0][2].get("Nats-Expected-Last-Sequence")
        if expected is not None and int(expected) != len(stream):
            return {"error": {"err_code": 10071, "description": "wrong last sequence"}}
        ids = [headers["Nats-Msg-Id"] for _, _, headers in batch if "Nats-Msg-Id" in headers]
        if self._ids & set(ids):
            return {"error": {"err_code": 10201, "description": "a message id again"}}
        self._ids.update(ids)
        stream.extend(batch)
        return {"stream": name, "seq": len(stream), "count": len(batch)}

    def lose(self, name: str) -> None:
        """Somebody deleted the stream; its owner makes it anew."""
        self.streams[name] = []

    # --- what `Bus` is asked

    @property
    def connection(self) -> "Broker":
        return self

    @property
    def jetstream(self) -> "_Streams":
        return _Streams(self)

    async def extent(self, stream: str) -> Extent:
        number = len(self.streams.get(stream, []))
        return Extent(min(number, 1), number, number)

    async def last_sequence(self, stream: str) -> int:
        return len(self.streams.get(stream, []))

    async def read(self, stream: str, first: int, last: int) -> list[Delivery]:
        return [self.delivery(stream, sequence, 1) for sequence in range(first, last + 1)]

    def delivery(self, stream: str, sequence: int, deliveries: int) -> Delivery:
        subject, body, headers = self.streams[stream][sequence - 1]
        return Delivery(subject, body, stream, sequence, deliveries, headers)


class _Streams:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def stream_info(self, name: str) -> Any:
        return SimpleNamespace(state=SimpleNamespace(last_seq=await self._broker.last_sequence(name)))

    async def get_msg(self, name: str, sequence: int) -> Any:
        return SimpleNamespace(data=self._broker.streams[name][sequence - 1][1])

    async def publish(self, subject: str, body: bytes, *, headers: Mapping[str, str], **_: Any) -> None:
        """One by one; what has an id that was there is taken for what was there."""
        if headers.get("Nats-Msg-Id") not in self._broker._ids:
            self._broker.take([(subject, body, headers)])
