"""The register of recognitions: rows that follow the fold, and what a certificate is worth in a country."""

from collections.abc import Iterable, Mapping
from datetime import date

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.certification.tables import EventRow, RecognitionRow
from shared.database import write
from shared.events.certification import CertificateFact, RecognitionFact
from shared.events.identity import recognised_id


async def worth(
    session: AsyncSession, certificate: CertificateFact, country: str | None, on: date
) -> list[RecognitionFact]:
    """What a certificate's scheme, occupation and level are recognised as on a day in a country (None: in every one that does);
    empty where nothing is recorded.

    Whether this certificate is valid is another question, and not answered here.
    """
    rows = await session.execute(
        text(
            """
            SELECT data FROM recognitions
            WHERE (scheme, occupation, level) = (:scheme, :occupation, :level) AND status <> 'void'
            AND country = COALESCE(:country, country)
            AND :on BETWEEN starts_on AND COALESCE(ends_on, 'infinity') ORDER BY country, data ->> 'framework'
            """
        ),
        {
            "scheme": certificate.scheme,
            "occupation": certificate.occupation,
            "level": certificate.level,
            "country": country,
            "on": on,
        },
    )
    return [RecognitionFact.model_validate(data) for data in rows.scalars()]


async def recognised_under(session: AsyncSession, schemes: Iterable[str]) -> set[str]:
    """The ids of what events recognise of these schemes."""
    asked = select(col(EventRow.recognised)).where(
        col(EventRow.scheme).in_(list(schemes)), col(EventRow.recognised).is_not(None)
    )
    return {recognised for recognised in (await session.execute(asked.distinct())).scalars() if recognised}


async def held(session: AsyncSession, recognised: Iterable[str]) -> dict[str, RecognitionFact]:
    """The recognitions of the same as saved, by their own ids."""
    asked = select(RecognitionRow).where(col(RecognitionRow.recognised).in_(list(recognised)))
    return {
        row.recognition: RecognitionFact.model_validate(row.data) for row in (await session.execute(asked)).scalars()
    }


async def save(
    session: AsyncSession, recognised: set[str], decided: Mapping[str, RecognitionFact]
) -> list[RecognitionFact]:
    """Save what is decided of these; answers what changed, void where nothing that was said stands any more."""
    if not recognised:
        return []
    before = await held(session, recognised)
    gone = [
        fact.model_copy(update={"status": "void"})
        for key, fact in before.items()
        if key not in decided and fact.status != "void"
    ]
    changed = [fact for key, fact in decided.items() if before.get(key) != fact] + gone
    lines = [
        {
            "recognition": fact.recognition,
            "recognised": recognised_of(fact),
            "country": fact.country,
            "scheme": fact.scheme,
            "occupation": fact.occupation,
            "level": fact.level,
            "status": fact.status,
            "starts_on": fact.starts_on,
            "ends_on": fact.ends_on,
            "data": fact.model_dump(mode="json"),
        }
        for fact in changed
    ]
    await write(session, RecognitionRow, lines, ["status", "starts_on", "ends_on", "data"])
    return changed


def recognised_of(fact: RecognitionFact) -> str:
    """The id of what a recognition recognises."""
    return recognised_id(fact.country.lower(), fact.framework, fact.scheme, fact.occupation, fact.level)
