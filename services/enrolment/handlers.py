"""What enrolment does when it is told something: load, decide, save; one call, one transaction."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.enrolment import domain
from services.enrolment.deciding import Decision, decide, save
from services.enrolment.domain import Entry, Ref
from services.enrolment.forgetting import Archive, enrolment_named, forget
from services.enrolment.journal import Journal, New
from services.enrolment.keys import learn
from services.enrolment.register import MasterUnknown, Register, holds_personal, original, without_details
from services.enrolment.routing import route, surroundings
from services.enrolment.rules import refusal_of
from services.enrolment.sentences import REFUSALS, SENTENCES
from services.enrolment.store import Store, roles_of, signers_of
from shared import metrics
from shared.audit import Act, Audit
from shared.bundles import opened
from shared.correlation import Way
from shared.database import Database
from shared.events import offices_to_certification
from shared.events.envelope import Event, Refusal, read_event
from shared.events.facts import Fact
from shared.events.offices_to_enrolment import TYPES
from shared.events.receipts import Receipt, Receipts, Standing
from shared.events.wire import Raw
from shared.offices import Caller
from shared.outbox import Notice, current_position, notify, publish, publish_lock
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
    unread,
)
from shared.rejected import Said

log = logging.getLogger(__name__)

T = TypeVar("T")
ATTEMPTS = 5
ALONE = "alone"
"""What a session is told when nobody else may take events during its transaction."""
SERVICE = "enrolment"
_Torn = tuple[str, str, bytes]
"""A message that could not be read: the office, why, and what it was."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """A valid event, ready for the journal."""

    event: Event
    entry: Entry
    content: bytes
    caller: Caller


class _MustBeAlone(Exception):
    """Somebody is to be forgotten, and others take events meanwhile."""


class Handlers:
    """Takes events, from HTTP and NATS alike."""

    def __init__(
        self,
        database: Database,
        register: Register,
        archive: Archive,
        audit: Audit,
        certification_url: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``certification_url`` is told to offices that post certification's events here."""
        self._database = database
        self._register = register
        self._archive = archive
        self._audit = audit
        self._elsewhere = dict.fromkeys(offices_to_certification.TYPES.keys() - TYPES.keys(), certification_url)
        self._clock = clock

    async def take(self, raws: Sequence[Raw], caller: Caller) -> Receipts:
        """Take the events of one body: one receipt each, as they stand after all of them."""
        started = monotonic()
        posts = [Post(raw, caller) for raw in raws]
        receipts = await self.run(partial(self._take_and_record, posts=posts, answer=False))
        metrics.taken(SERVICE, "http", receipts.receipts, started, postedby=caller.postedby)
        return receipts

    async def take_within(
        self, session: AsyncSession, raws: Sequence[Raw], caller: Caller, *, publishing: bool, telling: bool = False
    ) -> Sequence[Receipt]:
        """The same within a transaction of ``run``. One that is rolled back at its end need not be ``publishing``: it then keeps
        nobody else waiting for the publish lock."""
        posts = [Post(raw, caller) for raw in raws]
        receipts = (await self._take(session, posts, answer=telling, publishing=publishing)).receipts
        if publishing:
            await self._audit.record(session, *acts(posts))
        return receipts

    async def refused(self, caller: Caller, code: str, body: bytes) -> None:
        """Keep a body that could not be read."""
        said, now = Said.unread(0, code, body), self._clock()

        async def work(session: AsyncSession) -> None:
            await Journal(session, self._register).lock_registry(alone=False)  # nobody is forgotten meanwhile
            await self._archive.rejected.keep(session, caller.source, caller.postedby, [said], now)

        await self._database.run(work)

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

        receipts = await self.run(work)
        metrics.taken(SERVICE, "http", receipts.receipts, started, postedby=courier.postedby)
        return receipts

    async def take_messages(self, messages: Sequence[tuple[str, bytes]], ways: Sequence[Way] = ()) -> None:
        """Take (subject, body) of ``intake.enrolment.<country>.<office>``; the receipts go out as notices.

        ``ways`` are those of the messages; without them each gets one of its own.

        Raises ValueError for a subject that names no office: there is nobody to answer.
        """
        for portion in portions(SERVICE, messages, ways):
            started = monotonic()
            receipts = await self.run(partial(self._take_portion, portion))
            metrics.taken(SERVICE, "nats", receipts, started, ways=[message.way for message in portion])

    async def _take_portion(self, portion: Sequence[Message], session: AsyncSession) -> list[Receipt]:
        roles = await roles_of(session, [message.source for message in portion])
        posts, refused = posts_of(portion, roles, self._clock())
        await notify(session, [notice(SERVICE, *one) for one in refused])
        taken = await self._take_and_record(session, posts, answer=True, torn=list(unread(portion)))
        return [*taken.receipts, *(receipt for _, receipt, _ in refused)]

    async def run(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """One transaction; done again when what it rests on turned out otherwise."""
        alone = False

        async def attempted(session: AsyncSession) -> T:
            session.info[ALONE] = alone
            return await work(session)

        for attempt in range(ATTEMPTS):
            try:
                return await self._database.run(attempted)
            except IntegrityError:
                if attempt == ATTEMPTS - 1:
                    raise
                log.info("an event came in twice at one time: looking again")
            except MasterUnknown:
                await self._database.run(lambda session: learn(session, self._register))
            except _MustBeAlone:
                alone = True
        raise AssertionError("unreachable")

    async def _take_and_record(
        self, session: AsyncSession, posts: Sequence[Post], *, answer: bool, torn: Sequence[_Torn] = ()
    ) -> Receipts:
        receipts = await self._take(session, posts, answer=answer, torn=torn)
        await self._audit.record(session, *acts(posts))
        return receipts

    async def _take(
        self,
        session: AsyncSession,
        posts: Sequence[Post],
        *,
        answer: bool,
        publishing: bool = True,
        torn: Sequence[_Torn] = (),
    ) -> Receipts:
        """The receipts of these events; with ``answer`` they go out as notices too."""
        now = self._clock()
        journal, store = Journal(session, self._register), Store(session, self._register)
        read = [self._read(post, now) for post in posts]
        follow(posts, [one.event.ref if isinstance(one, _Taken) else None for one in read])
        known = await journal.records({one.event.ref for one in read if isinstance(one, _Taken)})
        contents = {ref: record.content for ref, record in known.items()}
        fresh: dict[Ref, _Taken] = {}
        reused: list[_Taken] = []
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
                reused.append(one)
                read[index] = refusal(one.event, "id_reused", REFUSALS["id_reused"])
        decision = await self._decide(journal, store, fresh, now)
        # Once the registry is locked, as alone as it must be: until all of it is there, nobody is forgotten meanwhile.
        await self._keep(journal, store, list(zip(posts, read, strict=True)), torn, now)
        await self._keep_reused(journal, store, reused, now)
        changes, forgets, facts = decision.changes(), decision.forgets(), list[Fact]()
        # Mostly last, so that others wait less; but to forget, and what was decided about two, may change these very receipts.
        again = [one for index, one in enumerate(read) if index in repeated and isinstance(one, _Taken)]
        first = bool(forgets) or (bool(fresh) and any(one.entry.pair for one in again))
        if first:
            facts = await self._save(journal, store, decision, forgets, now, publishing=publishing)
        stands = {} if first else {ref: (standing, 1, now) for ref, standing in decision.standings().items()}
        for ref, record in (await journal.records(contents.keys() - stands.keys())).items():
            stands[ref] = record.standing, record.number, record.recordedtime
        receipts = [
            rejected(one, now, post.raw.place)
            if isinstance(one, Refusal)
            else _answer(one.entry, *stands[one.event.ref], post.raw.place, repeated=index in repeated)
            for index, (post, one) in enumerate(zip(posts, read, strict=True))
        ]
        notices = _announced(changes, now)
        if answer:
            notices += [
                notice(SERVICE, post.caller.source, answered, post.way)
                for post, answered in zip(posts, receipts, strict=True)
                if post.caller.source is not None
            ]
        await notify(session, notices)
        if not fresh:
            return Receipts(receipts=receipts, position={"ENROLMENT": await current_position(session)})
        if not first:
            facts = await self._save(journal, store, decision, {}, now, publishing=publishing)
        if not publishing:
            return Receipts(receipts=receipts, position={})
        position = await publish(session, SERVICE, facts)
        return Receipts(receipts=receipts, position={"ENROLMENT": position.position})

    async def _decide(self, journal: Journal, store: Store, fresh: dict[Ref, _Taken], now: datetime) -> Decision:
        """Lock what the new events touch, decide, and write the journal."""
        if not fresh:
            return Decision()
        entries = [taken.entry for taken in fresh.values()]
        where = await route(journal, entries)
        alone = journal.session.info.get(ALONE) or where.alone
        await journal.lock_registry(alone=alone)
        if alone:  # what was not known may have come while this waited
            where = await route(journal, entries)
        details = {taken.entry.enrolment for taken in fresh.values() if holds_personal(taken.event)}
        forgotten = await store.forgotten({enrolment for enrolment in details if enrolment})
        if forgotten:
            entries = [without_details(entry) if entry.enrolment in forgotten else entry for entry in entries]
        around = await surroundings(journal, where)
        await journal.lock_units({*where.units.values(), *around.units})
        decision = await decide(journal, store, entries, where, around)
        if decision.forgets() and not alone:
            raise _MustBeAlone
        standings = decision.standings()
        await journal.add(
            [
                New(
                    entry,
                    where.units[entry.ref],
                    standings[entry.ref],
                    taken.content,
                    original(taken.event) if holds_personal(taken.event) and entry.enrolment not in forgotten else None,
                    taken.caller.postedby,
                )
                for entry, taken in zip(entries, fresh.values(), strict=True)
            ],
            now,
        )
        await journal.change([(entry.ref, standing, number) for entry, standing, number in decision.changes()], now)
        return decision

    async def _save(
        self,
        journal: Journal,
        store: Store,
        decision: Decision,
        forgets: Mapping[str, Entry],
        now: datetime,
        *,
        publishing: bool,
    ) -> list[Fact]:
        """Save what was decided, and forget who is to be forgotten; the facts that may have changed."""
        if publishing:
            await publish_lock(journal.session)
        saved = await save(journal, store, self._register, decision)
        await journal.change([(entry.ref, standing, number) for entry, standing, number in saved.changes], now)
        facts, changes = saved.facts, saved.changes
        if forgets:
            after = await forget(journal, store, self._register, self._archive, forgets, now)
            facts, changes = facts + after.facts, changes + after.changes
        await notify(journal.session, _announced(changes, now))
        return facts

    async def _keep(
        self,
        journal: Journal,
        store: Store,
        posts: Sequence[tuple[Post, _Taken | Refusal]],
        torn: Sequence[_Torn],
        now: datetime,
    ) -> None:
        """Keep what is rejected, sealed; but nothing of somebody who was forgotten."""
        refused = [
            (post, one.code)
            for post, one in posts
            if isinstance(one, Refusal) and one.code != "id_reused" and (post.raw.fields or post.raw.written)
        ]
        if not refused and not torn:
            return
        await journal.lock_registry(alone=False)
        for office, code, body in torn:
            said = Said.unread(0, code, body)
            await self._archive.rejected.keep(store.session, office, f"{office}#nats", [said], now)
        named = {id(post): enrolment_named(post.raw.fields) for post, _ in refused}
        forgotten = await store.forgotten({enrolment for enrolment in named.values() if enrolment})
        by_caller: dict[tuple[str | None, str], list[Said]] = {}
        for post, code in refused:
            if named[id(post)] not in forgotten:
                whose = post.caller.source, post.caller.postedby
                by_caller.setdefault(whose, []).append(Said.of(post.raw, code))
        for (source, postedby), events in by_caller.items():
            await self._archive.rejected.keep(store.session, source, postedby, events, now)

    async def _keep_reused(self, journal: Journal, store: Store, reused: Sequence[_Taken], now: datetime) -> None:
        """The same for events whose id had been used for another; they are kept as long as the other."""
        if not reused:
            return
        await journal.lock_registry(alone=False)
        forgotten = await store.forgotten({one.entry.enrolment for one in reused if one.entry.enrolment})
        for one in reused:
            if one.entry.enrolment not in forgotten:
                await journal.keep_reused(one.entry, one.content, original(one.event), one.caller.postedby, now)

    def _read(self, post: Post, now: datetime) -> _Taken | Refusal:
        read = read_event(post.raw, types=TYPES, elsewhere=self._elsewhere, now=now)
        if isinstance(read, Refusal):
            return read
        caller = post.caller
        code = sender_refused(post, read) or refusal_of(read, caller.roles, administrator=caller.administrator)
        if code is not None:
            return refusal(read, code, REFUSALS[code])
        return _Taken(read, self._register.entry(read), self._register.content(read), caller)


def _announced(changes: Sequence[tuple[Entry, domain.Standing, int]], now: datetime) -> list[Notice]:
    return [
        notice(SERVICE, entry.source, receipt(entry.ref, entry.type, _standing(standing, number), now))
        for entry, standing, number in changes
    ]


def _standing(standing: domain.Standing, number: int) -> Standing:
    return Standing(status=standing.status, code=standing.code, sentence=SENTENCES[standing.code], number=number)


def _answer(
    entry: Entry, stands: domain.Standing, number: int, recorded: datetime, place: int, *, repeated: bool
) -> Receipt:
    standing = _standing(stands, number)
    if repeated:
        return duplicate(entry.ref, entry.type, standing, place)
    return receipt(entry.ref, entry.type, standing, recorded, place)
