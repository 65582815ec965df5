"""What the desk's lists show: an office's entries with the newest first, its cohorts, and the codes that its forms suggest."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.certification import queries, store
from services.certification.sights import A_PARTY, seer, visible
from shared.desk.entries import Said
from shared.events.certification import CertificateFact, RecognitionFact, SchemeFact
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
        {**seer(caller), "status": status, "before": before, "limit": limit},
    )
    return [Said(queries.event_answer(row), row.place) for row in rows]


async def cohorts(session: AsyncSession, caller: Caller) -> list[str]:
    """The codes of the cohorts to which the caller is a party."""
    rows = await session.execute(
        text(f"SELECT cohort FROM cohorts WHERE {A_PARTY} AND NOT void ORDER BY cohort"),  # noqa: S608
        seer(caller),
    )
    return list(rows.scalars())


async def sees_cohort(session: AsyncSession, caller: Caller, cohort: str) -> bool:
    """Whether there is a page of this cohort for the caller."""
    return cohort in await cohorts(session, caller)


@dataclass(frozen=True, slots=True)
class Titled:
    """A certificate or a recognition with its scheme, for the titles that its codes stand for."""

    fact: CertificateFact | RecognitionFact
    scheme: SchemeFact

    @property
    def occupation(self) -> Mapping[str, str]:
        titles = (one.titles for one in self.scheme.occupations if one.occupation == self.fact.occupation)
        return next(titles, {"en": self.fact.occupation})

    @property
    def level(self) -> Mapping[str, str]:
        titles = (one.titles for one in self.scheme.levels if one.level == self.fact.level)
        return next(titles, {"en": self.fact.level})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trainee with what they hold or strive for."""

    enrolment: str
    number: str
    country: str
    completed: bool
    certificates: tuple[Titled, ...]


async def candidates(session: AsyncSession, caller: Caller, cohort: str) -> list[Candidate] | None:
    """The trainees of a cohort that the caller may see; None where the caller is no party."""
    if cohort not in await cohorts(session, caller):
        return None
    rows = await session.execute(
        text(
            f"""
            SELECT enrolment, number, country, completion, COALESCE((
                SELECT jsonb_agg(data ORDER BY certificate) FROM certificates
                WHERE certificates.enrolment = trainees.enrolment AND status <> 'void'
            ), '[]') AS certificates
            FROM trainees JOIN cohorts USING (cohort)
            WHERE cohort = :cohort AND {visible("trainees")} AND NOT trainees.void ORDER BY number
            """  # noqa: S608 - a constant of this module
        ),
        {**seer(caller), "cohort": cohort},
    )
    listed = [(row, [CertificateFact.model_validate(one) for one in row.certificates]) for row in rows]
    schemes = await store.schemes(session, {one.scheme for _, certificates in listed for one in certificates})
    return [
        Candidate(
            row.enrolment,
            row.number,
            row.country,
            row.completion == "in-force",
            tuple(Titled(one, schemes[one.scheme]) for one in certificates),
        )
        for row, certificates in listed
    ]


async def titled(session: AsyncSession, certificate: CertificateFact) -> Titled:
    """The certificate with its scheme."""
    return Titled(certificate, (await store.schemes(session, [certificate.scheme]))[certificate.scheme])


async def newer(session: AsyncSession, certificate: CertificateFact) -> str | None:
    """The newest edition of a certificate's award; None where it is that itself."""
    rows = await session.execute(
        text(
            """
            SELECT certificate FROM certificates
            WHERE (enrolment, scheme) = (:enrolment, :scheme) AND status <> 'void'
                AND (data ->> 'occupation', data ->> 'level') = (:occupation, :level)
                AND CAST(data ->> 'edition' AS integer) > :edition
            ORDER BY CAST(data ->> 'edition' AS integer) DESC LIMIT 1
            """
        ),
        certificate.model_dump(include={"enrolment", "scheme", "occupation", "level", "edition"}),
    )
    return rows.scalar_one_or_none()


def may_follow(certificate: CertificateFact, scheme: SchemeFact, today: date, *, is_newest: bool) -> frozenset[str]:
    """The types of what can be said next of a certificate, with effect: what its form is offered for.

    Nothing can of one that is not its award's newest edition: whatever is said of an award is of that.
    """
    if not is_newest:
        return frozenset()
    found, status = {"trainee.assessed.v1"}, certificate.status
    ended = certificate.valid_until is not None and certificate.valid_until < today
    first_by_body, held = status == "eligible" and scheme.rule == "by_awarding_body", status in ("issued", "suspended")
    if first_by_body or status == "revoked" or (held and ended):
        found.add("certificate.awarded.v1")
    if held:
        found |= {"certificate.replaced.v1", "certificate.revoked.v1"}
        found.add("certificate.suspended.v1" if status == "issued" else "certificate.reinstated.v1")
        if certificate.number is None:
            found.add("certificate.numbered.v1")
    return frozenset(found)


async def recognitions(session: AsyncSession, on: date | None) -> list[tuple[str, list[Titled]]]:
    """The register by the country that recognises: what ever held, or what held on a day."""
    rows = await session.execute(
        text(
            """
            SELECT recognitions.country, recognitions.data AS fact, schemes.data AS scheme
            FROM recognitions JOIN schemes USING (scheme)
            WHERE recognitions.status <> 'void'
            AND (CAST(:on AS date) IS NULL OR :on BETWEEN starts_on AND COALESCE(ends_on, 'infinity'))
            ORDER BY recognitions.country, scheme, occupation, level, recognised, starts_on LIMIT :limit
            """
        ),
        {"on": on, "limit": _ALL.limit},
    )
    found = [
        (row.country, Titled(RecognitionFact.model_validate(row.fact), SchemeFact.model_validate(row.scheme)))
        for row in rows
    ]
    return [(country, [one for _, one in lines]) for country, lines in groupby(found, key=lambda line: line[0])]


async def suggestions(session: AsyncSession, caller: Caller) -> dict[str, list[tuple[str, Mapping[str, str]]]]:
    """Codes that a form may suggest: of the caller's cohorts, and of the schemes."""
    schemes = (await queries.schemes(session, _ALL)).items
    return {
        "cohort": [(cohort, {}) for cohort in await cohorts(session, caller)],
        "scheme": [(scheme.scheme, scheme.titles) for scheme in schemes],
        "occupation": [(one.occupation, one.titles) for scheme in schemes for one in scheme.occupations],
        "level": [(one.level, one.titles) for scheme in schemes for one in scheme.levels],
    }
