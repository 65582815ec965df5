"""Opening signed documents: for whom, and when it can no longer be done. What is opened is never stored or logged."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidTag
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.certification import attestations, queries
from services.certification.holders import CERTIFICATION, PUBLIC, TRAINING, Holder, Holders
from services.certification.issuer import Issuer, is_stale, opened_document
from services.certification.signing import Document
from shared.database import Database
from shared.events.certification import CertificateFact
from shared.http import RETRY_AFTER_SECONDS, Problem
from shared.offices import Caller
from shared.vc import jwt


class PublicStanding(BaseModel):
    """How a certificate stands, for anybody; it names nobody."""

    status: str
    """valid, suspended, revoked, superseded or void."""
    since: date | None
    """The day since when its awarding body says so."""
    published: datetime
    """When it became public."""
    valid_until: date | None


@dataclass(frozen=True, slots=True, repr=False)
class Opened:
    """A document with the certificate that it attests to, and who holds it."""

    certificate: str
    public_id: str
    status: str
    document: Document
    holder: Holder
    signed: datetime


class Names:
    """Whose names an office may have: by its part in the cohort, and by what the holder agrees to."""

    def __init__(self, database: Database, holders: Holders) -> None:
        self._database = database
        self._holders = holders

    async def certificates(
        self, caller: Caller, *, certificate: str | None = None, cohort: str | None = None, ever: bool = False
    ) -> list[CertificateFact]:
        """One certificate, or a cohort's, whose documents this office may have, by trainee number: those of now, or whichever
        there will ``ever`` be. Raises ``Problem`` 503.
        """
        async with self._database.transaction() as session:
            found = await queries.named_certificates(session, caller, certificate=certificate, cohort=cohort)
        asked = {one.fact.enrolment for one in found if one.only_hosts and (one.may_name or ever)}
        try:
            holders = await self._holders.ask(asked, TRAINING)
        except ConnectionError:
            raise _away() from None
        if certificate is not None and any(one.status == "unknown" for one in holders.values()):
            raise _unheard()
        # Of somebody who is forgotten there is no name left to tell.
        agreed = {key for key, one in holders.items() if one.names is not None or one.status == "forgotten"}
        return [one.fact for one in found if one.fact.enrolment not in asked or one.fact.enrolment in agreed]


class Documents:
    """Opens documents for those who may have them."""

    def __init__(self, database: Database, holders: Holders, issuer: Issuer) -> None:
        self._database = database
        self._holders = holders
        self._names = Names(database, holders)
        self._issuer = issuer

    async def standing(self, public_id: str) -> PublicStanding:
        """How a certificate stands. Raises ``Problem`` 404."""
        async with self._database.transaction() as session:
            row = await _row(session, public_id)
        return PublicStanding(
            status=row["status"], since=row["since"], published=row["changed"], valid_until=row["data"]["valid_until"]
        )

    async def for_caller(self, public_id: str, caller: Caller) -> Opened:
        """For an office that may see the holder's name. Raises ``Problem`` 404, 410 and 503."""
        async with self._database.transaction() as session:
            row = await _row(session, public_id)
        if not await self._names.certificates(caller, certificate=row["certificate"]):
            raise _nothing_here()
        return await self._opened(row)

    async def for_anybody(self, public_id: str) -> Opened:
        """For whoever knows its address: only what says no name, or one that its holder wants to be public.

        Raises ``Problem`` 403, 404, 410 and 503.
        """
        async with self._database.transaction() as session:
            row = await _row(session, public_id)
        if row["named"]:
            holder = await self._asked(row["enrolment"], PUBLIC)
            if holder.status == "known" and holder.names is None:
                raise Problem(
                    403,
                    "not_public",
                    "This document names its holder, who has not agreed to its being public. Ask the holder for it; "
                    "how the certificate stands is public.",
                )
        return await self._opened(row)

    async def for_holder(self, public_id: str) -> Opened:
        """For whoever brings proof of being the holder, which is for the caller to check. Raises ``Problem`` 404, 410, 503."""
        async with self._database.transaction() as session:
            row = await _row(session, public_id)
        return await self._opened(row)

    async def says_otherwise(self, public_id: str, file: bytes, said: Mapping[str, Any]) -> bool:
        """Whether a document that was signed here says something else than the one that is served by now.

        A number or a mark that was corrected, another name: which, nobody is told. No while that cannot be found out.
        """
        try:
            async with self._database.transaction() as session:
                row = await _row(session, public_id)
            # A file that is just what is served, as most are, is told by its digest: enrolment need not be asked for the key.
            if row["sealed"] is None or row["digest"] == sha256(file).digest():
                return False
            holder = await self._holders.one(row["enrolment"], CERTIFICATION)
            if holder.key is None:
                return False
            served = json.loads(opened_document(row["sealed"], public_id, holder).json)
        except (Problem, ConnectionError, InvalidTag):
            return False
        now, then = _without_proof(served), _without_proof(said)
        return then not in (now, now | jwt.claims(now))

    async def _opened(self, row: dict[str, Any]) -> Opened:
        holder = await self._asked(row["enrolment"], CERTIFICATION)
        if holder.status == "forgotten" or row["sealed"] is None:
            raise Problem(
                410,
                "forgotten",
                "The holder's details are destroyed at their wish, and with them this document. "
                "How the certificate stands can still be asked.",
            )
        if row["compromised"] or is_stale(row, holder):
            if row["status"] == "void":
                raise Problem(
                    410,
                    "taken_back",
                    "This certificate was taken back, and its document is signed no more. How it stands can still be asked.",
                )
            async with self._database.transaction() as session:
                await attestations.sign_anew(session, [row["certificate"]])
            self._issuer.wake()
            raise _wait("The document is being signed anew.")
        try:
            document = opened_document(row["sealed"], row["public_id"], holder)
        except InvalidTag:
            raise Problem(410, "forgotten", "This document can no longer be opened.") from None
        return Opened(row["certificate"], row["public_id"], row["status"], document, holder, row["signed"])

    async def _asked(self, enrolment: str, purpose: str) -> Holder:
        try:
            holder = await self._holders.one(enrolment, purpose)
        except ConnectionError:
            raise _away() from None
        if holder.status == "unknown":
            raise _unheard()
        return holder


async def _row(session: AsyncSession, public_id: str) -> dict[str, Any]:
    rows = await session.execute(
        text(
            """
            SELECT attestations.*, certificates.enrolment, certificates.data, compromised IS NOT NULL AS compromised
            FROM attestations JOIN certificates USING (certificate) LEFT JOIN issuer_keys ON issuer_keys.id = key
            WHERE public_id = :public_id AND attestations.status <> 'prepared'
            """
        ),
        {"public_id": public_id},
    )
    row = rows.mappings().one_or_none()
    if row is None:
        raise _nothing_here()
    return dict(row)


def _without_proof(document: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in document.items() if field != "proof"}


def _nothing_here() -> Problem:
    return Problem(404, "not_found", "No certificate has this address. Compare it with the paper, letter by letter.")


def _away() -> Problem:
    return _wait("Documents can be opened only while enrolment answers, and it does not just now.")


def _unheard() -> Problem:
    return _wait("Enrolment does not know the holder (yet).")


def _wait(why: str) -> Problem:
    return Problem(503, "not_now", f"{why} Try again in a few seconds.", {"Retry-After": str(RETRY_AFTER_SECONDS)})
