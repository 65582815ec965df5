"""Taking a roster: row by row, in portions that are a transaction each, through the same handlers that take every event.

A dry run does the same, and each of its transactions is undone. No portion sees what one before it did, so what hangs together
is in one: the rows of a cohort.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from time import monotonic
from typing import Final, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from shared import ledger, metrics
from shared.events.receipts import Receipt
from shared.events.wire import Raw
from shared.rosterdesk import Asked, Begin, Desk, Line, left_alone
from shared.rosters.answers import (
    WHAT_TO_DO,
    MissingRow,
    RowAnswer,
    missing_row,
    overtaken,
    refused,
    refused_for,
    repeats,
    worst,
)
from shared.rosters.attendance import Attended, attended
from shared.rosters.books import Book, Found
from shared.rosters.cells import Flaw
from shared.rosters.cohorts import One, by_cohort
from shared.rosters.columns import KINDS
from shared.rosters.recognised import of_row
from shared.rosters.rows import Address, Key, Row, read_rows
from shared.rosters.statements import (
    OnRecord,
    Plan,
    Planned,
    Remembered,
    in_its_time,
    plan,
)
from shared.rosters.survey import Session, Survey, header_flaw, survey

T = TypeVar("T")
PORTION: Final = 250
"""Rows, or sessions, in one transaction."""
TOGETHER: Final = 500
"""Rows and sessions of one cohort that a dry run takes in one transaction at the most: others wait for as long."""


async def take_book(desk: Desk, book: Book, asked: Asked) -> AsyncGenerator[Line, None]:
    """What becomes of every row, as it does. Raises ``BookRefused``, or ``Problem`` 429, before anything is taken."""
    with ThreadPoolExecutor(1, "roster") as reader:  # one thread: the library's sheets must not change theirs
        async for line in _Taking(desk, book, asked, reader).lines():
            yield line


class _Undone(Exception):
    """Rolls a transaction of a dry run back."""


@dataclass(slots=True)
class _Taking:
    """One roster on its way."""

    desk: Desk
    book: Book
    asked: Asked
    reader: ThreadPoolExecutor
    found: Survey = field(default_factory=Survey)
    received: Sequence[Receipt] = ()
    """Of the last transaction."""

    async def lines(self) -> AsyncIterator[Line]:
        headers, ours = await self._read(self._sort_out)
        self.found = await self._read(partial(survey, self.book, ours, self.asked.accepted, self.desk.keyed))
        self.desk.door.spend(self.asked.caller, events=self.found.rows)  # a look is as much work as the taking
        yield Begin(total=self.found.rows)
        for line in headers:
            yield line
        async for answer in self._looked_at(ours) if self.asked.dry_run else self._taken(ours):
            yield answer
        for missing in await self.desk.handlers.run(self._missing):
            yield missing

    async def _taken(self, ours: Sequence[Found]) -> AsyncIterator[RowAnswer]:
        for sheet in ours:
            rows = read_rows(self.book, sheet, self.asked.accepted)
            while portion := await self._read(partial(_some, rows)):
                if sheet.kind == "attendance":
                    answers = [answer for row in portion if (answer := self._of_cells(row))]
                else:
                    answers = await self._measured(partial(self._portion, portion))
                for answer in answers:
                    yield answer
        sessions = iter(self.found.sessions.items())
        while some := _some(sessions):
            for answer in await self._measured(partial(self._sessions, some)):
                yield answer

    async def _measured(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """One transaction, counted once it is committed like any other that takes events over HTTP."""
        started = monotonic()
        done = await self.desk.handlers.run(work)
        if self.received:
            metrics.taken(self.desk.service, "http", self.received, started, postedby=self.asked.caller.postedby)
        return done

    async def _looked_at(self, ours: Sequence[Found]) -> AsyncIterator[RowAnswer]:
        """The same answers, and nothing of it stays. Each portion sees the rows of its own cohorts alone."""
        answers: list[RowAnswer] = []

        def settled(row: Row) -> bool:
            answer = self._of_cells(row)
            answers.extend([answer] if answer else [])
            return answer is not None

        rows = (row for sheet in ours for row in read_rows(self.book, sheet, self.asked.accepted))
        portions = by_cohort(rows, self.found, settled, PORTION, TOGETHER)
        while portion := await self._read(partial(next, portions, None)):
            answers += await self._undone(partial(self._together, ours, portion))
            for answer in answers:
                yield answer
            answers.clear()
        for answer in answers:
            yield answer

    async def _undone(self, work: Callable[[AsyncSession], Awaitable[list[RowAnswer]]]) -> list[RowAnswer]:
        found: list[RowAnswer] = []

        async def and_back(session: AsyncSession) -> None:
            found[:] = await work(session)
            raise _Undone

        with suppress(_Undone):
            await self.desk.handlers.run(and_back)
        return found

    async def _together(self, ours: Sequence[Found], portion: Sequence[One], session: AsyncSession) -> list[RowAnswer]:
        """Rows of several sheets, in the order in which they are taken, and then sessions."""
        answers: list[RowAnswer] = []
        for sheet in ours:
            rows = (one for _, one in portion if isinstance(one, Row) and one.sheet == sheet.name)
            in_order = iter(sorted(rows, key=lambda row: row.place))
            while some := _some(in_order):
                answers += await self._portion(some, session)
        sessions = iter([(key, one) for key, one in portion if isinstance(one, Session)])
        while several := _some(sessions):
            answers += await self._sessions(several, session)
        return answers

    def _sort_out(self) -> tuple[list[Line], list[Found]]:
        """The sheets to take, in the order in which one may rest on another; and what is to be said of the others."""
        ours: list[Found] = []
        others: list[Line] = []
        for sheet in self.book.sheets:
            left = left_alone(self.desk, self.asked, sheet)
            if left is not None:
                others.append(left)
            elif flaw := header_flaw(sheet):
                if any(True for _ in self.book.rows(sheet.name)):  # nothing at all in it is nothing wrong
                    others.append(refused_for(sheet.name, max(sheet.header, 1), flaw))
            elif sheet.kind:
                ours.append(sheet)
        return others, sorted(ours, key=lambda sheet: KINDS.index(sheet.kind or "trainees"))

    async def _read(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.reader, work)

    def _of_cells(self, row: Row) -> RowAnswer | None:
        """The answer to a row that is settled without looking any further."""
        here = (row.sheet, row.place)
        if row.complaints:
            return refused(row, row.complaints)
        if flaw := self.found.clashes.get(here):
            return refused_for(row.sheet, row.place, flaw)
        if (first := self.found.repeated.get(here)) and row.kind != "attendance":
            return repeats(here, first)
        return None

    # --- trainees, assessments, awards: each row by itself

    async def _portion(self, portion: Sequence[Row], session: AsyncSession) -> list[RowAnswer]:
        desk, source = self.desk, self.asked.source
        answers = {row.place: answer for row in portion if (answer := self._of_cells(row))}
        rows = [(row, row.key) for row in portion if row.place not in answers and row.key is not None]
        await ledger.lock_office(session, desk.service, source)
        keys = {key for _, key in rows}
        remembered = await ledger.remembered(session, source, keys)
        said = await desk.said(session, source, keys)
        known = {key: of_row(row, said.get(key, ()), remembered.get(key), desk.keyed) for row, key in rows}
        before = {key: one.before for key, one in known.items() if one.before}
        stands = await ledger.stands(session, source, [id_ for one in before.values() for id_ in one.events.values()])
        standing = {first: one.id for first, one in stands.items()}
        plans = [
            plan(
                source,
                key,
                known[key].statements,
                before.get(key, Remembered()),
                standing,
                desk.keyed,
                known[key].person,
                known[key].consent,
                known[key].record,
            )
            for _, key in rows
        ]
        records = {key: one.record for key, one in known.items()}
        plans = await self._in_their_time(session, [key for _, key in rows], plans, remembered, records)
        receipts = await self._take(session, plans)
        after: dict[Key, Remembered] = {}
        for (row, key), planned, received in zip(rows, plans, receipts, strict=True):
            there = before.get(key)
            answers[row.place] = self._answer((row.sheet, row.place), planned, received, there, stands)
            now = _remembering(there or Remembered(), planned, received)
            if now != there:
                after[key] = replace(now, at=_later(there, self._at))
        # Events of these were taken, so nobody is forgotten meanwhile; who was before is not brought back by a digest.
        gone = await desk.forgotten(session, after) if desk.forgotten and after else ()
        kept = {key: now for key, now in after.items() if now.events and key not in gone}
        await ledger.remember(session, desk.table, source, kept)
        return [answers[place] for place in sorted(answers)]

    @property
    def _at(self) -> datetime:
        """When this roster was said; a clock that runs ahead says nothing later than now."""
        now = datetime.now(UTC)
        return min(self.asked.signed or now, now)

    async def _in_their_time(
        self,
        session: AsyncSession,
        keys: Sequence[Key],
        plans: Sequence[Plan],
        remembered: Mapping[Key, Remembered],
        records: Mapping[Key, OnRecord],
    ) -> list[Plan]:
        """The same plans, but for what the office said otherwise since a bundle was signed; and those that say the same again
        are noted as said now."""
        at = self._at
        last = {key for key, known in remembered.items() if known.at}
        same = {key for key, planned in zip(keys, plans, strict=True) if not planned.events and not planned.flaw}
        await ledger.said_again(session, self.asked.source, same & last, at)
        if not self.asked.signed:
            return list(plans)
        return [
            in_its_time(planned, at, remembered.get(key), records[key])
            for key, planned in zip(keys, plans, strict=True)
        ]

    async def _take(self, session: AsyncSession, plans: Sequence[Plan]) -> list[list[Receipt]]:
        """The receipts of each plan's events."""
        events = [one.fields for planned in plans for one in planned.events]
        raws = [Raw(place, dict(fields)) for place, fields in enumerate(events, 1)]
        asked, within = self.asked, self.desk.handlers.take_within
        telling = asked.signed is not None  # somebody else brings it: the office is told over NATS
        self.received = (
            await within(session, raws, asked.caller, publishing=not asked.dry_run, telling=telling) if raws else ()
        )
        taken = iter(self.received)
        return [list(islice(taken, len(planned.events))) for planned in plans]

    def _answer(
        self,
        here: Address,
        planned: Plan,
        received: Sequence[Receipt],
        known: Remembered | None,
        stands: Mapping[str, ledger.Stands],
    ) -> RowAnswer:
        if planned.flaw:
            return refused_for(*here, planned.flaw)
        if not planned.events and planned.overtaken:
            return overtaken(here)
        if not planned.events:
            return self._unchanged(here, known or Remembered(), stands, otherwise=planned.otherwise)
        status = worst([receipt.status for receipt in received])
        said = next(receipt for receipt in received if receipt.status == status)
        now = said.current or said
        return RowAnswer(
            sheet=here[0],
            row=here[1],
            status=status,
            change="corrected" if known else "new",
            code=now.code,
            sentence=now.sentence,
            todo=WHAT_TO_DO[status],
            event=said.id,
            more=overtaken(here).remarks() if planned.overtaken else [],
        )

    def _unchanged(
        self, here: Address, known: Remembered, stands: Mapping[str, ledger.Stands], *, otherwise: bool = False
    ) -> RowAnswer:
        events = [
            ledger.Stands(one.undone, "accepted", "voided") if one.undone else one
            for id_ in known.events.values()
            if (one := stands.get(id_))
        ]
        open_ = next((one for one in events if one.status != "accepted" or one.code == "voided"), None)
        one = open_ or (events[-1] if events else None)
        row = RowAnswer(
            sheet=here[0],
            row=here[1],
            status="duplicate",
            change="unchanged",
            code="duplicate",
            sentence="The same was sent before; the entry was corrected by hand since, and that stands."
            if otherwise
            else "The same was sent before and is on record.",
            event=one.id if one else None,
        )
        if open_ is None:
            return row
        more = {"code": open_.code, "sentence": self.desk.sentence(open_.code)}
        if open_.status in ("waiting", "conflict"):
            more |= {"status": open_.status, "todo": WHAT_TO_DO[open_.status]}
        return row.model_copy(update=more)

    # --- attendance: one event for all rows of a session

    async def _sessions(self, some: Sequence[tuple[Key, Session]], session: AsyncSession) -> list[RowAnswer]:
        desk, source = self.desk, self.asked.source
        answers = [line for _, one in some if one.broken_by for line in self._broken(one, one.broken_by)]
        whole = [(key, one) for key, one in some if one.broken_by is None]
        await ledger.lock_office(session, desk.service, source)
        keys = {key for key, _ in whole}
        remembered = await ledger.remembered(session, source, keys)
        told = await desk.said(session, source, keys)
        now = {
            key: attended(key, one, told.get(key, ()), remembered.get(key), self._at, desk.keyed) for key, one in whole
        }
        known = {key: one.recognised for key, one in now.items()}
        before = {key: one.before for key, one in known.items() if one.before}
        stands = await ledger.stands(session, source, [id_ for one in before.values() for id_ in one.events.values()])
        standing = {first: one.id for first, one in stands.items()}
        plans = [
            plan(
                source,
                key,
                [one.statement],
                before.get(key, Remembered()),
                standing,
                desk.keyed,
                record=known[key].record,
            )
            for key, one in now.items()
        ]
        records = {key: one.record for key, one in known.items()}
        by_row = {key: one for key, one in remembered.items() if not now[key].late}  # the others are looked at by row
        plans = await self._in_their_time(session, list(now), plans, by_row, records)
        receipts = await self._take(session, plans)
        after: dict[Key, Remembered] = {}
        for (key, one), planned, received in zip(whole, plans, receipts, strict=True):
            there = before.get(key)
            as_one = self._answer(one.rows[0][0], planned, received, there, stands)
            answers += self._of_rows(one, now[key], as_one, there, stands)
            said = _remembering(there or Remembered(), planned, received)
            if said.events and not planned.overtaken:
                after[key] = replace(said, said=now[key].remarked, at=_later(there, self._at))
        await ledger.remember(session, desk.table, source, after)
        return answers

    def _of_rows(
        self,
        one: Session,
        now: Attended,
        as_one: RowAnswer,
        before: Remembered | None,
        stands: Mapping[str, ledger.Stands],
    ) -> Iterable[RowAnswer]:
        for here, number in one.rows:
            same = before and number and list(before.said.get(number, ())[:2]) == one.remarked.get(number)
            if first := self.found.repeated.get(here):
                yield repeats(here, first)
            elif now.late and number not in now.taken and (now.differs or (number and not same)):
                yield overtaken(here)
            elif before and number in now.otherwise:
                yield self._unchanged(here, before, stands, otherwise=True)
            elif before and as_one.change == "corrected" and (same or (now.late and not number)):
                yield self._unchanged(here, before, stands)
            else:
                yield as_one.model_copy(update={"sheet": here[0], "row": here[1]})

    def _broken(self, one: Session, by: Address) -> Iterable[RowAnswer]:
        flaw = Flaw(
            "session_incomplete",
            f"Row {by[1]} of this session is not right, so nothing of the session was taken.",
            "Correct that row and send the file again.",
        )
        for here, _ in one.rows:
            if here not in self.found.clashes:
                yield refused_for(*here, flaw)

    async def _missing(self, session: AsyncSession) -> list[MissingRow]:
        """The rows of the office's earlier files, of the same cohorts, that this file has not."""
        missing: list[MissingRow] = []
        for kind in self.desk.roles:
            keys = {key for key in self.found.keys if key.kind == kind}
            for key, remarked in await ledger.others(session, self.asked.source, kind, {key.cohort for key in keys}):
                if kind != "attendance":
                    missing += [missing_row(key)] if key not in keys else []
                elif not remarked:
                    missing += [missing_row(key)] if key not in self.found.sessions else []
                else:
                    missing += [
                        missing_row(one) for number in remarked if (one := key._replace(number=number)) not in keys
                    ]
        return missing


def _some(rows: Iterator[T]) -> list[T]:
    return list(islice(rows, PORTION))


def _later(known: Remembered | None, at: datetime) -> datetime:
    """When a row was said last, now that it is said as of this moment."""
    return max(known.at, at) if known and known.at else at


def _remembering(known: Remembered, planned: Plan, received: Sequence[Receipt]) -> Remembered:
    """What is remembered once these receipts are given: nothing of what was rejected."""
    pairs: Iterable[tuple[Planned, Receipt]] = zip(planned.events, received, strict=True)
    for one, receipt in pairs:
        if receipt.status != "rejected":
            known = one.remember(known)
    return known
