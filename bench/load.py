"""The load: simulated events as the POSTs in which offices hand them in."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import Any

from services.client import EVENTS_PER_POST, Line, ServiceName
from services.demo import offices_of
from services.simulate import simulate
from shared.events import offices_to_enrolment

SEED = 1
EVENTS_OF_A_TRAINEE = 7  # about; a little less than there are


@dataclass(frozen=True, slots=True)
class Post:
    """Events of one office for one service."""

    source: str
    service: ServiceName
    events: tuple[bytes, ...]

    @property
    def body(self) -> bytes:
        """As newline-delimited JSON."""
        return b"\n".join(self.events)


@dataclass(frozen=True, slots=True)
class Load:
    """Months of posts, the offices that make them with their roles, and as many events more as were asked for."""

    months: Sequence[Sequence[Post]]
    offices: dict[str, set[str]]
    further: Sequence[Post]
    """One event each."""

    @property
    def posts(self) -> list[Post]:
        return [post for month in self.months for post in month]

    @property
    def events(self) -> int:
        return sum(len(post.events) for post in self.posts)


def load(events: int, further: int) -> Load:
    """The first so many events of a simulation: every office posts once a month what happened, both services apart."""
    wanted = events + further
    story = list(islice(simulate(wanted // EVENTS_OF_A_TRAINEE + 10, SEED), wanted))
    if len(story) < wanted:
        raise ValueError("the simulation is too short")
    months = [
        tuple(_posts(list(month)))
        for _, month in groupby(story[:events], lambda event: _moment(event).strftime("%Y-%m"))
    ]
    singles = [Post(event["source"], _service(event), (_bytes(event),)) for event in story[events:]]
    offices = offices_of([Line("", 0, "enrolment", event["source"], _bytes(event)) for event in story])
    return Load(months, offices, singles)


def _posts(month: list[dict[str, Any]]) -> Iterator[Post]:
    of_office: dict[tuple[str, ServiceName], list[bytes]] = {}
    for event in month:
        of_office.setdefault((event["source"], _service(event)), []).append(_bytes(event))
    for (source, service), events in of_office.items():
        for start in range(0, len(events), EVENTS_PER_POST):
            yield Post(source, service, tuple(events[start : start + EVENTS_PER_POST]))


def _moment(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["time"]).astimezone(UTC)


def _service(event: dict[str, Any]) -> ServiceName:
    return "enrolment" if event["type"] in offices_to_enrolment.TYPES else "certification"


def _bytes(event: dict[str, Any]) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()
