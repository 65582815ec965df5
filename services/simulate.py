"""Invented programmes, told event by event as their offices would: for load, and for trying things out.

The same number of trainees and the same seed give the same events, byte for byte, on every machine. Everything happened in 2023
and 2024 (outcomes a little later), so nothing depends on a clock. Every name, number and office is invented.
"""

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import groupby
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.invented import CHINA, COORDINATOR, HOSTS, LANDS, SCHEMES, Land, Scheme

Fields = dict[str, Any]

TRAINEES_IN_COHORT: Final = (14, 30)
COHORTS_IN_PROGRAMME: Final = 60
INTAKES: Final = (date(2023, 3, 6), date(2023, 9, 4), date(2024, 3, 4), date(2024, 9, 2))
"""The Monday of each intake's first courses. A small simulation has the first intakes only."""
REMEMBERED: Final = 500
"""So many of those who were certified may come back for the next level."""


def simulate(trainees: int, seed: int) -> Iterator[Fields]:
    """The events of programmes with so many enrolments in all, in the order in which they happened."""
    random = Random(seed)  # noqa: S311 - nothing here is a secret
    sizes = []
    while trainees > 0:
        sizes.append(min(trainees, random.randint(*TRAINEES_IN_COHORT)))
        trainees -= sizes[-1]
    yield from tell(sizes, random)


def tell(
    sizes: Sequence[int], random: Random, first_days: Sequence[date] = INTAKES, returning: float = 0.05, rest: int = 1
) -> Iterator[Fields]:
    """The events of cohorts of these sizes (at most 230), shared among intakes.

    So large a share of an intake's trainees come back for the next level, so many intakes later or more, if there are as many.
    """
    world = _World(random, returning)
    intakes = [first_days[place * len(first_days) // len(sizes)] for place in range(len(sizes))]
    resting: deque[list[_Person]] = deque()
    coming: list[tuple[datetime, int, Fields]] = []
    told = 0

    def plan(said: "_Said") -> None:
        nonlocal told
        for moment, event in said.events:
            heapq.heappush(coming, (moment, told, event))  # of one moment, the one that was said first
            told += 1

    plan(_programmes(1 + (len(sizes) - 1) // COHORTS_IN_PROGRAMME if sizes else 0))
    for start, cohorts in groupby(enumerate(sizes), key=lambda cohort: intakes[cohort[0]]):
        while coming and coming[0][0].date() < start - timedelta(days=80):
            yield heapq.heappop(coming)[2]
        resting.append(world.certified)
        world.certified = []
        if len(resting) >= rest:
            world.alumni = (world.alumni + resting.popleft())[-REMEMBERED:]
        for number, size in cohorts:
            plan(_Cohort(world, number, size, start + timedelta(days=7 * random.randrange(3))).said())
    while coming:
        yield heapq.heappop(coming)[2]


@dataclass(slots=True)
class _Said:
    """What was said, with its moment."""

    events: list[tuple[datetime, Fields]] = field(default_factory=list)

    def say(self, source: str, id_: str, type_: str, moment: datetime, data: Fields, **more: str) -> None:
        event = {
            "specversion": "1.0",
            "id": id_,
            "source": source,
            "type": f"{type_}.v1",
            "time": moment.isoformat(),
            "datacontenttype": "application/json",
            **more,
            "data": data,
        }
        self.events.append((moment, event))


def _programmes(number: int) -> _Said:
    said = _Said()
    moment = datetime(2022, 11, 7, 9, 0, tzinfo=CHINA)
    places = [(host.centre, host.title, host.country) for host in HOSTS]
    places += [(code, title, land.country) for land in LANDS for code, title in land.centres.items()]
    for code, title, country in places if number else ():
        centre = {"centre": code, "names": {"en": title}, "country": country, "kind": "training-institute"}
        said.say(COORDINATOR, f"centre-{code}", "centre.registered", moment, centre)
    for scheme in SCHEMES if number else ():
        said.say(scheme.office, f"scheme-{scheme.code}", "scheme.registered", moment, _scheme(scheme))
    for place in range(1, number + 1):
        moment += timedelta(minutes=10)
        programme = {
            "programme": f"skills-{place}",
            "titles": {"en": f"Skills across Borders {place} (invented)"},
            "countries": [land.country for land in LANDS] + ["CN"],
            "donor": "An invented donor",
            "periods": [
                {"period": f"{year}-h{half}", "starts_on": f"{year}-{first}", "ends_on": f"{year}-{last}"}
                for year in (2023, 2024)
                for half, first, last in ((1, "01-01", "06-30"), (2, "07-01", "12-31"))
            ],
            "targets": [{"indicator": "completed", "period": "2023-h1", "value": 200}],
        }
        said.say(COORDINATOR, f"programme-{place}", "programme.registered", moment, programme)
    return said


def _scheme(scheme: Scheme) -> Fields:
    return {
        "scheme": scheme.code,
        "titles": {"en": f"{scheme.title} (invented)"},
        "awarding_body": {"en": "An invented awarding body"},
        "occupations": [
            {"occupation": code, "titles": {"en": trade.replace("-", " ")}, "isco": isco}
            for trade, (code, isco) in scheme.occupations.items()
        ],
        "levels": [{"level": level, "titles": {"en": level}} for level in scheme.levels],
        "rule": scheme.rule,
        "completion_required": True,
    }


@dataclass(frozen=True, slots=True)
class _Person:
    """Who comes, as an office tells it, and how far in which trade."""

    land: Land
    trade: str
    level: int
    role: str
    fields: Fields


@dataclass(slots=True)
class _World:
    """What outlives one cohort."""

    random: Random
    returning: float
    persons: int = 0
    certificates: int = 0
    certified: list[_Person] = field(default_factory=list)
    """In this intake: they may come back in a later one."""
    alumni: list[_Person] = field(default_factory=list)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def person(self, land: Land, trade: str, levels: int) -> _Person:
        """Somebody new, or now and then somebody who was here and comes for the next level."""
        if self.chance(self.returning):
            for place, known in enumerate(self.alumni):
                if (known.land, known.trade) == (land, trade) and known.level + 1 < levels:
                    del self.alumni[place]
                    return _Person(land, trade, known.level + 1, known.role, known.fields)
        role = self.random.choices(("student", "teacher", "worker"), (70, 20, 10))[0]
        return _Person(land, trade, 0, role, self._fields(land, role))

    def _fields(self, land: Land, role: str) -> Fields:
        self.persons += 1
        random = self.random
        sex = "F" if self.chance(0.38) else "M"
        names = random.sample(land.women if sex == "F" else land.men, 1 if land.families else random.randint(2, 3))
        if land.families:
            names.insert(0 if land.family_first else 1, random.choice(land.families))
        original = ("" if land.language == "my" else " ").join(name for name, _ in names)
        born = date(random.randint(2000, 2006) if role == "student" else random.randint(1970, 1999), 1, 1)
        number = f"{self.persons:09d}"
        identifiers = [{"kind": "national-id", "number": f"INV{number}", "country": land.country}]
        if self.chance(0.3):
            identifiers.append({"kind": "passport", "number": f"X{number}", "country": land.country})
        fields: Fields = {
            "identifiers": identifiers,
            "names": {
                "original": original,
                "language": land.language,
                "romanised": " ".join(romanised for _, romanised in names),
            },
            "sex": sex,
            "birth_date": (born + timedelta(days=random.randrange(365))).isoformat(),
            "disability": random.choices(("no", "yes", "not-stated"), (90, 4, 6))[0],
        }
        if self.chance(0.7):
            fields["contact"] = {"phone": f"+000 {number}", "email": f"trainee{number}@example.org"}
        return fields


@dataclass(slots=True)
class _Place:
    """One trainee of a cohort, and how it goes."""

    number: str
    person: _Person
    there: bool = True
    passed: bool = False


class _Cohort:
    """One cohort's story, from the announcement to what became of everybody."""

    def __init__(self, world: _World, number: int, size: int, starts_on: date) -> None:
        random = self._random = world.random
        self._world = world
        self._size = size
        self._said = _Said()
        self._programme = f"skills-{1 + number // COHORTS_IN_PROGRAMME}"
        self._scheme = SCHEMES[number % 3 == 2]
        self._host = HOSTS[2] if self._scheme is SCHEMES[1] else random.choice(HOSTS)
        self._zone = ZoneInfo(self._host.zone)
        self._trades = list(self._scheme.occupations)[: 2 if size > 18 else 1]
        self._lands = random.sample(LANDS, random.randint(1, 3))
        self._code = f"{self._host.centre}-{starts_on.year}-{number + 1:04d}"
        days = [starts_on + timedelta(days=day) for day in range(7 * random.randint(2, 3))]
        self._days = [day for day in days if day.weekday() < 5]
        self._places: list[_Place] = []

    def said(self) -> _Said:
        """Everything that was ever said of it."""
        self._announce()
        self._gather()
        self._train()
        self._assess()
        self._look_back()
        return self._said

    def _at(self, day: date, hour: int, minute: int = 0, zone: ZoneInfo | None = None) -> datetime:
        return datetime.combine(day, time(hour), zone or self._zone) + timedelta(minutes=minute)

    def _say(self, source: str, what: str, type_: str, moment: datetime, data: Fields, **more: str) -> None:
        self._said.say(source, f"{self._code}-{what}", type_, moment, {"cohort": self._code, **data}, **more)

    def _send(self, place: _Place, what: str, type_: str, day: date, data: Fields) -> None:
        """The sending office says something of a trainee."""
        land = place.person.land
        moment = self._at(day, 9, 2 * int(place.number), ZoneInfo(land.zone))
        self._say(land.office, f"{what}-{place.number}", type_, moment, {"number": place.number, **data})

    def _award(self, place: _Place, what: str, type_: str, day: date, data: Fields, **more: str) -> None:
        """The awarding body says something of a trainee."""
        level = self._scheme.levels[place.person.level]
        occupation = self._scheme.occupations[place.person.trade][0]
        about = {"number": place.number, "scheme": self._scheme.code, "occupation": occupation, "level": level}
        moment = self._at(day, 16 if what.startswith("mended") else 14, 2 * int(place.number))
        self._say(self._scheme.office, f"{what}-{place.number}", type_, moment, about | data, **more)

    def _announce(self) -> None:
        shares = [self._size // len(self._lands)] * len(self._lands)
        shares[0] += self._size - sum(shares)
        announced = self._days[0] - timedelta(days=self._random.randint(50, 70))
        data: Fields = {
            "programme": self._programme,
            "titles": {"en": f"{' and '.join(self._trades).replace('-', ' ')}, {self._host.title}"},
            "places": [
                {"country": land.country, "places": share} for land, share in zip(self._lands, shares, strict=True)
            ],
            "host_centre": self._host.centre,
            "host_country": self._host.country,
            "trainers": [self._host.title],
            "mode": self._random.choices(("in-person", "blended", "online"), (80, 15, 5))[0],
            "trades": self._trades,
            "starts_on": self._days[0].isoformat(),
            "ends_on": self._days[-1].isoformat(),
            "language": self._host.language,
            "timezone": self._host.zone,
            "schemes": [self._scheme.code],
            "parties": [
                {"office": COORDINATOR, "role": "coordinator"},
                {"office": self._host.office, "role": "host-centre"},
                {"office": self._scheme.office, "role": "awarding-body"},
                *({"office": land.office, "role": "sending-office"} for land in self._lands),
            ],
        }
        self._say(COORDINATOR, "announced", "cohort.announced", self._at(announced, 10), data)
        if self._world.chance(0.1):
            changed = {"titles": {**data["titles"], "zh-Hans": "技能培训班（虚构）"}}
            self._say(COORDINATOR, "changed", "cohort.changed", self._at(announced + timedelta(days=3), 10), changed)
        for land, share in zip(self._lands, shares, strict=True):
            for _ in range(share):
                trade = self._random.choice(self._trades)
                person = self._world.person(land, trade, len(self._scheme.levels))
                self._places.append(_Place(f"{len(self._places) + 1:03d}", person))

    def _gather(self) -> None:
        """Proposals, enrolments, and the first day."""
        first = self._days[0]
        for place in self._places:
            land = place.person.land
            data = {
                "role": place.person.role,
                "country": land.country,
                "sending_centre": self._random.choice(list(land.centres)),
                "trade": place.person.trade,
            }
            self._send(place, "proposed", "trainee.proposed", first - timedelta(days=40), data)
            if self._world.chance(0.04):
                reason = self._random.choice(("not-selected", "reserve", "visa", "medical", "own-choice"))
                self._send(place, "declined", "trainee.declined", first - timedelta(days=25), {"reason": reason})
                place.there = False
                continue
            enrolled = first - timedelta(days=self._random.randint(12, 20))
            by = "self" if place.person.fields["birth_date"] < "2005" else "guardian"
            consent = {"by": by, "date": enrolled.isoformat(), "notice": "notice-1", "purposes": ["training"]}
            person = place.person.fields | {"consent": consent}
            self._send(
                place, "enrolled", "trainee.enrolled", enrolled, {"date": enrolled.isoformat(), "person": person}
            )
            if self._world.chance(0.02):
                corrected = {"contact": {"phone": f"+000 1{place.number}"}}
                self._send(place, "corrected", "person.corrected", first - timedelta(days=8), corrected)
        missing = [place for place in self._there() if self._world.chance(0.01)]
        started = {"date": first.isoformat(), "not_arrived": [place.number for place in missing]}
        self._say(self._host.office, "started", "cohort.started", self._at(first, 8, 30), started)
        for place in missing:
            place.there = False

    def _there(self) -> list[_Place]:
        return [place for place in self._places if place.there]

    def _train(self) -> None:
        """Sessions, those who left, completions."""
        for number, day in enumerate(self._days[:-1], 1):
            session: Fields = {"session": number, "date": day.isoformat(), "hours": self._random.choice((4, 6, 7.5))}
            if absent := [place.number for place in self._there() if self._world.chance(0.03)]:
                session["absent"] = absent
            late = [place.number for place in self._there() if place.number not in absent and self._world.chance(0.01)]
            if late:
                session["partial"] = [{"number": number, "hours": 2} for number in late]
            if len(self._trades) > 1 and number % 2:
                session["trade"] = self._trades[number % 4 == 1]
                session.pop("absent", None)
                session.pop("partial", None)
            self._say(self._host.office, f"session-{number:02d}", "session.held", self._at(day, 17), session)
            for place in self._there():
                if self._world.chance(0.003):
                    data = {"date": day.isoformat(), "reason": self._random.choice(("illness", "family", "work"))}
                    self._send(place, "withdrawn", "trainee.withdrawn", day, data)
                    place.there = False
        last = self._days[-1]
        if self._world.chance(0.05):
            extra = {"session": 90, "date": self._days[-2].isoformat(), "hours": 4}
            self._say(self._host.office, "session-90", "session.held", self._at(last, 8), extra)
            void = {"event": f"{self._code}-session-90", "type": "session.held.v1", "reason": "entered-twice"}
            # A void names its event and nothing else.
            self._said.say(self._host.office, f"{self._code}-void-90", "event.voided", self._at(last, 9), void)
        for place in self._there():
            moment = self._at(last, 10, 2 * int(place.number))
            data = {"number": place.number, "date": last.isoformat(), "result": "completed"}
            self._say(self._host.office, f"completed-{place.number}", "trainee.completed", moment, data)
        closed = {"date": last.isoformat()}
        self._say(self._host.office, "closed", "cohort.closed", self._at(last, 18), closed)

    def _assess(self) -> None:
        """Marks, resits, awards and the awarding body's numbers."""
        last = self._days[-1]
        for place in self._there():
            place.passed = self._world.chance(0.86)
            marks = self._assessed(place, "assessed", last, 1)
            if self._world.chance(0.01):
                mended = {**marks, "assessor": "The same, with the spelling mended"}
                first = f"{self._code}-assessed-{place.number}"
                self._award(place, "mended", "trainee.assessed", last, mended, replaces=first)
            if not place.passed and self._world.chance(0.6):
                place.passed = self._world.chance(0.7)
                self._assessed(place, "resit", last + timedelta(days=7), 2)
            if not place.passed:
                continue
            if self._scheme.rule == "by_awarding_body":
                awarded = last + timedelta(days=10)
                self._award(place, "awarded", "certificate.awarded", awarded, {"date": awarded.isoformat()})
            self._world.certificates += 1
            number = {"certificate_number": f"INV-{self._world.certificates:08d}"}
            self._award(place, "numbered", "certificate.numbered", last + timedelta(days=20), number)
            if self._world.chance(0.005):
                self._replace(place, last + timedelta(days=self._random.randint(30, 90)))

    def _assessed(self, place: _Place, what: str, day: date, attempt: int) -> Fields:
        theory = self._random.randint(60, 98) if place.passed else self._random.randint(20, 55)
        practice = self._random.randint(60, 98)
        data = {
            "attempt": attempt,
            "date": day.isoformat(),
            "assessor": "An invented assessor",
            "parts": [
                {"name": "theory", "mark": theory, "out_of": 100, "passed": theory >= 60},
                {"name": "practice", "mark": practice, "out_of": 100, "passed": True},
            ],
            "result": "pass" if place.passed else "fail",
        }
        self._award(place, what, "trainee.assessed", day, data)
        return data

    def _replace(self, place: _Place, day: date) -> None:
        self._world.certificates += 1
        number = f"INV-{self._world.certificates:08d}"
        data = {"reason": "lost", "date": day.isoformat(), "certificate_number": number}
        self._award(place, "replaced", "certificate.replaced", day, data)

    def _look_back(self) -> None:
        """Nominations, and what became of everybody after one month and after six."""
        for place in self._there():
            if place.passed and self._world.chance(0.02):
                self._compete(place, self._days[-1] + timedelta(days=25))
            for months, responded in ((1, 0.8), (6, 0.6)):
                if self._world.chance(responded):
                    self._outcome(place, months)
            if place.passed:
                self._world.certified.append(place.person)

    def _compete(self, place: _Place, day: date) -> None:
        contest = {"competition": f"regional-{day.year}", "skill": "18" if "electrical" in place.person.trade else "02"}
        self._send(place, "nominated", "competitor.nominated", day, contest)
        if self._world.chance(0.5):
            placed = {**contest, "place": self._random.randint(1, 12)}
            self._send(place, "placed", "competitor.placed", day + timedelta(days=60), placed)

    def _outcome(self, place: _Place, months: int) -> None:
        day = self._days[-1] + timedelta(days=30 * months)
        data: Fields = {"date": day.isoformat(), "months_after": months, "country": place.person.land.country}
        if place.person.role == "teacher":
            learners = {"women": self._random.randint(0, 20), "men": self._random.randint(0, 30)}
            data |= {"outcome": "teaching", "in_trade": True, "learners": learners}
        else:
            said = ("employed", "self-employed", "studying", "seeking", "no-answer")
            data["outcome"] = self._random.choices(said, (45, 15, 20, 12, 8))[0]
            if data["outcome"] in {"employed", "self-employed"}:
                data["in_trade"] = self._world.chance(0.7)
        self._send(place, f"outcome-{months}", "outcome.reported", day, data)
