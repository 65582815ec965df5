"""Tables to answers. Whether an answer may be seen is part of the question: what may not is not there."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.certification.rules import sentence
from services.certification.sights import named, named_to_who_hosts, seer, visible
from shared.events.certification import CertificateFact, RecognitionFact, SchemeFact
from shared.events.receipts import Standing
from shared.lists import Page, Paging
from shared.offices import Caller
from shared.waiting import SINCE


class EventAnswer(BaseModel):
    """One event of an office, and its standing by now. Fields that certification does not know were not kept."""

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


class PersonExport(BaseModel):
    """All that certification holds about a person, from the enrolments that the caller may see: no name is among it."""

    person: str
    certificates: list[CertificateFact]
    events: list[EventHistory]


class Attestation(BaseModel):
    """What is public of a certificate."""

    public_id: str
    """The 26 letters and digits of its addresses: ``/c/...`` is its page, ``/v1/credentials/...`` its document."""
    status: str
    """valid, suspended, revoked, superseded or void."""
    published: datetime
    """When this became public."""


class CertificateAnswer(CertificateFact):
    """A certificate, and what is public of it; null while nothing is."""

    attestation: Attestation | None = None


async def schemes(session: AsyncSession, paging: Paging) -> Page[SchemeFact]:
    """Registered schemes by code."""
    rows = await session.execute(
        text(
            """
            SELECT scheme, data FROM schemes WHERE data ->> 'status' = 'registered' AND scheme > :after
            ORDER BY scheme LIMIT :limit
            """
        ),
        {"after": paging.code, "limit": paging.limit + 1},
    )
    found = [SchemeFact.model_validate(row.data) for row in rows]
    return paging.page(found, lambda scheme: scheme.scheme)


async def recognitions(
    session: AsyncSession, paging: Paging, filters: Mapping[str, str | None], on: date | None = None
) -> Page[RecognitionFact]:
    """Recognitions by id, also those that are withdrawn; with ``on``, those that held on that day. Void ones never."""
    rows = await session.execute(
        text(
            """
            SELECT data FROM recognitions WHERE status <> 'void' AND recognition > :after
            AND (CAST(:scheme AS text) IS NULL OR scheme = :scheme)
            AND (CAST(:occupation AS text) IS NULL OR occupation = :occupation)
            AND (CAST(:level AS text) IS NULL OR level = :level)
            AND (CAST(:country AS text) IS NULL OR country = :country)
            AND (CAST(:on AS date) IS NULL OR :on BETWEEN starts_on AND COALESCE(ends_on, 'infinity'))
            ORDER BY recognition LIMIT :limit
            """
        ),
        {**filters, "on": on, "after": paging.code, "limit": paging.limit + 1},
    )
    found = [RecognitionFact.model_validate(data) for data in rows.scalars()]
    return paging.page(found, lambda fact: fact.recognition)


async def roster_codes(session: AsyncSession, caller: Caller) -> dict[str, list[str]]:
    """The codes of the registered schemes, and of the caller's cohorts, by the columns of a roster."""
    row = (
        await session.execute(
            text(
                """
                SELECT
                    array_agg(DISTINCT scheme) AS scheme, array_agg(DISTINCT one ->> 'occupation') AS occupation,
                    array_agg(DISTINCT two ->> 'level') AS level,
                    (SELECT array_agg(cohort) FROM cohorts WHERE NOT void
                        AND parties @> jsonb_build_array(jsonb_build_object('office', CAST(:office AS text)))) AS cohort
                FROM schemes, jsonb_array_elements(data -> 'occupations') AS one, jsonb_array_elements(data -> 'levels') AS two
                WHERE data ->> 'status' = 'registered'
                """
            ),
            {"office": caller.source or ""},
        )
    ).one()
    return {name: sorted(codes) for name, codes in row._mapping.items() if codes}


async def certificates(
    session: AsyncSession, caller: Caller, paging: Paging, filters: Mapping[str, str | None]
) -> Page[CertificateAnswer]:
    """The certificates that the caller may see, by id. Void ones only when they are asked for."""
    rows = await session.execute(
        text(
            f"""
            SELECT {_ANSWERED} FROM certificates LEFT JOIN cohorts USING (cohort)
            LEFT JOIN attestations USING (certificate)
            WHERE {visible("certificates")} AND certificate > :after
            AND (CAST(:cohort AS text) IS NULL OR cohort = :cohort)
            AND (CAST(:scheme AS text) IS NULL OR scheme = :scheme)
            AND (CAST(:enrolment AS text) IS NULL OR enrolment = :enrolment)
            AND certificates.status = COALESCE(:status, NULLIF(certificates.status, 'void'))
            ORDER BY certificate LIMIT :limit
            """  # noqa: S608 - a constant of this module
        ),
        {**seer(caller), **filters, "after": paging.code, "limit": paging.limit + 1},
    )
    found = [_certificate(row) for row in rows]
    return paging.page(found, lambda fact: fact.certificate)


async def certificate(session: AsyncSession, caller: Caller, certificate: str) -> CertificateAnswer | None:
    """One certificate, if the caller may see it."""
    rows = await session.execute(
        text(
            f"""
            SELECT {_ANSWERED} FROM certificates LEFT JOIN cohorts USING (cohort)
            LEFT JOIN attestations USING (certificate)
            WHERE {visible("certificates")} AND certificate = :certificate
            """  # noqa: S608 - a constant of this module
        ),
        {**seer(caller), "certificate": certificate},
    )
    row = rows.one_or_none()
    return _certificate(row) if row else None


_ANSWERED = "certificates.data, public_id, attestations.status, changed"


def _certificate(row: Any) -> CertificateAnswer:
    public = None
    if row.status not in (None, "prepared"):
        public = Attestation(public_id=row.public_id, status=row.status, published=row.changed)
    return CertificateAnswer(**row.data, attestation=public)


class Named(NamedTuple):
    """A certificate whose holder the caller may name."""

    fact: CertificateFact
    only_hosts: bool
    """Whether the caller may know that name only if the holder agrees to training."""
    may_name: bool
    """Whether its document names the holder, or there is none yet that names nobody."""


async def named_certificates(
    session: AsyncSession, caller: Caller, *, certificate: str | None = None, cohort: str | None = None
) -> list[Named]:
    """One certificate, or a cohort's that were awarded, for those who may see their holders' names, by trainee number."""
    rows = await session.execute(
        text(
            f"""
            SELECT certificates.data, {named_to_who_hosts("certificates")} AS only_hosts,
                COALESCE(named OR attestations.status = 'prepared', true) AS may_name
            FROM certificates JOIN cohorts USING (cohort) LEFT JOIN attestations USING (certificate)
            WHERE {named("certificates")} AND (certificate = :certificate OR cohort = :cohort)
            AND certificates.status NOT IN ('void', 'assessed', 'eligible')
            ORDER BY certificates.data ->> 'trainee', certificate
            """  # noqa: S608 - constants
        ),
        {**seer(caller), "certificate": certificate, "cohort": cohort},
    )
    return [Named(CertificateFact.model_validate(row.data), row.only_hosts, row.may_name) for row in rows]


async def events(session: AsyncSession, caller: Caller, paging: Paging, status: str | None) -> Page[EventAnswer]:
    """The caller's own events (an administrator's: all), in the order of recording."""
    rows = await session.execute(
        text(
            f"""
            SELECT * FROM events, {SINCE}
            WHERE (CAST(:everything AS boolean) OR source = :office) AND place > :after
            AND (CAST(:status AS text) IS NULL OR status = :status)
            ORDER BY place LIMIT :limit
            """  # noqa: S608 (a constant)
        ),
        {**seer(caller), "after": paging.number, "status": status, "limit": paging.limit + 1},
    )
    found = list(rows)
    page = paging.page(found, lambda row: str(row.place))
    return Page(items=[event_answer(row) for row in page.items], next=page.next)


async def event(session: AsyncSession, caller: Caller, source: str, event: str) -> EventHistory | None:
    """One event with the history of its standing, if it is the caller's own."""
    if not caller.may_post_for(source):
        return None
    named = {"source": source, "id": event}
    asked = text(f"SELECT * FROM events, {SINCE} WHERE source = :source AND id = :id")  # noqa: S608 (a constant)
    row = (await session.execute(asked, named)).one_or_none()
    if row is None:
        return None
    return await _history(session, row)


async def export(session: AsyncSession, caller: Caller, person: str) -> PersonExport | None:
    """What is held about a person, for those who see their details: who sends them, hosts or assesses their cohort."""
    rows = await session.execute(
        text(
            f"""
            SELECT enrolment FROM trainees JOIN cohorts USING (cohort)
            WHERE person = :person AND NOT trainees.void AND NOT cohorts.void AND {named("trainees")}
            """  # noqa: S608 (constants)
        ),
        {**seer(caller), "person": person},
    )
    enrolments = list(rows.scalars())
    if not enrolments:
        return None
    held = await session.execute(
        text("SELECT data FROM certificates WHERE enrolment = ANY(:enrolments) ORDER BY certificate"),
        {"enrolments": enrolments},
    )
    said = await session.execute(
        text(f"SELECT * FROM events, {SINCE} WHERE enrolment = ANY(:enrolments) ORDER BY place"),  # noqa: S608 (a constant)
        {"enrolments": enrolments},
    )
    return PersonExport(
        person=person,
        certificates=[CertificateFact.model_validate(data) for data in held.scalars()],
        events=[await _history(session, row) for row in said.all()],
    )


async def _history(session: AsyncSession, row: Any) -> EventHistory:
    rows = await session.execute(
        text("SELECT * FROM receipts WHERE source = :source AND id = :id ORDER BY number"),
        {"source": row.source, "id": row.id},
    )
    receipts = [
        Change(**_standing(one.status, one.code, one.number).model_dump(), recordedtime=one.recordedtime)
        for one in rows
    ]
    return EventHistory(**_event(row), receipts=receipts)


def event_answer(row: Any) -> EventAnswer:
    """A row of the journal as its office reads it."""
    return EventAnswer(**_event(row))


def _event(row: Any) -> dict[str, Any]:
    return {
        "source": row.source,
        "id": row.id,
        "type": row.type,
        "recordedtime": row.recordedtime,
        "postedby": row.postedby,
        "since": row.since,
        "current": _standing(row.status, row.code, row.receipt),
        "event": row.body,
    }


def _standing(status: Any, code: str, number: int) -> Standing:
    return Standing(status=status, code=code, sentence=sentence(code), number=number)
