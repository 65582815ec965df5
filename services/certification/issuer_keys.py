"""The keys that sign what this installation attests to: made here, kept sealed, rotated, and given up when somebody else has one.

A rotated key signs nothing any more, and what it signed stays good: its public half stays in the DID document. A compromised one
is taken out of that document and destroyed, so nothing that it signed verifies any more; everything that is public is signed
anew with the next key, under the same addresses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.certification.tables import IssuerKeyRow
from shared.secrets import derive, seal, unseal


@dataclass(frozen=True, slots=True, repr=False)
class IssuerKey:
    """A key that signs, with its private half: 32 bytes each."""

    id: int
    private: bytes
    public: bytes

    @property
    def name(self) -> str:
        """What it is called in the DID document."""
        return name_of(self.id)


def name_of(key: int) -> str:
    """The fragment of a key's address."""
    return f"key-{key}"


class NoSuchKey(LookupError):
    """There is no key of this number, or it is compromised already."""


class IssuerKeys:
    """Makes keys and opens them."""

    def __init__(self, secret: bytes) -> None:
        """``secret`` is the service's own."""
        self._sealing = derive(secret, "issuer keys")

    async def current(self, session: AsyncSession, now: datetime) -> IssuerKey:
        """The key that signs; the first is made when it is asked for."""
        if found := await self._usable(session):
            return found
        await _lock(session)
        return await self._usable(session) or await self._new(session, now)

    async def rotate(self, session: AsyncSession, now: datetime) -> IssuerKey:
        """A new key that signs from now on; those before stay good for what they signed."""
        await _lock(session)
        await session.execute(
            text("UPDATE issuer_keys SET retired = :now, sealed = NULL WHERE retired IS NULL"), {"now": now}
        )
        return await self._new(session, now)

    async def compromise(self, session: AsyncSession, key: int, now: datetime) -> tuple[IssuerKey, int]:
        """Give a key up. The key that signs from now on, and how many documents are to be signed anew. Raises NoSuchKey."""
        await _lock(session)
        given_up = await session.execute(
            text(
                """
                UPDATE issuer_keys SET compromised = :now, retired = COALESCE(retired, :now), sealed = NULL
                WHERE id = :key AND compromised IS NULL RETURNING id
                """
            ),
            {"key": key, "now": now},
        )
        if given_up.one_or_none() is None:
            raise NoSuchKey(name_of(key))
        await session.execute(text("DELETE FROM attestation_drafts WHERE key = :key"), {"key": key})
        due = await session.execute(
            text(
                """
                UPDATE certificates SET due = true FROM attestations
                WHERE attestations.certificate = certificates.certificate AND attestations.key = :key
                RETURNING certificates.certificate
                """
            ),
            {"key": key},
        )
        number = len(due.all())
        return await self.current(session, now), number

    async def _usable(self, session: AsyncSession) -> IssuerKey | None:
        newest = select(col(IssuerKeyRow.id), col(IssuerKeyRow.sealed), col(IssuerKeyRow.public))
        newest = newest.where(col(IssuerKeyRow.retired).is_(None)).order_by(col(IssuerKeyRow.id).desc()).limit(1)
        row = (await session.execute(newest)).one_or_none()
        if row is None:
            return None
        assert row.sealed is not None  # destroyed only when it retires
        return IssuerKey(row.id, unseal(self._sealing, row.sealed, _place(row.id)), row.public)

    async def _new(self, session: AsyncSession, now: datetime) -> IssuerKey:
        number = (await session.execute(text("SELECT COALESCE(max(id), 0) + 1 FROM issuer_keys"))).scalar_one()
        private = Ed25519PrivateKey.generate()
        key = IssuerKey(number, private.private_bytes_raw(), private.public_key().public_bytes_raw())
        session.add(
            IssuerKeyRow(
                id=number, public=key.public, sealed=seal(self._sealing, key.private, _place(number)), made=now
            )
        )
        await session.flush()
        return key


def good(keys: Sequence[IssuerKeyRow]) -> dict[int, bytes]:
    """Of these keys, the public halves of those whose signatures are good, by number."""
    return {key.id: key.public for key in keys if key.compromised is None}


def given_up(keys: Sequence[IssuerKeyRow]) -> dict[int, datetime]:
    """Of these keys, those that are compromised, by number: since when."""
    return {key.id: key.compromised for key in keys if key.compromised is not None}


async def every_key(session: AsyncSession) -> Sequence[IssuerKeyRow]:
    """All keys that there ever were, the oldest first."""
    return (await session.execute(select(IssuerKeyRow).order_by(col(IssuerKeyRow.id)))).scalars().all()


async def none_is_given_up(session: AsyncSession) -> None:
    """Until this transaction ends no key is given up: who does it next finds all that this one makes public.

    It comes before any other lock, as it does for them.
    """
    await session.execute(text("SELECT pg_advisory_xact_lock_shared(hashtextextended('issuer keys', 0))"))


async def _lock(session: AsyncSession) -> None:
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('issuer keys', 0))"))


def _place(key: int) -> bytes:
    return name_of(key).encode()
