"""What the desk's lists show: an office's entries with the newest first, and the codes that its forms suggest."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.enrolment import queries
from shared.desk.entries import Said
from shared.events.attendance import Given, counted
from shared.events.enrolment import CohortFact, TraineeFact
from shared.lists import Paging
from shared.offices import Caller
from shared.waiting import SINCE

_ALL = Paging(limit=1000)


async def entries(
    session: AsyncSession, caller: Caller, *, status: str | None, before: int | None, limit: int
) -> list[Said]:
    """The caller's own events (an administrator's: all) before a place in the order of recording, the newest first."""
    rows = await session.execute(
        text(
            f"""
            SELECT * FROM events, {SINCE}
            WHERE (CAST(:everything AS boolean) OR source = :office)
                AND (CAST(:status AS text) IS NULL OR status = :status)
                AND (CAST(:before AS bigint) IS NULL OR place < :before)
            ORDER BY place DESC LIMIT :limit
            """  # noqa: S608 (a constant)
        ),
        {
            "everything": caller.administrator,
            "office": caller.source or "",
            "status": status,
            "before": before,
            "limit": limit,
        },
    )
    return [Said(queries.EventAnswer(**queries.event_answer(row)), row.place) for row in rows]


async def cohorts(session: AsyncSession, caller: Caller) -> list[CohortFact]:
    """The caller's cohorts, the last that started first."""
    found = (await queries.cohorts(session, caller, _ALL)).items
    return sorted(found, key=lambda cohort: (cohort.starts_on, cohort.cohort), reverse=True)


async def sees_cohort(session: AsyncSession, caller: Caller, cohort: str) -> bool:
    """Whether there is a page of this cohort for the caller."""
    rows = await session.execute(
        text(
            """
            SELECT EXISTS (
                SELECT FROM cohorts JOIN things ON kind = 'cohort' AND key = cohort
                WHERE (CAST(:everything AS boolean) OR offices @> ARRAY[CAST(:office AS text)]) AND cohort = :cohort
            )
            """
        ),
        {"everything": caller.administrator, "office": caller.source or "", "cohort": cohort},
    )
    return bool(rows.scalar_one())


async def suggestions(session: AsyncSession, caller: Caller) -> dict[str, list[tuple[str, Mapping[str, str]]]]:
    """Codes that a form may suggest: those of the cohorts that the caller may see, and of what is registered."""
    own = await cohorts(session, caller)
    programmes = (await queries.programmes(session, _ALL)).items
    centres = (await queries.centres(session, _ALL)).items
    return {
        "cohort": [(cohort.cohort, cohort.titles) for cohort in own],
        "programme": [(programme.programme, programme.titles) for programme in programmes],
        "centre": [(centre.centre, centre.names) for centre in centres],
        "trade": _codes(trade for cohort in own for trade in cohort.trades),
        "scheme": _codes(scheme for cohort in own for scheme in cohort.schemes),
        "office": _codes(party.office.removeprefix("/offices/") for cohort in own for party in cohort.parties),
    }


@dataclass(frozen=True, slots=True)
class Attendance:
    """One trainee in a cohort's sessions: those that count for them, how many they missed, and the hours they were there."""

    sessions: int = 0
    missed: int = 0
    hours: Decimal = field(default=Decimal(0))


def attendance(cohort: CohortFact, trainees: Iterable[TraineeFact]) -> list[tuple[TraineeFact, Attendance]]:
    """Some of a cohort's trainees, each with their sessions as reports count them."""
    sessions = [Given.of(held) for held in cohort.sessions]
    return [(one, _attendance(counted(cohort, sessions, one), one.number)) for one in trainees]


def _attendance(sessions: Collection[Given], number: str) -> Attendance:
    hours = [session.hours_of(number) for session in sessions]
    return Attendance(len(hours), hours.count(0), Decimal(sum(hours)) / 100)


def _codes(found: Iterable[str]) -> list[tuple[str, Mapping[str, str]]]:
    return [(code, {}) for code in sorted(set(found))]
