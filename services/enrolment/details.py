"""Reading personal details: who may, for what, and what is then shown. Every look is written down.

An officer sees details of trainees whom their country sends, whose cohort their centre hosts, or whom their awarding body
assesses. Whoever hosts or assesses sees them for that purpose only, and no longer once consent to it is withdrawn.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from prometheus_client import Counter
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.enrolment.domain import Cohort, Enrolment
from services.enrolment.links import LINKING, tells_of
from services.enrolment.register import Register, person_in
from services.enrolment.seers import seers
from services.enrolment.store import COHORT, ENROLMENT
from services.enrolment.tables import LookRow
from shared.database import write
from shared.events.offices_to_enrolment import TYPES
from shared.offices import Caller

CROSSED = Counter(
    "sampan_details_crossed",
    "Personal details shown or given to an office of another country",
    ["sent_by", "recipient"],
)
Why = Literal["shown", "exported", "compared"]
PURPOSES: Mapping[str, str] = {"host-centre": "training", "awarding-body": "certification"}
"""For what an office in this role sees details; who sends somebody answers for them, and sees them always."""


@dataclass(frozen=True, slots=True)
class Place:
    """An enrolment that is there, and its cohort."""

    enrolment: Enrolment
    cohort: Cohort
    person: str

    def shown_to(self, caller: Caller) -> bool:
        """Whether the caller is one who sees this trainee's details, whatever the trainee agrees to."""
        if caller.administrator:
            return True
        return caller.source is not None and seers(self.cohort, self.enrolment).get(caller.source, _NEVER) is None

    def withheld_from(self, caller: Caller) -> bool:
        """Whether the person no longer agrees to what the caller would see the details for."""
        roles = self.cohort.roles_of(caller.source or "")
        sends = caller.country == self.enrolment.country.lower() or caller.source == self.enrolment.said_by
        if caller.administrator or ("sending-office" in roles and sends):
            return False
        purposes = {PURPOSES[role] for role in roles & PURPOSES.keys()}
        return all(purpose in self.enrolment.withheld for purpose in purposes)


_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Details:
    """What is known of a person from one enrolment, by now; fields as in the events."""

    names: dict[str, str] | None = None
    identifiers: list[dict[str, Any]] = field(default_factory=list)
    birth_date: str | None = None
    contact: dict[str, str] | None = None
    employer: str | None = None
    consent: dict[str, Any] | None = None

    def hear(self, type_: str, data: Mapping[str, Any]) -> None:
        """Take up one event; a correction says what is, the others add to it."""
        corrected, person = type_ == "person.corrected.v1", person_in(type_, data)
        for name in ("names", "birth_date", "contact", "consent"):
            if person.get(name):
                setattr(self, name, person[name])
        self.employer = data.get("employer") or self.employer
        said = person.get("identifiers")
        if said is not None:
            known = [] if corrected else self.identifiers
            self.identifiers = known + [identifier for identifier in said if identifier not in known]


async def places(session: AsyncSession, *, enrolments: Collection[str] = (), person: str | None = None) -> list[Place]:
    """These enrolments, or all of a person; of those, the ones that are there."""
    rows = await session.execute(
        text(
            """
            SELECT enrolments.state AS place, cohorts.state AS cohort, person
            FROM enrolments JOIN cohorts USING (cohort)
            WHERE (enrolment = ANY(:enrolments) OR person = :person) AND enrolments.status <> 'void'
                AND cohorts.status <> 'void'
            ORDER BY cohort, enrolment
            """
        ),
        {"enrolments": sorted(enrolments), "person": person},
    )
    return [_place(row) for row in rows]


async def seen_places(session: AsyncSession, caller: Caller) -> list[Place]:
    """Every enrolment that is there whose details the caller may be shown."""
    rows = await session.execute(
        text(
            """
            SELECT enrolments.state AS place, cohorts.state AS cohort, person
            FROM enrolments JOIN cohorts USING (cohort)
            WHERE (CAST(:everything AS boolean) OR offices @> ARRAY[CAST(:office AS text)])
                AND enrolments.status <> 'void' AND cohorts.status <> 'void'
            ORDER BY enrolment
            """
        ),
        {"everything": caller.administrator, "office": caller.source or ""},
    )
    found = (_place(row) for row in rows)
    return [place for place in found if place.shown_to(caller) and not place.withheld_from(caller)]


async def read_details(session: AsyncSession, register: Register, enrolments: Collection[str]) -> dict[str, Details]:
    """What is known of these by now; of somebody who was forgotten, nothing. Not before asking who may: see ``Place``."""
    found: dict[str, Details] = {}
    early: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for row in await _sealed(session, enrolments, applied=True):
        said = json.loads(opened(register, row))["data"]  # as it came: its texts are made NFC by reading it
        data = TYPES[row.type].model_validate(said).model_dump(mode="json", exclude_none=True)
        if row.type == "person.corrected.v1" and row.enrolment not in found:
            early.setdefault(row.enrolment, []).append((row.type, data))  # it waited for the one that it corrects
            continue
        details = found.setdefault(row.enrolment, Details())
        details.hear(row.type, data)
        for waited in early.pop(row.enrolment, ()):
            details.hear(*waited)
    return found


async def read_originals(
    session: AsyncSession, register: Register, enrolments: Collection[Enrolment]
) -> dict[Any, Any]:
    """By (source, id), the events as they came that hold details of a person with these enrolments.

    What has not applied may be about somebody else (a slip that was taken back, a number that was given twice): it is theirs only
    if an identifier says so.
    """
    links = {link for enrolment in enrolments for link in enrolment.links}
    return {
        (row.source, row.id): json.loads(opened(register, row))
        for row in await _sealed(session, [enrolment.enrolment for enrolment in enrolments], applied=False)
        if (row.status, row.code) == ("accepted", "applied") or tells_of(row, links)
    }


async def looked(session: AsyncSession, caller: Caller, looks: Iterable[Place], why: Why, now: datetime) -> None:
    """Write down that somebody was shown, or given, the details of these."""
    recipient = caller.country.upper() if caller.country else None
    rows = [
        {
            "at": now,
            "office": caller.source,
            "officer": caller.officer,
            "enrolment": place.enrolment.enrolment,
            "why": why,
            "sent_by": place.enrolment.country,
            "recipient": recipient,
        }
        for place in looks
    ]
    await write(session, LookRow, rows)
    for row in rows:
        if recipient is not None and recipient != row["sent_by"]:
            CROSSED.labels(row["sent_by"], recipient).inc()


async def _sealed(session: AsyncSession, enrolments: Collection[str], *, applied: bool) -> Sequence[Row[Any]]:
    rows = await session.execute(
        text(
            f"""
            SELECT source, id, type, enrolment, events.status, code, events.person AS said, {LINKING},
                owner, entries.sealed, keys.sealed AS key
            FROM events JOIN register_entries AS entries USING (source, id)
            JOIN register_keys AS keys USING (owner) LEFT JOIN enrolments USING (enrolment)
            WHERE enrolment = ANY(:enrolments) {"AND events.status = 'accepted' AND code = 'applied'" if applied else ""}
            ORDER BY time, rank, source COLLATE "C", id COLLATE "C"
            """  # noqa: S608
        ),
        {"enrolments": sorted(enrolments)},
    )
    return rows.all()


def opened(register: Register, row: Any) -> bytes:
    """The event as it came, of a row with its sealed original and that one's key."""
    return register.unseal(row.key, row.owner, row.sealed, f"{row.source}/{row.id}")


def _place(row: Any) -> Place:
    return Place(ENROLMENT.validate_python(row.place), COHORT.validate_python(row.cohort), row.person)
