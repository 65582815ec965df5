"""The one data set: what offices of four countries say of 200 cohorts, as it really arrives: twice, late, in disorder and wrong.

It is the simulation's story (`services.simulate`), so every event is one that the program knows; the flaws are put in here. The
same number of events is the same data set, byte for byte, on every machine.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from random import Random
from typing import Any

from services.eventfiles import ServiceName
from services.simulate import tell
from shared.events import offices_to_enrolment

SEED = 1
EVENTS, COHORTS = 200_000, 200
"""At full size, with about 20,000 people; fewer events are of so many fewer cohorts, and people."""
IN_COHORT = (50, 228)
RETURNING, REST = 0.45, 3
"""Of an intake's trainees, so many were there before if enough can come back, three intakes later or more: most people have
one enrolment, some two, few three."""
DUPLICATES, DISORDER, INVALID = 0.05, 0.05, 0.01
"""Of all events: sent twice, half of them months later; late, so that what happened after it came before; impossible to take."""
LATE_DAYS, AGAIN_DAYS = (1, 60), (30, 120)

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event as it comes in."""

    at: datetime
    source: str
    service: ServiceName
    body: bytes


@dataclass(frozen=True, slots=True)
class DataSet:
    """All that arrives, in its order, and what the story goes on with."""

    arrivals: Sequence[Arrival]
    further: Sequence[Arrival]
    duplicates: int
    late: int
    """Of the duplicates, those that come again months later; the others come again at once."""
    disordered: int
    invalid: int

    @property
    def taken(self) -> int:
        """How many different events can be taken."""
        return len(self.arrivals) - self.duplicates - self.invalid


def data_set(events: int, further: int = 0) -> DataSet:
    """So many arrivals, and so many events more that are right, in order and come once."""
    chance = Random(SEED)  # noqa: S311 - nothing here is a secret
    duplicates, disordered, invalid = (round(events * share) for share in (DUPLICATES, DISORDER, INVALID))
    right = events - duplicates - invalid
    story = _story(right + further, events)
    told, more = story[:right], story[right:]
    late = set(chance.sample([place for place, event in enumerate(told) if "number" in event["data"]], disordered))
    arrivals = []
    for place, event in enumerate(told):
        days = chance.randint(*LATE_DAYS) if place in late else 0
        arrivals.append(_arrival(event, timedelta(days=days)))
    for nth, place in enumerate(chance.sample(range(right), duplicates)):
        again = timedelta(days=chance.randint(*AGAIN_DAYS)) if nth < duplicates // 2 else timedelta()
        first = arrivals[place]
        arrivals.append(Arrival(first.at + again, first.source, first.service, first.body))
    dated = [place for place, event in enumerate(told) if "date" in event["data"]]
    for nth, place in enumerate(chance.sample(dated, invalid)):
        arrivals.append(_arrival(_spoilt(told[place], nth), timedelta()))
    arrivals.sort(key=lambda one: one.at)  # stable: of one moment, the first one told comes first
    return DataSet(
        arrivals, [_arrival(event, timedelta()) for event in more], duplicates, duplicates // 2, disordered, invalid
    )


def first_days() -> list[date]:
    """The first Monday of each of 24 months: an intake each."""
    firsts = [date(2023 + month // 12, month % 12 + 1, 1) for month in range(24)]
    return [first + timedelta(days=-first.weekday() % 7) for first in firsts]


def months(arrivals: Sequence[Arrival]) -> Iterator[list[Arrival]]:
    """What arrives in each month."""
    for _, month in groupby(arrivals, lambda one: one.at.astimezone(UTC).strftime("%Y-%m")):
        yield list(month)


def _story(wanted: int, events: int) -> list[Fields]:
    """The first so many events of cohorts enough for a data set of ``events``."""
    cohorts = max(-(-COHORTS * events // EVENTS), 1)
    while True:
        random = Random(SEED)  # noqa: S311
        sizes = [random.randint(*IN_COHORT) for _ in range(cohorts)]
        story = list(tell(sizes, random, first_days(), RETURNING, REST))
        if len(story) >= wanted:
            return story[:wanted]
        cohorts += max(cohorts // 20, 1)


def _spoilt(event: Fields, nth: int) -> Fields:
    """An event of its own that nobody can take: of no known type, on a day that does not exist, or at no certain time."""
    spoilt = event | {"id": f"{event['id']}-spoilt"}
    match nth % 3:
        case 0:
            return spoilt | {"type": "trainee.applauded.v1"}
        case 1:
            return spoilt | {"data": event["data"] | {"date": f"{event['data']['date'][:4]}-02-30"}}
        case _:
            return spoilt | {"time": event["time"][:19]}  # no offset


def _arrival(event: Fields, later: timedelta) -> Arrival:
    moment = datetime.fromisoformat(event["time"])
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    kind = event["type"] if event["type"] != "trainee.applauded.v1" else "trainee.proposed.v1"
    service: ServiceName = "enrolment" if kind in offices_to_enrolment.TYPES else "certification"
    return Arrival(moment + later, event["source"], service, json.dumps(event, ensure_ascii=False).encode())
