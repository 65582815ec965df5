"""The pages at /rosters: choose a spreadsheet, look at what it would do row by row, and send it.

The taking streams its page: the bar moves as portions of rows are taken, in any browser and without a script.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from shared import pages
from shared.deadletters import describe
from shared.desk import remarks
from shared.desk.entries import own_source
from shared.desk.frame import Desk, Visit
from shared.events.codes import CODE_PATTERN
from shared.http import Problem
from shared.keeping import Keeping, Kept
from shared.offices import Caller
from shared.pages.languages import Language
from shared.rosterdesk import Asked, Begin
from shared.rosterdesk import Desk as Taking
from shared.rostering import take_book
from shared.rosters.answers import Counts, LeftSheet, MissingRow, RosterAnswer, RowAnswer
from shared.rosters.books import Book, open_book
from shared.rosters.cells import OFFERS
from shared.rosters.refusing import BookRefused
from shared.rosters.workbooks import annotated, template
from shared.uploads import XLSX, FileRefused, first_of, multipart, taken

log = logging.getLogger(__name__)

Id = Annotated[str, Path(pattern=CODE_PATTERN)]
SHOWN: Final = 100
"""Rows on one page; all of them are in the spreadsheet that can be downloaded."""
_SPLIT: Final = "<!-- rows -->"


@dataclass(frozen=True, slots=True)
class Rosters:
    """What the pages need of their service."""

    taking: Taking
    keeping: Keeping
    choices: Callable[[Caller], Awaitable[Mapping[str, Sequence[str]]]]
    codes: Mapping[str, str]


def routes(desk: Desk, rosters: Rosters) -> APIRouter:
    """Choosing, looking, sending, and the results."""
    router = desk.router()

    @router.get("/rosters")
    async def choose(request: Request) -> Response:
        visit = await desk.visit(request)
        return desk.page(request, visit, "rosters.html", **_words(rosters), wrong=None)

    @router.get("/rosters/template.xlsx")
    async def empty(request: Request) -> Response:
        visit = await desk.visit(request)
        language = visit.language.roster_tag
        return _workbook(template(language, await rosters.choices(visit.caller)), f"roster-{language}")

    @router.post("/rosters")
    async def show(request: Request) -> Response:
        visit = await desk.visit(request)
        try:
            fields, content, name = await multipart(request)
            desk.check(visit, fields.get("form_key", ""))
            source = own_source(visit.caller, fields.get("for_office", ""))
            asked = _asked(visit, {"source": source})
            rosters.taking.door.spend(visit.caller, size=len(content))
            book = await _book(content, name)
            await _read(rosters, book, asked)
        except Problem as problem:
            if problem.code not in remarks.FILES:
                raise
            wrong = remarks.file_told(
                problem.code, problem.row if isinstance(problem, FileRefused) else None, visit.language
            )
            return desk.page(request, visit, "rosters.html", problem.status, **_words(rosters), wrong=wrong)
        kept = await rosters.keeping.keep(visit.visitor, name, content, {"source": source})
        return RedirectResponse(f"/rosters/{kept}", 303)

    @router.get("/rosters/{kept}")
    async def look(request: Request, kept: Id) -> Response:
        visit = await desk.visit(request)
        file = await _kept(rosters, visit, kept)
        accepted = [name for name in request.query_params.getlist("accept") if name in OFFERS]
        if file.answers is not None:
            answer = RosterAnswer.model_validate_json(file.answers)
        else:
            asked = replace(_asked(visit, file.wishes, accepted), dry_run=True)
            answer, _ = await taken(rosters.taking, await _book(file.content, file.name), asked)
        return desk.page(
            request, visit, "roster.html", **_words(rosters), **_shown(answer, accepted), kept=kept, name=file.name
        )

    @router.post("/rosters/{kept}")
    async def send(request: Request, kept: Id) -> Response:
        visit, typed = await desk.sent(request)
        file = await _kept(rosters, visit, kept)
        accepted = [name for name in OFFERS if typed.get(f"accept-{name}")]
        asked = _asked(visit, file.wishes, accepted)
        book = await _book(file.content, file.name)
        page = desk.text(visit, "taking.html", name=file.name, split=_SPLIT)
        head, foot = page.split(_SPLIT)
        lines = take_book(rosters.taking, book, asked)
        first = await first_of(lines)  # until then the answer can still be a no
        content = _progress(desk, rosters, visit, kept, first, lines, book, (head, foot))
        return StreamingResponse(content, media_type="text/html; charset=utf-8", headers=pages.HEADERS)

    @router.get("/rosters/{kept}/results.xlsx")
    async def results(request: Request, kept: Id) -> Response:
        visit = await desk.visit(request)
        file = await _kept(rosters, visit, kept)
        book = await _book(file.content, file.name)
        if file.answers is not None:
            answer = RosterAnswer.model_validate_json(file.answers)
        else:
            answer, _ = await taken(rosters.taking, book, replace(_asked(visit, file.wishes), dry_run=True))
        return _workbook(await _results(book, answer.rows, visit.language, rosters.codes), "roster-results")

    return router


async def _kept(rosters: Rosters, visit: Visit, id_: str) -> Kept:
    found = await rosters.keeping.found(visit.visitor, id_)
    if found is None:
        raise Problem(404, "file_gone", "")
    return found


async def _progress(
    desk: Desk,
    rosters: Rosters,
    visit: Visit,
    kept: str,
    first: Any,
    lines: AsyncIterator[Any],
    book: Book,
    around: tuple[str, str],
) -> AsyncIterator[str]:
    """The page as it grows: a bar after each portion, and at the end what became of the rows."""
    answer, counts = RosterAnswer(dry_run=False), Counts()
    head, foot = around
    yield head + '<div class="progress">'
    total = first.total if isinstance(first, Begin) else 0
    done = 0
    failed = False
    try:
        async for line in lines:
            if isinstance(line, RowAnswer):
                counts.add(line)
                answer.rows.append(line)
                done += 1
                if done % 50 == 0:
                    yield desk.text(visit, "bar.html", done=done, total=max(total, done))
            elif isinstance(line, MissingRow):
                answer.missing.append(line)
            elif isinstance(line, LeftSheet):
                answer.left.append(line)
    except Exception as error:
        # The page has begun: what went wrong can only be told on it.
        log.warning("a roster stopped on its way (%s)", describe(error))
        failed = True
    order = {sheet.name: at for at, sheet in enumerate(book.sheets)}
    answer.rows.sort(key=lambda row: (order[row.sheet], row.row))
    answer.counts, answer.changes = dict(counts.statuses), dict(counts.changes)
    if not failed:
        await rosters.keeping.answered(visit.visitor, kept, answer.model_dump_json())
    yield desk.text(visit, "bar.html", done=done, total=max(total, done))
    yield "</div>" + desk.text(visit, "taken.html", **_words(rosters), **_shown(answer, ()), kept=kept, failed=failed)
    yield foot


def _asked(visit: Visit, wishes: Mapping[str, Any], accepted: Sequence[str] = ()) -> Asked:
    source = str(wishes["source"])
    if not visit.caller.may_post_for(source):
        raise Problem(403, "source_not_yours", "")
    return Asked(source, visit.caller, frozenset(accepted))


async def _book(content: bytes, name: str) -> Book:
    try:
        return await asyncio.to_thread(open_book, content, name=name)
    except BookRefused as refused:
        raise FileRefused(refused) from None


async def _read(rosters: Rosters, book: Book, asked: Asked) -> None:
    """Read it once, whether it can be; its rows are looked at on the page that follows. Raises ``Problem``."""
    async with aclosing(take_book(rosters.taking, book, replace(asked, dry_run=True))) as lines:
        await first_of(lines)


def _words(rosters: Rosters) -> dict[str, Any]:
    return {"remarks": remarks, "codes": rosters.codes, "sheets": tuple(rosters.taking.roles)}


def _shown(answer: RosterAnswer, accepted: Sequence[str]) -> dict[str, Any]:
    """What a page shows of an answer: the rows that need somebody first, then as many others as there is room for."""
    open_ = [row for row in answer.rows if row.status in ("rejected", "conflict", "waiting")]
    others = [row for row in answer.rows if row.status not in ("rejected", "conflict", "waiting")]
    return {
        "answer": answer,
        "open_rows": open_[:SHOWN],
        "more_open": max(len(open_) - SHOWN, 0),
        "others": others[: max(SHOWN - len(open_), 10)],
        "accepted": accepted,
    }


async def _results(book: Book, rows: Sequence[RowAnswer], language: Language, codes: Mapping[str, str]) -> bytes:
    """The spreadsheet with a receipt beside each row, in the reader's language."""
    if language.tag == "en":
        return await asyncio.to_thread(annotated, book, rows)
    said = partial(remarks.receipt, language=language, codes=codes)
    return await asyncio.to_thread(annotated, book, rows, [language.say(text) for text in remarks.RECEIPT], said)


def _workbook(content: bytes, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.xlsx"', "Cache-Control": "no-store"}
    return Response(content, media_type=XLSX, headers=headers)
