"""What enrolment does when it is told something: load, decide, save; one call, one transaction."""

import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
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
from services.enrolment.store import Store, roles_of
from shared.database import Database
from shared.events import offices_to_certification
from shared.events.codes import SOURCE_PATTERN
from shared.events.envelope import Event, Refusal, read_event
from shared.events.identity import office_of
from shared.events.offices_to_enrolment import TYPES
from shared.events.receipts import Announcement, Receipt, Receipts, Standing
from shared.events.wire import EVENTS_LIMIT, BodyRefused, Raw, read_message
from shared.offices import Caller
from shared.outbox import Notice, current_position, notify, publish, publish_lock

log = logging.getLogger(__name__)

T = TypeVar("T")
ATTEMPTS = 5
_Message = tuple[str, list[Raw] | BodyRefused]
"""An office and what it sent."""


@dataclass(frozen=True, slots=True)
class _Post:
    """One raw event and who hands it in."""

    raw: Raw
    caller: Caller
    known: bool = True
    """Whether the caller's office is registered: over HTTP it is, or it would not have come this far."""


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
        certification_url: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``certification_url`` is told to offices that post certification's events here."""
        self._database = database
        self._register = register
        self._elsewhere = dict.fromkeys(offices_to_certification.TYPES.keys() - TYPES.keys(), certification_url)
        self._clock = clock

    async def take(self, raws: Sequence[Raw], caller: Caller) -> Receipts:
        """Take the events of one body: one receipt each, as they stand after all of them."""
        posts = [_Post(raw, caller) for raw in raws]
        return await self._run(lambda session: self._take(session, posts, answer=False))

    async def take_messages(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Take (subject, body) of ``intake.enrolment.<country>.<office>``; the receipts go out as notices.

        Raises ValueError for a subject that names no office: there is nobody to answer.
        """
        read = [(_source(subject), _body(body)) for subject, body in messages]
        for portion in _portions(read):
            await self._run(partial(self._take_messages, portion))

    async def _take_messages(self, messages: Sequence[_Message], session: AsyncSession) -> None:
        roles = await roles_of(session, [source for source, _ in messages])
        posts: list[_Post] = []
        answers: list[Notice] = []
        for source, body in messages:
            if isinstance(body, BodyRefused):
                refusal = Refusal(body.code, body.sentence, source)
                answers.append(_notice(source, _refused(refusal, self._clock())))
                continue
            caller = Caller(source, roles.get(source, frozenset()), "nats")
            posts += [_Post(raw, caller, known=source in roles) for raw in body]
        await notify(session, answers)
        await self._take(session, posts, answer=True)

    async def _run(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """One transaction; done again when another one put the same event into the journal meanwhile."""
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._database.run(work)
            except IntegrityError:
                log.info("an event came in twice at one time: looking again")
        return await self._database.run(work)

    async def _take(self, session: AsyncSession, posts: Sequence[_Post], *, answer: bool) -> Receipts:
        """The receipts of these events; with ``answer`` they go out as notices too."""
        now = self._clock()
        journal, store = Journal(session, self._register), Store(session, self._register)
        read = [self._read(post, now) for post in posts]
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
                read[index] = _refusal(one.event, "id_reused")
        decision = await self._decide(journal, store, fresh, now)
        records = await journal.records({one.event.ref for one in read if isinstance(one, _Taken)})
        receipts = [
            _refused(one, now, post.raw.place)
            if isinstance(one, Refusal)
            else _receipt(one.entry, records[one.event.ref], place=post.raw.place, repeated=index in repeated)
            for index, (post, one) in enumerate(zip(posts, read, strict=True))
        ]
        notices = [
            _notice(entry.source, _changed(entry, standing, number, now))
            for entry, standing, number in decision.changes()
        ]
        if answer:
            notices += [
                _notice(post.caller.source, receipt)
                for post, receipt in zip(posts, receipts, strict=True)
                if post.caller.source is not None
            ]
        await notify(session, notices)
        if not fresh:
            return Receipts(receipts=receipts, position={"ENROLMENT": await current_position(session)})
        await publish_lock(session)
        facts = await save(store, self._register, decision)
        position = await publish(session, "enrolment", facts)
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

    def _read(self, post: _Post, now: datetime) -> _Taken | Refusal:
        read = read_event(post.raw, types=TYPES, elsewhere=self._elsewhere, now=now)
        if isinstance(read, Refusal):
            return read
        caller = post.caller
        code = None
        if not post.known:
            code = "office_unknown"
        elif not caller.may_post_for(read.source):
            log.warning("%s posted an event of %s: refused", caller.postedby, read.source)
            code = "source_not_yours"
        else:
            code = refusal_of(read, caller.roles, administrator=caller.administrator)
        if code is not None:
            return _refusal(read, code)
        return _Taken(read, self._register.entry(read), self._register.content(read), caller)


def _body(body: bytes) -> list[Raw] | BodyRefused:
    try:
        return read_message(body)
    except BodyRefused as refused:
        return refused


def _portions(messages: Sequence[_Message]) -> Iterator[list[_Message]]:
    """Messages in transactions of about as many events as one body may hold."""
    portion: list[_Message] = []
    events = 0
    for message in messages:
        size = 1 if isinstance(message[1], BodyRefused) else len(message[1])
        if portion and events + size > EVENTS_LIMIT:
            yield portion
            portion, events = [], 0
        portion.append(message)
        events += size
    if portion:
        yield portion


def _source(subject: str) -> str:
    """The office of intake.enrolment.<country>.<office>. Raises ValueError for any other subject."""
    source = "/offices" + subject.removeprefix("intake.enrolment").replace(".", "/")
    if not re.fullmatch(SOURCE_PATTERN, source):
        raise ValueError("the subject names no office")
    return source


def _refusal(event: Event, code: str) -> Refusal:
    return Refusal(code, REFUSALS[code], event.source, event.id, event.type)


def _refused(refusal: Refusal, now: datetime, place: int | None = None) -> Receipt:
    return Receipt(
        source=refusal.source,
        id=refusal.id,
        type=refusal.type,
        status="rejected",
        code=refusal.code,
        sentence=refusal.sentence,
        recordedtime=now,
        place=place,
    )


def _changed(entry: Entry, standing: domain.Standing, number: int, now: datetime) -> Receipt:
    return Receipt(
        source=entry.source,
        id=entry.id,
        type=entry.type,
        status=standing.status,
        code=standing.code,
        sentence=SENTENCES[standing.code],
        number=number,
        recordedtime=now,
    )


def _receipt(entry: Entry, record: Record, *, place: int, repeated: bool) -> Receipt:
    now_so = _changed(entry, record.standing, record.number, record.recordedtime)
    if not repeated:
        return now_so.model_copy(update={"place": place})
    return Receipt(
        source=entry.source,
        id=entry.id,
        type=entry.type,
        status="duplicate",
        code="duplicate",
        sentence=SENTENCES["duplicate"],
        place=place,
        current=Standing(
            status=record.standing.status, code=record.standing.code, sentence=now_so.sentence, number=record.number
        ),
    )


def _notice(source: str, receipt: Receipt) -> Notice:
    country, office = office_of(source)
    announcement = Announcement(service="enrolment", receipt=receipt)
    return Notice(f"receipts.{country}.{office}", announcement.model_dump(mode="json", exclude_none=True))
