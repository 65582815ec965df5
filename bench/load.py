"""The load: the data set as the POSTs in which offices hand it in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.dataset import Arrival, DataSet, data_set, months
from bench.peers.job import read
from services.demo import offices_of
from services.eventfiles import EVENTS_PER_POST, Line, ServiceName


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

    def part(self, start: int, end: int | None) -> "Post":
        """Some of its events."""
        return Post(self.source, self.service, self.events[start:end])


@dataclass(frozen=True, slots=True)
class Load:
    """Months of posts, the offices that make them with their roles, and as many events more as were asked for."""

    data: DataSet
    months: Sequence[Sequence[Post]]
    offices: dict[str, set[str]]
    further: Sequence[Post]
    """One event each."""

    @property
    def posts(self) -> list[Post]:
        return [post for month in self.months for post in month]

    def distinct(self, service: ServiceName) -> list[list[bytes]]:
        """Of each post to a service, the events that can be taken and were not there before."""
        seen: set[bytes] = set()
        found = []
        for post in self.posts:
            if post.service == service:
                found.append([body for body in dict.fromkeys(post.events) if body not in seen and read(body)])
                seen.update(post.events)
        return found

    @property
    def events(self) -> int:
        return len(self.data.arrivals)


def load(events: int, further: int) -> Load:
    """The data set of so many events: every office posts once a month what it has to say, to each service apart."""
    data = data_set(events, further)
    singles = [Post(one.source, one.service, (one.body,)) for one in data.further]
    everything = (*data.arrivals, *data.further)
    offices = offices_of([Line("", 0, "enrolment", one.source, one.body) for one in everything])
    return Load(data, [tuple(_posts(month)) for month in months(data.arrivals)], offices, singles)


def _posts(month: Sequence[Arrival]) -> Iterator[Post]:
    of_office: dict[tuple[str, ServiceName], list[bytes]] = {}
    for one in month:
        of_office.setdefault((one.source, one.service), []).append(one.body)
    for (source, service), events in of_office.items():
        for start in range(0, len(events), EVENTS_PER_POST):
            yield Post(source, service, tuple(events[start : start + EVENTS_PER_POST]))
