"""A certificate's documents: opened with the holder's key, set on paper, and packed for a whole cohort.

A document is opened for one answer and kept nowhere. Pages are set one or two at a time, whoever asks: each takes a core.
"""

import asyncio
import json
import zipfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography.exceptions import InvalidTag

from services.certification import paper, showing
from services.certification.holders import CERTIFICATION, Holders
from services.certification.operator import Operator
from services.certification.paper import Name, Paper, Tier
from services.certification.showing import Shown
from shared.database import Database
from shared.http import Problem
from shared.vc.embedding import write_png

AT_A_TIME: Final = 2
"""Pages that are set at a time in one copy of the service."""
GONE: Final = "The holder of this certificate was forgotten, as they asked. Its document cannot be opened by anybody; its standing remains."
NOT_THERE: Final = "There is no document of this certificate: nothing is issued yet, or this office may not see it."
AWAY: Final = "Enrolment, which alone can name the holder, does not answer. Try again in a moment."


@dataclass(frozen=True, slots=True, repr=False)
class Document:
    """A certificate with its signed document, open."""

    shown: Shown
    names: tuple[Name, ...]
    credential: str
    jwt: str


class Documents:
    """Opens and sets documents."""

    def __init__(self, database: Database, holders: Holders, operator: Operator) -> None:
        self._database = database
        self._holders = holders
        self._operator = operator
        self._setting = asyncio.Semaphore(AT_A_TIME)

    async def open(self, certificate: str) -> Document:
        """A certificate's document. Raises ``Problem`` 404, 410 for a holder who is forgotten, 503 while enrolment is away."""
        async with self._database.transaction() as session:
            shown = await showing.by_certificate(session, certificate, datetime.now(UTC))
            sealed = await showing.sealed_document(session, certificate)
        if shown is None:
            raise Problem(404, "not_found", NOT_THERE)
        try:
            holder = await self._holders.one(shown.fact.enrolment, CERTIFICATION)
        except ConnectionError:
            raise Problem(503, "unavailable", AWAY, {"Retry-After": "2"}) from None
        if holder.status == "forgotten" or sealed is None:
            raise Problem(410, "forgotten", GONE)
        if holder.key is None:
            raise Problem(404, "not_found", NOT_THERE)
        try:
            opened = json.loads(holder.unseal(sealed, shown.public_id))
        except InvalidTag:
            raise Problem(410, "forgotten", GONE) from None
        names: tuple[Name, ...] = ()
        if shown.named and holder.names is not None:
            names = _names(holder.names.original, holder.names.language, holder.names.romanised)
        return Document(shown, names, opened["credential"], opened["jwt"])

    async def pdf(self, document: Document) -> bytes:
        """The page as PDF/A-3, with the credential in it."""
        async with self._setting:
            return await asyncio.to_thread(paper.pdf, self.page(document))

    async def png(self, document: Document) -> bytes:
        """The page as a picture, with the credential in it."""
        async with self._setting:
            picture = await asyncio.to_thread(paper.png, self.page(document))
        return write_png(picture, document.credential)

    def page(self, document: Document) -> Paper:
        """What the page of a document says."""
        shown = document.shown
        return Paper(
            country=shown.fact.country,
            names=document.names,
            scheme=shown.scheme.titles,
            occupation=shown.occupation.titles,
            tier=Tier(shown.level.titles, shown.level.printed),
            awarding_body=shown.scheme.awarding_body,
            number=shown.fact.number,
            awarded_on=shown.fact.awarded_on,
            valid_until=shown.fact.valid_until,
            address=self._operator.page(shown.public_id),
            operator=self._operator.name,
            made=datetime.now(UTC),
            standing=shown.status,
            since=shown.since,
            look_up=shown.look_up,
            course=(shown.course.titles, shown.course.starts_on, shown.course.ends_on) if shown.course else None,
            credential=document.credential,
            demonstration=self._operator.is_local,
        )

    async def bundle(self, certificates: Sequence[tuple[str, str]]) -> AsyncIterator[bytes]:
        """A zip of the PDFs of these certificates, (id, name of the file) each, as it grows.

        What cannot be opened is left out, and a list at the end says so.
        """
        written = _Written()
        left_out: list[str] = []
        with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
            for certificate, name in certificates:
                try:
                    page = await self.pdf(await self.open(certificate))
                except Problem as problem:
                    if problem.status == 503:
                        raise ConnectionError(AWAY) from None  # a bundle that breaks off is not mistaken for a whole one
                    left_out.append(f"{name}: {problem.message}")
                    continue
                archive.writestr(zipfile.ZipInfo(name, _NO_TIME), page)
                yield written.taken()
            if left_out:
                archive.writestr(zipfile.ZipInfo("left-out.txt", _NO_TIME), "\n".join(left_out) + "\n")
        yield written.taken()


_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)


class _Written:
    """A file that is read as it is written, and never as a whole."""

    def __init__(self) -> None:
        self._new = bytearray()

    def write(self, data: bytes) -> int:
        self._new += data
        return len(data)

    def flush(self) -> None: ...

    def taken(self) -> bytes:
        """What was written since the last time."""
        new, self._new = bytes(self._new), bytearray()
        return new


def _names(original: str, language: str | None, romanised: str) -> tuple[Name, ...]:
    """Both, or one where a name is written in Latin letters by its owner too."""
    first = Name(original, language or "en")
    return (first,) if original == romanised else (first, Name(romanised, "en"))
