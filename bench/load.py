"""The load: the data set as the POSTs in which offices hand it in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.dataset import Arrival, DataSet, data_set, months
from services.client import EVENTS_PER_POST, Line, ServiceName
from services.demo import offices_of


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

    data: DataSet
    months: Sequence[Sequence[Post]]
    offices: dict[str, set[str]]
    further: Sequence[Post]
    """One event each."""

    @property
    def posts(self) -> list[Post]:
        return [post for month in self.months for post in month]

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
