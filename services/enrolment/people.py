"""Persons, as those may see them who see their details: one record, all that is held, who may be one, and who looked."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.enrolment import queries
from services.enrolment.details import (
    Details,
    Place,
    Why,
    looked,
    places,
    read_details,
    read_originals,
    seen_places,
)
from services.enrolment.domain import Enrolment
from services.enrolment.duplicates import PAIRS, likely
from services.enrolment.facts import cohort_data
from services.enrolment.keys import learn
from services.enrolment.register import MasterUnknown, Register
from services.enrolment.tables import OF_TWO
from shared.audit import Act, Audit
from shared.database import Database
from shared.events.attendance import Given, counted
from shared.events.enrolment import TraineeFact
from shared.http import Problem
from shared.offices import Caller
from shared.waiting import SINCE

T = TypeVar("T")
ATTEMPTS = 5
NAMES_NONE = frozenset({"coordinator", "recognition-authority", "reader"})
"""Roles whose offices see figures and no names."""


class Known(BaseModel):
    """Personal details as one enrolment's events say them by now; fields as in the events."""

    names: dict[str, str] | None
    identifiers: list[dict[str, Any]]
    birth_date: str | None
    contact: dict[str, str] | None
    employer: str | None
    consent: dict[str, Any] | None


class PersonPlace(BaseModel):
    """One enrolment of a person. ``details`` is null when they are forgotten, or withheld since consent was withdrawn."""

    enrolment: str
    cohort: str
    number: str
    status: str
    country: str
    details: Known | None
    withheld: bool
    forgotten: bool


class PersonAnswer(BaseModel):
    """A person, from the enrolments that the caller may see."""

    person: str
    enrolments: list[PersonPlace]


class Decided(BaseModel):
    """What people have decided about two enrolments: that they are one person's (merged), or two persons' (apart)."""

    one: str
    other: str
    merged: bool
    apart: bool


class Attended(BaseModel):
    """A session that was for the trainee, and how many of its hours the trainee was there."""

    cohort: str
    session: int
    date: str
    hours: float


class HeldEvent(queries.EventHistory):
    """One event about the person with every standing it has had, and as it came if its details are kept.

    One that has not applied may be about somebody else: it is given as it came only if it names an identifier of the person's.
    """

    original: dict[str, Any] | None


class Look(BaseModel):
    """Somebody was shown (or given) the person's details."""

    at: datetime
    office: str | None
    officer: str
    enrolment: str
    why: str
    sent_by: str
    recipient: str | None


class PersonExport(PersonAnswer):
    """All that enrolment holds about a person, from the enrolments that the caller may see."""

    exported: datetime
    facts: list[TraineeFact]
    decisions: list[Decided]
    sessions: list[Attended]
    events: list[HeldEvent]
    looks: list[Look]


class OneOfTwo(BaseModel):
    """One of two enrolments that may be one person's."""

    enrolment: str
    cohort: str
    number: str
    person: str
    names: dict[str, str] | None
    birth_date: str | None


class Duplicate(BaseModel):
    """Two enrolments that may be one person's: how alike the names are, from 0 to 100, and how close the birth dates."""

    one: OneOfTwo
    other: OneOfTwo
    names: int
    birth_dates: str


class Duplicates(BaseModel):
    """The likeliest pairs first. Decide each with person.merged.v1 or person.parted.v1: then it is listed no more."""

    items: list[Duplicate]


class Crossing(BaseModel):
    """How often one office was shown (or given) details of people whom another country sends, in one year, and how many."""

    year: int
    office: str
    recipient: str
    sent_by: str
    looks: int
    enrolments: int


class Crossings(BaseModel):
    items: list[Crossing]


class People:
    """Answers in one session about details that the register can open."""

    def __init__(self, session: AsyncSession, register: Register, audit: Audit, now: datetime) -> None:
        self.session = session
        self._register = register
        self._audit = audit
        self._now = now

    async def person(self, caller: Caller, person: str, why: Why = "shown") -> PersonAnswer | None:
        """A person, if the caller sees anything of them. Written down as a look."""
        seen = await self._seen(caller, person)
        if not seen:
            return None
        shown = await self._shown(caller, seen, why)
        await self._recorded(caller, "details.shown", person, [place.person for place in _told(seen, shown)])
        return PersonAnswer(person=person, enrolments=shown)

    async def cohort(self, caller: Caller, cohort: str, after: str = "", most: int | None = None) -> list[PersonPlace]:
        """The trainees of a cohort whose details the caller sees, by number. Written down as a look at each."""
        rows = await self.session.execute(
            text("SELECT enrolment FROM enrolments WHERE cohort = :cohort AND status <> 'void'"), {"cohort": cohort}
        )
        found = await places(self.session, enrolments=list(rows.scalars()))
        seen = [place for place in found if place.shown_to(caller) and place.enrolment.number > after]
        seen = sorted(seen, key=lambda place: place.enrolment.number)[:most]
        shown = await self._shown(caller, seen, "shown")
        await self._recorded(caller, "details.shown", cohort, [place.person for place in _told(seen, shown)])
        return shown

    async def export(self, caller: Caller, person: str) -> PersonExport | None:
        """All that is held about a person, as far as the caller sees it. Written down as a look."""
        seen = [place for place in await self._seen(caller, person) if not place.withheld_from(caller)]
        if not seen:
            return None
        enrolments = await self._shown(caller, seen, "exported")
        keys = [place.enrolment.enrolment for place in seen]
        facts = await self._facts(keys)
        export = PersonExport(
            person=person,
            enrolments=enrolments,
            exported=self._now,
            facts=facts,
            decisions=await self._decisions(keys),
            sessions=_sessions(seen, facts),
            events=await self._events([place.enrolment for place in seen]),
            looks=await self._looks(keys),
        )
        await self._recorded(caller, "details.exported", person, [person])
        return export

    async def duplicates(self, caller: Caller, most: int = PAIRS) -> Duplicates:
        """Enrolments that may be one person's, among those whose details the caller sees; the likeliest pairs."""
        seen = {place.enrolment.enrolment: place for place in await seen_places(self.session, caller)}
        details = await read_details(self.session, self._register, list(seen))
        rows = await self.session.execute(text("SELECT one, other FROM apart"))
        apart = {(row.one, row.other) for row in rows}

        def settled(one: str, other: str) -> bool:
            return (one, other) in apart or seen[one].person == seen[other].person

        pairs = (await asyncio.to_thread(likely, details, settled))[:most]
        listed = {key for pair in pairs for key in (pair.one, pair.other)}
        await looked(self.session, caller, [seen[key] for key in sorted(listed)], "compared", self._now)
        await self._recorded(caller, "details.compared", None, [seen[key].person for key in listed])
        return Duplicates(
            items=[
                Duplicate(
                    one=_one_of_two(seen[pair.one], details[pair.one]),
                    other=_one_of_two(seen[pair.other], details[pair.other]),
                    names=pair.names,
                    birth_dates=pair.birth_dates,
                )
                for pair in pairs
            ]
        )

    async def crossings(self) -> Crossings:
        """How often personal details went over a border, by year and who was given them."""
        rows = await self.session.execute(
            text(
                """
                SELECT CAST(EXTRACT(year FROM at AT TIME ZONE 'UTC') AS integer) AS year, office, recipient, sent_by,
                    count(*) AS looks, count(DISTINCT enrolment) AS enrolments
                FROM looks WHERE recipient IS NOT NULL AND recipient <> sent_by
                GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 4
                """
            )
        )
        return Crossings(items=[Crossing.model_validate(dict(row)) for row in rows.mappings()])

    async def _recorded(self, caller: Caller, action: str, subject: str | None, persons: Collection[str]) -> None:
        """One act for one request, last in its transaction; none when no details were there to be seen."""
        if persons:
            await self._audit.record(self.session, Act(caller, action, subject, len(set(persons))))

    async def _seen(self, caller: Caller, person: str) -> list[Place]:
        return [place for place in await places(self.session, person=person) if place.shown_to(caller)]

    async def _shown(self, caller: Caller, seen: Sequence[Place], why: Why) -> list[PersonPlace]:
        keys = [place.enrolment.enrolment for place in seen]
        open_to = [place for place in seen if not place.withheld_from(caller)]
        details = await read_details(self.session, self._register, [place.enrolment.enrolment for place in open_to])
        rows = await self.session.execute(
            text("SELECT enrolment FROM forgotten WHERE enrolment = ANY(:keys)"), {"keys": keys}
        )
        forgotten = set(rows.scalars())
        await looked(
            self.session, caller, [place for place in open_to if place.enrolment.enrolment in details], why, self._now
        )
        return [
            PersonPlace(
                enrolment=key,
                cohort=place.enrolment.cohort,
                number=place.enrolment.number,
                status=place.enrolment.status,
                country=place.enrolment.country,
                details=_known(details[key]) if key in details else None,
                withheld=place.withheld_from(caller),
                forgotten=key in forgotten,
            )
            for place, key in zip(seen, keys, strict=True)
        ]

    async def _facts(self, keys: Collection[str]) -> list[TraineeFact]:
        rows = await self.session.execute(
            text("SELECT body FROM things WHERE kind = 'trainee' AND key = ANY(:keys) ORDER BY key"), {"keys": keys}
        )
        return [TraineeFact.model_validate(body) for body in rows.scalars()]

    async def _decisions(self, keys: Collection[str]) -> list[Decided]:
        rows = await self.session.execute(
            text(
                """
                SELECT one, other, bool_or(merged) AS merged, bool_or(apart) AS apart FROM (
                    SELECT one, other, false AS merged, true AS apart FROM apart
                    UNION ALL
                    SELECT min(enrolment), max(enrolment), true, false FROM links
                    WHERE starts_with(link, 'merged/') GROUP BY link
                ) AS decided
                WHERE one = ANY(:keys) OR other = ANY(:keys) GROUP BY one, other ORDER BY one, other
                """
            ),
            {"keys": keys},
        )
        return [Decided.model_validate(dict(row)) for row in rows.mappings()]

    async def _events(self, enrolments: Collection[Enrolment]) -> list[HeldEvent]:
        originals = await read_originals(self.session, self._register, enrolments)
        keys = [enrolment.enrolment for enrolment in enrolments]
        mine = text(
            f"SELECT * FROM events, {SINCE} "  # noqa: S608 (constants)
            f"WHERE enrolment = ANY(:keys) OR ({OF_TWO} AND needs && CAST(:needs AS text[])) ORDER BY place"
        )
        named = {"keys": keys, "needs": [f"enrolment/{key}" for key in keys]}
        rows = await self.session.execute(mine, named)
        return [
            HeldEvent(
                **queries.event_answer(row),
                receipts=await queries.history(self.session, row.source, row.id),
                original=originals.get((row.source, row.id)),
            )
            for row in rows.all()
        ]

    async def _looks(self, keys: Collection[str]) -> list[Look]:
        rows = await self.session.execute(
            text("SELECT * FROM looks WHERE enrolment = ANY(:keys) ORDER BY id"), {"keys": keys}
        )
        return [Look.model_validate(dict(row)) for row in rows.mappings()]


def _told(seen: Sequence[Place], shown: Sequence[PersonPlace]) -> list[Place]:
    """Those of whom details were shown."""
    return [place for place, line in zip(seen, shown, strict=True) if line.details is not None]


def sees_names(caller: Caller) -> bool:
    """Whether the caller's office may see details of anybody at all."""
    return caller.administrator or not caller.roles <= NAMES_NONE


async def ask(database: Database, register: Register, audit: Audit, question: Callable[[People], Awaitable[T]]) -> T:
    """The answer to a question about people. Raises ``Problem`` 503 while keys are being rotated, which is soon over."""
    for _ in range(ATTEMPTS):
        try:
            async with database.transaction() as session:
                return await question(People(session, register, audit, datetime.now(UTC)))
        except MasterUnknown:  # keys are being rotated
            await database.run(lambda session: learn(session, register))
    raise Problem(503, "unavailable", "The keys are being rotated. Try again shortly.", {"Retry-After": "1"})


def _known(details: Details) -> Known:
    return Known.model_validate(details, from_attributes=True)


def _one_of_two(place: Place, details: Details) -> OneOfTwo:
    enrolment = place.enrolment
    return OneOfTwo(
        enrolment=enrolment.enrolment,
        cohort=enrolment.cohort,
        number=enrolment.number,
        person=place.person,
        names=details.names,
        birth_date=details.birth_date,
    )


def _sessions(seen: Sequence[Place], facts: Iterable[TraineeFact]) -> list[Attended]:
    """The sessions that count for these, as reports count them."""
    trainees = {fact.enrolment: fact for fact in facts}
    found = []
    for place in seen:
        cohort, trainee = cohort_data(place.cohort), trainees[place.enrolment.enrolment]
        for session in counted(cohort, map(Given.of, cohort.sessions), trainee):
            hours = session.hours_of(trainee.number) / 100
            found.append(Attended(cohort=cohort.cohort, session=session.session, date=f"{session.date}", hours=hours))
    return found
