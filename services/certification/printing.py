"""A certificate's page: set on paper with what its signed document says, and packed for a whole cohort.

Pages are set one or two at a time, whoever asks: each takes a core. Nothing of them is kept.
"""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final

from services.certification import paper, showing
from services.certification.documents import Documents, Opened
from services.certification.operator import Operator
from services.certification.paper import Name, Paper, Tier
from services.certification.showing import Shown
from shared.database import Database
from shared.http import Problem

AT_A_TIME: Final = 2
"""Pages that are set at a time in one copy of the service."""
SOON_SECONDS: Final = 20.0
"""For which a bundle waits for a document that cannot be opened just now."""
AGAIN_SECONDS: Final = 0.2
NOT_THERE: Final = "Nothing is issued for this certificate yet, or this office may not see its document."
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True, repr=False)
class Printable:
    """A certificate as it stands, with its signed document open."""

    shown: Shown
    opened: Opened

    @property
    def names(self) -> tuple[Name, ...]:
        """The holder's, as the document says them: both, or one where its owner writes it in Latin letters too."""
        names = self.opened.holder.names
        if not self.shown.named or names is None:
            return ()
        first = Name(names.original, names.language or "en")
        return (first,) if names.original == names.romanised else (first, Name(names.romanised, "en"))


class Printing:
    """Opens documents and sets their pages."""

    def __init__(self, database: Database, documents: Documents, operator: Operator) -> None:
        self._database = database
        self._documents = documents
        self.operator = operator
        self._setting = asyncio.Semaphore(AT_A_TIME)

    async def open(self, certificate: str) -> Printable:
        """For whoever may have the document, which is for the caller to know. Raises ``Problem`` 404, 410 and 503."""
        async with self._database.transaction() as session:
            shown = await showing.by_certificate(session, certificate, datetime.now(UTC))
        if shown is None:
            raise Problem(404, "not_found", NOT_THERE)
        return Printable(shown, await self._documents.for_holder(shown.public_id))

    async def pdf(self, printable: Printable) -> bytes:
        """The page as PDF/A-3, with the credential in it."""
        async with self._setting:
            return await asyncio.to_thread(paper.pdf, self.page(printable))

    async def png(self, printable: Printable) -> bytes:
        """The page as a picture, with the credential in it."""
        async with self._setting:
            return await asyncio.to_thread(paper.png, self.page(printable))

    def page(self, printable: Printable) -> Paper:
        """What the page says."""
        shown = printable.shown
        return Paper(
            country=shown.fact.country,
            names=printable.names,
            scheme=shown.scheme.titles,
            occupation=shown.occupation.titles,
            tier=Tier(shown.level.titles, shown.level.printed),
            awarding_body=shown.scheme.awarding_body,
            number=shown.fact.number,
            awarded_on=shown.fact.awarded_on,
            valid_until=shown.fact.valid_until,
            address=self.operator.page(shown.public_id),
            operator=self.operator.name,
            made=datetime.now(UTC),
            standing=shown.status,
            since=shown.since,
            look_up=shown.look_up,
            course=shown.course,
            credential=printable.opened.document.json,
            demonstration=self.operator.is_local,
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
                    page = await self.pdf(await self._open_soon(certificate))
                except Problem as problem:
                    if problem.status == 503:
                        raise  # a bundle that breaks off is not mistaken for a whole one
                    left_out.append(f"{name}: {problem.message}")
                    continue
                archive.writestr(zipfile.ZipInfo(name, _NO_TIME), page)
                yield written.taken()
            if left_out:
                archive.writestr(zipfile.ZipInfo("left-out.txt", _NO_TIME), "\n".join(left_out) + "\n")
        yield written.taken()

    async def _open_soon(self, certificate: str) -> Printable:
        """Half a file is sent already: what is being signed anew is waited for. Raises ``Problem`` as ``open`` does."""
        ends = monotonic() + SOON_SECONDS
        while True:
            try:
                return await self.open(certificate)
            except Problem as problem:
                if problem.status != 503 or monotonic() > ends:
                    raise
            await asyncio.sleep(AGAIN_SECONDS)


class _Written(io.RawIOBase):
    """A file that is read as it is written, and never as a whole."""

    def __init__(self) -> None:
        self._new = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._new += bytes(data)
        return memoryview(data).nbytes

    def taken(self) -> bytes:
        """What was written since the last time."""
        new, self._new = bytes(self._new), bytearray()
        return new
