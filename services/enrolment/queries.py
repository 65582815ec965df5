"""Tables to answers. Whether an answer may be seen is part of the question: what may not is not there.

The parties of a cohort see it with its enrolments; who only sends trainees sees those of its own country, who only reads none.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.enrolment.sentences import SENTENCES
from shared.events.codes import SOURCE_PATTERN
from shared.events.enrolment import CentreFact, CohortFact, ProgrammeFact, TraineeFact
from shared.events.receipts import Standing
from shared.lists import Page, Paging
from shared.offices import Caller
from shared.waiting import SINCE

T = TypeVar("T")


class Place(BaseModel):
    """A trainee's place, as a cohort lists it."""

    enrolment: str
    number: str
    status: str


class CohortAnswer(BaseModel):
    """A cohort by now, with the enrolments that the caller may see and how many of them there are by status."""

    cohort: CohortFact
    counts: dict[str, int]
    enrolments: list[Place]


class EventAnswer(BaseModel):
    """One event of an office, without its personal details, and its standing by now."""

    source: str
    id: str
    type: str
    recordedtime: datetime
    postedby: str
    current: Standing
    since: datetime | None = None
    """Since when it has this status."""
    event: dict[str, Any]


class Change(Standing):
    """A standing that an event had from ``recordedtime`` on."""

    recordedtime: datetime


class EventHistory(EventAnswer):
    """The same with every standing that it has had, in order."""

    receipts: list[Change]


class Officer(BaseModel):
    """An officer of an office, and until when their token holds."""

    officer: str
    expires: datetime


class OfficeAnswer(BaseModel):
    """An office and its officers; never a token itself."""

    office: str
    name: str
    roles: list[str]
    status: str
    tokens: list[Officer]


async def programmes(session: AsyncSession, paging: Paging) -> Page[ProgrammeFact]:
    """Registered programmes by code."""
    rows = await session.execute(
        text(
            "SELECT data FROM programmes WHERE status = 'registered' AND programme > :after ORDER BY programme LIMIT :limit"
        ),
        {"after": paging.code, "limit": paging.limit + 1},
    )
    return paging.page([ProgrammeFact.model_validate(row.data) for row in rows], lambda fact: fact.programme)


async def centres(session: AsyncSession, paging: Paging) -> Page[CentreFact]:
    """Registered centres by code."""
    rows = await session.execute(
        text("SELECT data FROM centres WHERE status = 'registered' AND centre > :after ORDER BY centre LIMIT :limit"),
        {"after": paging.code, "limit": paging.limit + 1},
    )
    return paging.page([CentreFact.model_validate(row.data) for row in rows], lambda fact: fact.centre)


async def cohorts(session: AsyncSession, caller: Caller, paging: Paging) -> Page[CohortFact]:
    """The cohorts to which the caller is a party, by code."""
    rows = await session.execute(
        text(
            """
            SELECT things.body FROM cohorts JOIN things ON kind = 'cohort' AND key = cohort
            WHERE (CAST(:everything AS boolean) OR offices @> ARRAY[CAST(:office AS text)])
                AND status <> 'void' AND cohort > :after
            ORDER BY cohort LIMIT :limit
            """
        ),
        {**_seer(caller), "after": paging.code, "limit": paging.limit + 1},
    )
    return paging.page([CohortFact.model_validate(row.body) for row in rows], lambda fact: fact.cohort)


async def cohort(session: AsyncSession, caller: Caller, cohort: str) -> CohortAnswer | None:
    """One cohort with its enrolments, if the caller is a party."""
    rows = await session.execute(
        text(
            """
            SELECT things.body FROM cohorts JOIN things ON kind = 'cohort' AND key = cohort
            WHERE (CAST(:everything AS boolean) OR offices @> ARRAY[CAST(:office AS text)]) AND cohort = :cohort
            """
        ),
        {**_seer(caller), "cohort": cohort},
    )
    row = rows.one_or_none()
    if row is None:
        return None
    fact = CohortFact.model_validate(row.body)
    lines = await session.execute(
        text(
            """
            SELECT enrolment, country, status, state ->> 'number' AS number FROM enrolments
            WHERE cohort = :cohort AND status <> 'void' ORDER BY number
            """
        ),
        {"cohort": cohort},
    )
    places = [
        Place(enrolment=line.enrolment, number=line.number, status=line.status)
        for line in lines
        if _may_see(caller, fact, line.country)
    ]
    return CohortAnswer(cohort=fact, counts=dict(Counter(place.status for place in places)), enrolments=places)


async def trainees(session: AsyncSession, enrolments: Sequence[str]) -> list[TraineeFact]:
    """These enrolments, in this order. Not before asking which of them the caller may see: see ``cohort``."""
    rows = await session.execute(
        text(
            """
            SELECT body FROM unnest(CAST(:enrolments AS text[])) WITH ORDINALITY AS asked (key, place)
            JOIN things USING (key) WHERE kind = 'trainee' ORDER BY place
            """
        ),
        {"enrolments": list(enrolments)},
    )
    return [TraineeFact.model_validate(row.body) for row in rows]


async def enrolment(session: AsyncSession, caller: Caller, enrolment: str) -> TraineeFact | None:
    """One enrolment, if the caller may see it."""
    rows = await session.execute(
        text(
            """
            SELECT trainees.body AS trainee, cohorts.body AS cohort FROM things AS trainees
            JOIN things AS cohorts ON cohorts.kind = 'cohort' AND cohorts.key = trainees.body ->> 'cohort'
            WHERE trainees.kind = 'trainee' AND trainees.key = :enrolment
            """
        ),
        {"enrolment": enrolment},
    )
    row = rows.one_or_none()
    if row is None:
        return None
    fact = TraineeFact.model_validate(row.trainee)
    return fact if _may_see(caller, CohortFact.model_validate(row.cohort), fact.country) else None


async def events(
    session: AsyncSession,
    caller: Caller,
    paging: Paging,
    *,
    source: str | None = None,
    id_: str | None = None,
    status: str | None = None,
    cohort: str | None = None,
) -> Page[EventAnswer]:
    """The caller's own events (an administrator's: all), in the order of recording."""
    rows = await session.execute(
        text(
            f"""
            SELECT * FROM events, {SINCE}
            WHERE (CAST(:everything AS boolean) OR source = :office) AND place > :after
                AND (CAST(:source AS text) IS NULL OR source = :source)
                AND (CAST(:id AS text) IS NULL OR id = :id)
                AND (CAST(:status AS text) IS NULL OR status = :status)
                AND (CAST(:cohort AS text) IS NULL OR unit = 'cohort/' || :cohort)
            ORDER BY place LIMIT :limit
            """  # noqa: S608 (a constant)
        ),
        {
            **_seer(caller),
            "source": source,
            "id": id_,
            "status": status,
            "cohort": cohort,
            "after": paging.number,
            "limit": paging.limit + 1,
        },
    )
    page = paging.page(list(rows), lambda row: str(row.place))
    return Page(items=[EventAnswer(**event_answer(row)) for row in page.items], next=page.next)


async def event(session: AsyncSession, caller: Caller, source: str, event: str) -> EventHistory | None:
    """One event with the history of its standing, if it is the caller's own."""
    if not caller.may_post_for(source):
        return None
    named = {"source": source, "id": event}
    asked = text(f"SELECT * FROM events, {SINCE} WHERE source = :source AND id = :id")  # noqa: S608 (a constant)
    row = (await session.execute(asked, named)).one_or_none()
    if row is None:
        return None
    return EventHistory(**event_answer(row), receipts=await history(session, source, event))


async def history(session: AsyncSession, source: str, event: str) -> list[Change]:
    """Every standing that an event has had."""
    rows = await session.execute(
        text("SELECT * FROM receipts WHERE source = :source AND id = :id ORDER BY number"),
        {"source": source, "id": event},
    )
    return [
        Change(**_standing(one.status, one.code, one.number).model_dump(), recordedtime=one.recordedtime)
        for one in rows
    ]


async def offices(session: AsyncSession, paging: Paging) -> Page[OfficeAnswer]:
    """All offices with their officers."""
    rows = await session.execute(
        text(
            """
            SELECT office, name, roles, status, COALESCE(
                jsonb_agg(jsonb_build_object('officer', officer, 'expires', expires) ORDER BY officer, expires)
                    FILTER (WHERE officer IS NOT NULL), '[]'
            ) AS tokens
            FROM offices LEFT JOIN tokens AS held USING (office) WHERE office > :after
            GROUP BY office ORDER BY office LIMIT :limit
            """
        ),
        {"after": paging.matching(SOURCE_PATTERN) or "", "limit": paging.limit + 1},
    )
    found = [OfficeAnswer.model_validate(dict(row)) for row in rows.mappings()]
    return paging.page(found, lambda office: office.office)


async def roster_codes(session: AsyncSession, caller: Caller) -> dict[str, list[str]]:
    """The codes of the caller's cohorts that are not over, and of what they name, by the columns of a roster."""
    row = (
        await session.execute(
            text(
                """
                SELECT array_agg(DISTINCT cohort) AS cohort, array_agg(DISTINCT trade) FILTER (WHERE trade IS NOT NULL) AS trade,
                    array_agg(DISTINCT scheme) FILTER (WHERE scheme IS NOT NULL) AS scheme
                FROM cohorts LEFT JOIN LATERAL jsonb_array_elements_text(state #> '{terms,trades}') AS trade ON true
                LEFT JOIN LATERAL jsonb_array_elements_text(state #> '{terms,schemes}') AS scheme ON true
                WHERE offices @> ARRAY[CAST(:office AS text)] AND status NOT IN ('void', 'cancelled')
                """
            ),
            {"office": caller.source or ""},
        )
    ).one()
    return {name: sorted(codes) for name, codes in row._mapping.items() if codes}


def _seer(caller: Caller) -> dict[str, Any]:
    return {"everything": caller.administrator, "office": caller.source or ""}


def _may_see(caller: Caller, cohort: CohortFact, country: str) -> bool:
    """Whether the caller may see a trainee of that country in the cohort."""
    roles = {party.role for party in cohort.parties if party.office == caller.source} - {"reader"}
    if roles <= {"sending-office"}:
        return caller.administrator or bool(roles and caller.country and country == caller.country.upper())
    return True


def event_answer(row: Any) -> dict[str, Any]:
    """A row of the journal as an EventAnswer has it."""
    void = row.type == "event.voided.v1"
    said = {"source": row.source, "id": row.id, "type": row.type, "time": row.time, "data": row.data}
    if row.target is not None and not void:
        said["replaces"] = row.target
    return {
        "source": row.source,
        "id": row.id,
        "type": row.type,
        "recordedtime": row.recordedtime,
        "postedby": row.postedby,
        "since": row.since,
        "current": _standing(row.status, row.code, row.number),
        "event": said,
    }


def _standing(status: Any, code: str, number: int) -> Standing:
    return Standing(status=status, code=code, sentence=SENTENCES[code], number=number)
