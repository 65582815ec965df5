"""The issuer: makes public what was decided, in the background and one at a time, and never while an event is handled.

It is woken by the commit of a decision, and looks now and then by itself, so it does not matter what it missed. A look that fails
leaves everything as it was, and the next goes on. Standings that need no document have a look of their own: a revocation does not
wait until ten thousand others are signed.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from cryptography.exceptions import InvalidTag
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from services.certification import attestations, status_lists
from services.certification.attestations import Append, Settled, Signed
from services.certification.holders import CERTIFICATION, Holder, Holders
from services.certification.issuer_keys import IssuerKey, IssuerKeys, none_is_given_up
from services.certification.matching import digest_of, is_one_of, was_one_of
from services.certification.operator import Operator
from services.certification.planning import Wish
from services.certification.signers import Signers
from services.certification.signing import Document, Job, Stored, Unsigned, packed, unpacked
from services.certification.sources import Sources, sources
from shared.database import Database
from shared.deadletters import describe
from shared.tasks import background, end
from shared.vc import contents

log = logging.getLogger(__name__)

T = TypeVar("T")
BATCH = 256
"""Enrolments whose certificates are settled in one transaction."""
ABREAST = 4
"""Batches at a time: while one is signed, another is read or written."""
LOOK_SECONDS = 0.5
"""Between two looks when nobody wakes it: another copy of the service may have taken the event."""
AGAIN_SECONDS = 1.0
ELSEWHERE = "another copy of this service issues, or did until a moment ago, and knows why"
"""What a copy says that does not: it knows how many wait."""
ASK_ANEW = timedelta(hours=1)
"""After this much time names are compared with what enrolment says by now, also of what nobody asked for."""


@dataclass(slots=True)
class Progress:
    """How the look that is going on, or the last one, went. ``problem`` is why something had to be left."""

    issued: int = 0
    changed: int = 0
    signed: int = 0
    problem: str | None = None


class Issuer:
    """Any number of processes may run this; one at a time works."""

    def __init__(
        self,
        database: Database,
        keys: IssuerKeys,
        holders: Holders,
        operator: Operator,
        append: Append,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        step: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """``append`` puts leaves into the log. ``step`` is told each step before it is taken: tests end the process there."""
        self._database = database
        self._keys = keys
        self._holders = holders
        self._operator = operator
        self._append = append
        self._clock = clock
        self._step = step or _nothing
        self._signers = Signers()
        self._woken = asyncio.Event()
        self._more = asyncio.Event()
        self._asked: datetime | None = None
        """When names were compared last: when that began."""
        self._compared = ""
        """How far it is, as a certificate; empty when it is through."""
        self._unsigned: dict[str, str] = {}
        self.progress = Progress()
        database.on_outbox(self.wake)

    def wake(self) -> None:
        """Look now rather than at the next turn."""
        self._woken.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work in the background until the block ends."""
        try:
            async with background(self._run()):
                yield
        finally:
            self._signers.close()

    async def _run(self) -> None:
        while True:
            try:
                async with self._database.alone("issuing") as connection:
                    if connection is not None:
                        await self._both(connection)
                    else:
                        self.progress = Progress(problem=ELSEWHERE)
            except Exception as error:
                log.warning("issuing stopped, and goes on soon: %s", describe(error))
                self.progress.problem = describe(error)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _both(self, connection: AsyncConnection) -> None:
        looks = [asyncio.create_task(look) for look in (_hold(connection), self._standings(), self._documents())]
        try:
            await asyncio.gather(*looks)
        finally:
            await end(looks, 2.0)

    async def _standings(self) -> None:
        while True:
            self._woken.clear()
            await self.follow()
            self._more.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), LOOK_SECONDS)

    async def _documents(self) -> None:
        while True:
            await self._more.wait()
            self._more.clear()
            await self.look()
            self._signers.rest()  # processes of their own, for as long as there is much to sign

    async def follow(self) -> None:
        """Change the standings that need no document."""
        while enrolments := await self._run_in(lambda session: attestations.moved(session, BATCH)):
            settled, _ = await self._settled(enrolments, "settle")
            if not settled.changed:
                return  # the look at documents has to come first

    async def look(self) -> Progress:
        """Settle everything that is due, once, and sign lists that have changed or aged."""
        self.progress = Progress()
        after, abreast = "", set[asyncio.Task[None]]()
        try:
            while enrolments := await self._run_in(partial(attestations.due, after=after, limit=BATCH)):
                after = enrolments[-1]
                abreast.add(asyncio.create_task(self._settle_what_can_be(enrolments)))
                if len(abreast) == ABREAST:
                    done, abreast = await asyncio.wait(abreast, return_when=asyncio.FIRST_COMPLETED)
                    for one in done:
                        one.result()
            while abreast:
                await abreast.pop()
        finally:
            await end(abreast, 2.0)
        await self._names_by_now()
        await status_lists.refresh(self._database, self._keys, self._operator, self._clock())
        return self.progress

    async def _settle_what_can_be(self, enrolments: Sequence[str]) -> None:
        try:
            await self._settle(enrolments)
        except ConnectionError as error:  # enrolment or the broker is away: standings are settled, documents wait
            self.progress.problem = str(error)
            log.warning("documents wait: %s", error)

    async def _settle(self, enrolments: Sequence[str]) -> None:
        """From what is due to what is public, as far as it goes now: each line a transaction, or none."""
        settled, known = await self._settled(enrolments, "settle")
        if not settled.to_sign and not settled.to_confirm:
            return
        holders = await self._sign(settled.to_sign, known) if settled.to_sign else {}
        await self._confirm([*settled.to_confirm, *(wish.fact.certificate for wish in settled.to_sign)], holders)
        await self._settled(enrolments, "publish")

    async def _settled(self, enrolments: Sequence[str], step: str) -> tuple[Settled, Sources]:
        async def work(session: AsyncSession) -> tuple[Settled, Sources]:
            await none_is_given_up(session)
            held = await attestations.hold(session, enrolments)
            known = await sources(session, self._operator, enrolments)
            settled = await attestations.settle(
                session, held, known.content, known.complete, self._append, self._clock()
            )
            return settled, known

        await self._step(step)
        settled, known = await self._run_in(work)
        self.progress.issued += settled.issued
        self.progress.changed += settled.changed
        return settled, known

    # --- documents

    async def _sign(self, wishes: Sequence[Wish], told: Sources) -> Mapping[str, Holder]:
        """Sign what can be signed, with what was ``told`` when it was planned; the holders, by enrolment."""
        holders = await self._holders.ask({wish.fact.enrolment for wish in wishes}, CERTIFICATION)
        forgotten = {enrolment for enrolment, holder in holders.items() if holder.status == "forgotten"}
        if forgotten:
            await self._run_in(lambda session: attestations.nobody_to_name(session, sorted(forgotten)))
        known = [wish for wish in wishes if holders[wish.fact.enrolment].status == "known"]
        if any(holder.status == "unknown" for holder in holders.values()):
            self.progress.problem = "enrolment does not know some holders (yet)"
        if not known:
            return holders

        key = await self._run_in(lambda session: self._keys.current(session, self._clock()))
        jobs = [
            Job(
                said=told.said(wish.fact),
                names=_names(holders[wish.fact.enrolment]),
                public_id=wish.public_id,
                list=wish.list,
                place=wish.place,
            )
            for wish in known
        ]
        await self._step("sign")
        now = self._clock()
        documents = await self._signers.sign(self._operator, key, now, jobs)
        replaced = [wish.fact.certificate for wish in known if wish.public]
        before = await self._run_in(lambda session: attestations.served(session, replaced))
        drafts = [
            _draft(wish, document, key, holders[wish.fact.enrolment], now, before.get(wish.fact.certificate))
            for wish, document in zip(known, documents, strict=True)
            if isinstance(document, Document)
        ]
        for wish, document in zip(known, documents, strict=True):
            if isinstance(document, Unsigned):
                self._cannot(wish.fact.certificate, document.why)
        await self._step("store")
        await self._run_in(lambda session: attestations.keep_drafts(session, drafts))
        self.progress.signed += len(drafts)
        return holders

    def _cannot(self, certificate: str, why: str) -> None:
        """It stays due, and others go on: it is tried again with each look, and told of once."""
        self.progress.problem = f"certificate {certificate} cannot be signed: {why}"
        if self._unsigned.get(certificate) != why:
            self._unsigned[certificate] = why
            log.error("certificate %s cannot be signed: %s", certificate, why)

    async def _confirm(self, certificates: Sequence[str], known: Mapping[str, Holder]) -> None:
        """Read back what was stored, open it and verify it, as whoever is served it will."""
        drafts = await self._run_in(lambda session: attestations.read_drafts(session, certificates))
        if not drafts:
            return
        unknown = {draft["enrolment"] for draft in drafts} - known.keys()
        holders = {**known, **(await self._holders.ask(unknown, CERTIFICATION) if unknown else {})}
        opened = {draft["certificate"]: _opened(draft, holders[draft["enrolment"]]) for draft in drafts}
        tried = [draft for draft in drafts if opened[draft["certificate"]] is not None]
        stored = [
            Stored(opened[draft["certificate"]] or b"", draft["digest"], draft["key"], draft["public"])
            for draft in tried
        ]
        verdicts = await self._signers.verify(self._operator, stored)
        good = {draft["certificate"]: draft["digest"] for draft, fine in zip(tried, verdicts, strict=True) if fine}
        bad = [draft["certificate"] for draft in drafts if draft["certificate"] not in good]
        if bad:
            log.error("%d documents were not what was signed when they were read back: they are signed anew", len(bad))
        await self._step("confirm")
        await self._run_in(lambda session: attestations.confirm(session, good, bad))

    # --- names

    async def _names_by_now(self) -> None:
        """Now and then compare what is served with what enrolment says: a consent may be withdrawn, a name corrected.

        A batch with each look, so that what is due does not wait for all of them.
        """
        now = self._clock()
        if not self._compared and self._asked is not None and now - self._asked < ASK_ANEW:
            return
        rows = await self._run_in(partial(attestations.named_rows, after=self._compared, limit=BATCH))
        try:
            holders = await self._holders.ask({row["enrolment"] for row in rows}, CERTIFICATION)
        except ConnectionError as error:
            log.warning("names are compared later: %s", error)
            return
        if stale := [row["certificate"] for row in rows if is_stale(row, holders[row["enrolment"]])]:
            await self._run_in(partial(attestations.sign_anew, certificates=stale))
            self.wake()
        if not self._compared:
            self._asked = now
        self._compared = rows[-1]["certificate"] if len(rows) == BATCH else ""

    async def _run_in(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        return await self._database.run(work)


async def _hold(connection: AsyncConnection) -> None:
    """Keep the place, however long the looks take, and raise once it is lost."""
    while True:
        await connection.execute(text("SELECT 1"))
        await asyncio.sleep(LOOK_SECONDS)


def is_stale(row: Mapping[str, Any], holder: Holder) -> bool:
    """Whether a document says another name than enrolment gives by now, or says one that it should not, or is to be closed."""
    if holder.status == "known":
        return bool(row["holder"] != holder.digest())
    return holder.status == "forgotten" and bool(row["holder"])


def _names(holder: Holder) -> dict[str, Any] | None:
    return None if holder.names is None else holder.names.model_dump(exclude_none=True)


def _draft(
    wish: Wish, document: Document, key: IssuerKey, holder: Holder, now: datetime, before: Mapping[str, Any] | None
) -> Signed:
    return Signed(
        certificate=wish.fact.certificate,
        key=key.id,
        digest=document.digest,
        content=wish.content,
        holder=holder.digest(),
        named=holder.names is not None,
        former=b"" if before is None else _former(before, holder),
        sealed=holder.seal(packed(document), wish.public_id),
        signed=now,
    )


def _former(before: Mapping[str, Any], holder: Holder) -> bytes:
    """The digests of names in the document that is served now which the next one does not say, if they are not kept already."""
    opened = _opened(before, holder)
    if opened is None or holder.key is None:
        return b""
    said = contents.read(json.loads(unpacked(opened).json)).names
    by_now = () if holder.names is None else (holder.names.original, holder.names.romanised)
    gone = [name for name in said if not is_one_of(name, by_now)]
    kept = before["former"]
    return b"".join(digest_of(name, holder.key) for name in gone if not was_one_of(name, kept, holder.key))


def _opened(draft: Mapping[str, Any], holder: Holder) -> bytes | None:
    if holder.key is None:
        return None
    try:
        return holder.unseal(draft["sealed"], draft["public_id"])
    except InvalidTag:
        return None


async def _nothing(_: str) -> None:
    return


def opened_document(sealed: bytes, public_id: str, holder: Holder) -> Document:
    """A document as it is served. Raises InvalidTag."""
    return unpacked(holder.unseal(sealed, public_id))
