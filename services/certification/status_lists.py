"""The signed lists of bits that say which documents nobody should accept, made anew whenever a bit has changed or one grows old.

The bits follow from the attestations and are nowhere else, so a list that is served is never behind them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.certification.issuer_keys import IssuerKeys
from services.certification.operator import Operator
from services.certification.places import set_places
from services.certification.signing import Document, sign_lists
from shared.database import Database

OLD: Final = timedelta(hours=6)
"""A list that is older than this is signed anew though nothing has changed: verifiers ask how old what they have is."""


@dataclass(frozen=True, slots=True)
class SignedList:
    """A list, and the one beside it that says why a bit is set, each in both its forms."""

    bits: Document
    reasons: Document
    signed: datetime


async def signed_list(
    database: Database, keys: IssuerKeys, operator: Operator, number: int, now: datetime
) -> SignedList | None:
    """A list as it is now, signed anew if it must be; None when there is none of this number."""

    async def work(session: AsyncSession) -> SignedList | None:
        row = await _row(session, number)
        if row is None:
            return None
        key = await keys.current(session, now)
        if _fresh(row, key.id, now):
            return _of(row)
        row = await _row(session, number, lock=True)
        assert row is not None
        if _fresh(row, key.id, now):  # somebody else was about it
            return _of(row)
        places = await set_places(session, number)
        bits, reasons = sign_lists(operator, key, number, places, now)
        await session.execute(
            text(
                """
                UPDATE status_lists SET document = :document, jwt = :jwt, reasons = :reasons, reasons_jwt = :reasons_jwt,
                    key = :key, signed = :now, signed_version = version WHERE list = :list
                """
            ),
            {
                "document": bits.json,
                "jwt": bits.jwt,
                "reasons": reasons.json,
                "reasons_jwt": reasons.jwt,
                "key": key.id,
                "now": now,
                "list": number,
            },
        )
        return SignedList(bits, reasons, now)

    return await database.run(work)


async def refresh(database: Database, keys: IssuerKeys, operator: Operator, now: datetime) -> None:
    """Sign every list anew that must be."""

    async def stale(session: AsyncSession) -> Sequence[int]:
        rows = await session.execute(
            text("SELECT list FROM status_lists WHERE signed_version IS DISTINCT FROM version OR signed < :old"),
            {"old": now - OLD},
        )
        return rows.scalars().all()

    for number in await database.run(stale):
        await signed_list(database, keys, operator, number, now)


async def _row(session: AsyncSession, number: int, *, lock: bool = False) -> dict[str, Any] | None:
    statement = f"SELECT * FROM status_lists WHERE list = :list {'FOR UPDATE' if lock else ''}"  # noqa: S608 - a constant
    row = (await session.execute(text(statement), {"list": number})).mappings().one_or_none()
    return dict(row) if row else None


def _fresh(row: dict[str, Any], key: int, now: datetime) -> bool:
    return (
        row["signed_version"] == row["version"]
        and row["key"] == key
        and row["signed"] is not None
        and now - row["signed"] < OLD
    )


def _of(row: dict[str, Any]) -> SignedList:
    return SignedList(
        Document(row["document"], row["jwt"]), Document(row["reasons"], row["reasons_jwt"]), row["signed"]
    )
