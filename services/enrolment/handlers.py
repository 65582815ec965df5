"""What enrolment does when it is told something: load, decide, save; one call, one transaction."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.enrolment import domain
from services.enrolment.deciding import Decision, decide, route, save, surroundings
from services.enrolment.domain import Entry, Ref
from services.enrolment.journal import Journal, New, Record
from services.enrolment.register import Register, holds_personal, original
from services.enrolment.rules import refusal_of
from services.enrolment.sentences import REFUSALS, SENTENCES
from services.enrolment.store import Store, roles_of, signers_of
from shared import measures
from shared.audit import Act, Audit
from shared.bundles import opened
from shared.correlation import Way
from shared.database import Database
from shared.events import offices_to_certification
from shared.events.envelope import Event, Refusal, read_event
from shared.events.offices_to_enrolment import TYPES
from shared.events.receipts import Receipt, Receipts, Standing
from shared.events.wire import Raw
from shared.offices import Caller
from shared.outbox import current_position, notify, publish, publish_lock
from shared.posts import (
    Message,
    Post,
    acts,
    duplicate,
    follow,
    notice,
    portions,
    posts_of,
    posts_of_bundle,
    receipt,
    refusal,
    rejected,
    sender_refused,
)

log = logging.getLogger(__name__)

T = TypeVar("T")
ATTEMPTS = 5
SERVICE = "enrolment"


@dataclass(frozen=True, slots=True)
class _Taken:
    """A valid event, ready for the journal."""

    event: Event
    entry: Entry
    content: bytes
    caller: Caller


class Handlers:
    """Takes events, from HTTP and NATS alike."""

    def __init__(
        self,
        database: Database,
        register: Register,
        audit: Audit,
        certification_url: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``certification_url`` is told to offices that post certification's events here."""
        self._database = database
        self._register = register
        self._audit = audit
        self._elsewhere = dict.fromkeys(offices_to_certification.TYPES.keys() - TYPES.keys(), certification_url)
        self._clock = clock

    async def take(self, raws: Sequence[Raw], caller: Caller) -> Receipts:
        """Take the events of one body: one receipt each, as they stand after all of them."""
        started = monotonic()
        posts = [Post(raw, caller) for raw in raws]
        receipts = await self._run(lambda session: self._take_and_record(session, posts, answer=False))
        measures.taken(SERVICE, "http", receipts.receipts, started, postedby=caller.postedby)
        return receipts

    async def take_bundle(self, raws: Sequence[Raw], courier: Caller) -> Receipts:
        """Take the lines of a bundle, each as an event of the officer who signed it; the offices are told over NATS too."""
        started = monotonic()
        lines = await asyncio.to_thread(opened, raws)

        async def work(session: AsyncSession) -> Receipts:
            signers = await signers_of(session, {line.key for line in lines})
            read = list(posts_of_bundle(lines, signers, self._clock()))
            posts = [one for one in read if isinstance(one, Post)]
            taken = await self._take(session, posts, answer=True)
            await self._audit.record(session, *acts(posts), Act(courier, "bundle.brought", number=len(raws)))
            answers = iter(taken.receipts)
            receipts = [next(answers) if isinstance(one, Post) else one for one in read]
            return taken.model_copy(update={"receipts": receipts})

        receipts = await self._run(work)
        measures.taken(SERVICE, "http", receipts.receipts, started, postedby=courier.postedby)
        return receipts

    async def take_messages(self, messages: Sequence[tuple[str, bytes]], ways: Sequence[Way] = ()) -> None:
        """Take (subject, body) of ``intake.enrolment.<country>.<office>``; the receipts go out as notices.

        ``ways`` are those of the messages; without them each gets one of its own.

        Raises ValueError for a subject that names no office: there is nobody to answer.
        """
        for portion in portions(SERVICE, messages, ways):
            started = monotonic()
            receipts = await self._run(partial(self._take_portion, portion))
            measures.taken(SERVICE, "nats", receipts, started, ways=[message.way for message in portion])

    async def _take_portion(self, portion: Sequence[Message], session: AsyncSession) -> list[Receipt]:
        roles = await roles_of(session, [message.source for message in portion])
        posts, refused = posts_of(portion, roles, self._clock())
        await notify(session, [notice(SERVICE, *one) for one in refused])
        taken = await self._take_and_record(session, posts, answer=True)
        return [*taken.receipts, *(receipt for _, receipt, _ in refused)]

    async def _run(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """One transaction; done again when another one put the same event into the journal meanwhile."""
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._database.run(work)
            except IntegrityError:
                log.info("an event came in twice at one time: looking again")
        return await self._database.run(work)

    async def _take_and_record(self, session: AsyncSession, posts: Sequence[Post], *, answer: bool) -> Receipts:
        receipts = await self._take(session, posts, answer=answer)
        await self._audit.record(session, *acts(posts))
        return receipts

    async def _take(self, session: AsyncSession, posts: Sequence[Post], *, answer: bool) -> Receipts:
        """The receipts of these events; with ``answer`` they go out as notices too."""
        now = self._clock()
        journal, store = Journal(session, self._register), Store(session, self._register)
        read = [self._read(post, now) for post in posts]
        follow(posts, [one.event.ref if isinstance(one, _Taken) else None for one in read])
        known = await journal.records({one.event.ref for one in read if isinstance(one, _Taken)})
        contents = {ref: record.content for ref, record in known.items()}
        fresh: dict[Ref, _Taken] = {}
        repeated: set[int] = set()
        for index, one in enumerate(read):
            if isinstance(one, Refusal):
                continue
            ref = one.event.ref
            if ref not in contents:
                contents[ref], fresh[ref] = one.content, one
            elif contents[ref] == one.content:
                repeated.add(index)
            else:
                await journal.keep_reused(one.entry, one.content, original(one.event), one.caller.postedby, now)
                read[index] = refusal(one.event, "id_reused", REFUSALS["id_reused"])
        decision = await self._decide(journal, store, fresh, now)
        records = await journal.records({one.event.ref for one in read if isinstance(one, _Taken)})
        receipts = [
            rejected(one, now, post.raw.place)
            if isinstance(one, Refusal)
            else _answer(one.entry, records[one.event.ref], post.raw.place, repeated=index in repeated)
            for index, (post, one) in enumerate(zip(posts, read, strict=True))
        ]
        notices = [
            notice(SERVICE, entry.source, receipt(entry.ref, entry.type, _standing(standing, number), now))
            for entry, standing, number in decision.changes()
        ]
        if answer:
            notices += [
                notice(SERVICE, post.caller.source, answered, post.way)
                for post, answered in zip(posts, receipts, strict=True)
                if post.caller.source is not None
            ]
        await notify(session, notices)
        if not fresh:
            return Receipts(receipts=receipts, position={"ENROLMENT": await current_position(session)})
        await publish_lock(session)
        facts = await save(store, self._register, decision)
        position = await publish(session, SERVICE, facts)
        return Receipts(receipts=receipts, position={"ENROLMENT": position.position})

    async def _decide(self, journal: Journal, store: Store, fresh: dict[Ref, _Taken], now: datetime) -> Decision:
        """Lock what the new events touch, decide, and write the journal."""
        if not fresh:
            return Decision()
        entries = [taken.entry for taken in fresh.values()]
        where = await route(journal, entries)
        await journal.lock_registry(alone=where.alone)
        if where.alone:  # what was not known may have come while this waited
            where = await route(journal, entries)
        around = await surroundings(journal, where)
        await journal.lock_units({*where.units.values(), *around.units})
        decision = await decide(journal, store, entries, where, around)
        standings = decision.standings()
        await journal.add(
            [
                New(
                    taken.entry,
                    where.units[ref],
                    standings[ref],
                    taken.content,
                    original(taken.event) if holds_personal(taken.event) else None,
                    taken.caller.postedby,
                )
                for ref, taken in fresh.items()
            ],
            now,
        )
        await journal.change([(entry.ref, standing, number) for entry, standing, number in decision.changes()], now)
        return decision

    def _read(self, post: Post, now: datetime) -> _Taken | Refusal:
        read = read_event(post.raw, types=TYPES, elsewhere=self._elsewhere, now=now)
        if isinstance(read, Refusal):
            return read
        caller = post.caller
        code = sender_refused(post, read) or refusal_of(read, caller.roles, administrator=caller.administrator)
        if code is not None:
            return refusal(read, code, REFUSALS[code])
        return _Taken(read, self._register.entry(read), self._register.content(read), caller)


def _standing(standing: domain.Standing, number: int) -> Standing:
    return Standing(status=standing.status, code=standing.code, sentence=SENTENCES[standing.code], number=number)


def _answer(entry: Entry, record: Record, place: int, *, repeated: bool) -> Receipt:
    standing = _standing(record.standing, record.number)
    if repeated:
        return duplicate(entry.ref, entry.type, standing, place)
    return receipt(entry.ref, entry.type, standing, record.recordedtime, place)
