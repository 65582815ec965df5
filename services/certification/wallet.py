"""Links that a holder keeps: an office makes one and gives it to them, and whoever has it gets the documents of one certificate.

A link ends in 256 random bits, of which only the digest is stored. It is good for some time, or until its office ends it or the
officer who made it is revoked.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.events.enrolment import OfficeFact

LIFE: Final = timedelta(days=90)
"""Long enough to find work with; a new one takes an office a moment."""
LONGEST: Final = timedelta(days=366)
FORM: Final = "[A-Za-z0-9_-]{43}"
"""What a link ends in: 32 bytes in base64 for addresses."""


async def make(session: AsyncSession, certificate: str, made_by: str, expires: datetime, now: datetime) -> str:
    """A new link's secret; those that have ended are forgotten."""
    token = secrets.token_urlsafe(32)
    await session.execute(text("DELETE FROM wallet_links WHERE expires <= :now"), {"now": now})
    await session.execute(
        text(
            """
            INSERT INTO wallet_links (sha256, certificate, madeby, made, expires)
            VALUES (:sha256, :certificate, :madeby, :made, :expires)
            """
        ),
        {
            "sha256": _digest(token),
            "certificate": certificate,
            "madeby": made_by,
            "made": now,
            "expires": expires,
        },
    )
    return token


async def certificate_of(session: AsyncSession, token: str, now: datetime) -> tuple[str, datetime] | None:
    """The certificate that a link is for, and when it ends; None for one that nobody made or that has ended."""
    rows = await session.execute(
        text("SELECT certificate, expires FROM wallet_links WHERE sha256 = :sha256 AND expires > :now"),
        {"sha256": _digest(token), "now": now},
    )
    row = rows.one_or_none()
    return (row.certificate, row.expires) if row else None


async def end(session: AsyncSession, certificate: str) -> int:
    """End every link to a certificate; how many there were."""
    rows = await session.execute(
        text("DELETE FROM wallet_links WHERE certificate = :certificate RETURNING sha256"), {"certificate": certificate}
    )
    return len(rows.all())


async def end_of_revoked(session: AsyncSession, fact: OfficeFact, epoch: int, revision: int, now: datetime) -> None:
    """End what was made by whoever this fact takes a token from: before it is taken up.

    A token goes before it has ended when its officer, or the office, is revoked, or when it is rotated without an overlap, as
    after a leak: whoever had it may have made links for themselves.
    """
    await session.execute(
        text(
            """
            DELETE FROM wallet_links WHERE madeby IN (
                SELECT office || '#' || officer FROM tokens JOIN offices USING (office)
                WHERE office = :office AND (epoch, revision) < (:epoch, :revision) AND expires > :now
                    AND sha256 <> ALL(:kept)
            )
            """
        ),
        {
            "office": fact.office,
            "epoch": epoch,
            "revision": revision,
            "now": now,
            "kept": [token.sha256 for token in fact.tokens],
        },
    )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
