"""Rosters over HTTP: a spreadsheet comes in, what became of each row goes out; and the template to fill in."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from shared.bodies import allow_body
from shared.database import is_transient
from shared.deadletters import describe
from shared.events.codes import SOURCE_PATTERN
from shared.events.wire import NDJSON
from shared.http import Problem
from shared.offices import Caller, Doorkeeper
from shared.openapi import refusals
from shared.rosterdesk import Asked, Begin, Desk, Line
from shared.rostering import take_book
from shared.rosters.answers import Counts, LeftSheet, MissingRow, RosterAnswer, RowAnswer
from shared.rosters.books import FILE_LIMIT, Book, kinds_named, open_book
from shared.rosters.cells import OFFERS
from shared.rosters.refusing import BookRefused
from shared.rosters.workbooks import annotated, template

log = logging.getLogger(__name__)

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ODS: Final = "application/vnd.oasis.opendocument.spreadsheet"
FORMS: Final = (XLSX, ODS, "text/csv", "text/tab-separated-values", "application/octet-stream")
"""Content types of a body that is the file itself. What it is, is seen from the file."""
MULTIPART: Final = "multipart/form-data"
UTF_8: Final = (b"utf-8", b"utf8")
"""The one encoding of a form. The parser takes the sender's word for it, and Python has some (punycode) that take minutes."""
TOO_LARGE: Final = frozenset(
    {"file_too_large", "unpacked_too_large", "too_many_rows", "too_many_columns", "too_many_sheets"}
)
Choices = Callable[[Caller], Awaitable[Mapping[str, Sequence[str]]]]
"""An office's own codes by column, for the template's drop-downs."""
NAMES_OF_LINES: Final = {Begin: "begin", RowAnswer: "row", MissingRow: "missing", LeftSheet: "left"}

_FILE: Final = {"type": "string", "format": "binary"}
_BODY: Final[dict[str, Any]] = {
    "required": True,
    "description": f"A spreadsheet (.xlsx, .ods) or text (.csv) of at most {FILE_LIMIT // 1024 // 1024} MB.",
    "content": {
        **{form: {"schema": _FILE} for form in FORMS},
        MULTIPART: {"schema": {"type": "object", "required": ["file"], "properties": {"file": _FILE}}},
    },
}
_LINES: Final = {
    "schema": {
        "type": "string",
        "description": "One JSON object to a line, as it happens: `line` is begin (with the total), row, missing, left, and "
        "last either end (with counts) or failed (nothing more was taken; sending again is safe).",
    }
}
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "No row was rejected; or, as lines, whatever came of it.",
        "model": RosterAnswer,
        "content": {NDJSON: _LINES},
    },
    207: {"description": "Some rows were rejected; the others were taken.", "model": RosterAnswer},
    422: {"description": "Every row was rejected.", "model": RosterAnswer},
    **refusals(400, 403, 413, 415),
}
_WORKBOOK: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "A spreadsheet.", "content": {XLSX: {"schema": _FILE}}},
}


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a roster is to be taken, as the address says it."""

    dry_run: Annotated[bool, Query(description="Show what would become of each row, and take nothing.")] = False
    accept: Annotated[list[str] | None, Query(description=f"Corrections to accept: {', '.join(OFFERS)}.")] = None
    sheet: Annotated[list[str] | None, Query(description="Only these sheets; for a CSV file, what it holds.")] = None
    encoding: Annotated[
        str | None, Query(max_length=20, description="How a CSV file was saved, if it cannot be told.")
    ] = None
    source: Annotated[str | None, Query(pattern=SOURCE_PATTERN, description="Whose roster it is (administrator).")] = (
        None
    )


def routes(desk: Desk, door: Doorkeeper, choices: Choices) -> APIRouter:
    """The addresses of a service's rosters."""
    router = APIRouter()

    @router.post("/v1/rosters", responses=ANSWERS, response_model=RosterAnswer, openapi_extra={"requestBody": _BODY})
    async def post_roster(
        request: Request, caller: Annotated[Caller, Depends(door.open)], wishes: Annotated[Wishes, Depends()]
    ) -> Response:
        """Take a roster. As JSON the answer comes at the end; as application/x-ndjson line by line, with how far it is."""
        book, asked = await received(request, door, caller, wishes)
        return await answered(request, desk, book, asked)

    @router.post(
        "/v1/rosters/annotated",
        responses={**_WORKBOOK, **refusals(400, 403, 413, 415)},
        response_class=Response,
        openapi_extra={"requestBody": _BODY},
    )
    async def post_roster_annotated(
        request: Request, caller: Annotated[Caller, Depends(door.open)], wishes: Annotated[Wishes, Depends()]
    ) -> Response:
        """Take a roster, and answer the same spreadsheet with a receipt beside each row."""
        book, asked = await received(request, door, caller, wishes)
        answer, _ = await taken(desk, book, asked)
        # Seconds of work for a long roster: beside the loop that answers everybody else.
        return _workbook(await asyncio.to_thread(annotated, book, answer.rows), "receipts")

    @router.get("/v1/rosters/template.xlsx", responses=_WORKBOOK, response_class=Response)
    async def roster_template(
        caller: Annotated[Caller, Depends(door.open)], language: Literal["en", "km", "lo", "my", "zh"] = "en"
    ) -> Response:
        """An empty roster with drop-downs, and a sheet that explains each column."""
        return _workbook(template(language, await choices(caller)), f"roster-{language}")

    return router


async def answered(request: Request, desk: Desk, book: Book, asked: Asked) -> Response:
    """Take a roster, and answer line by line or at the end, as was asked for."""
    if NDJSON in request.headers.get("accept", ""):
        lines = take_book(desk, book, asked)
        return StreamingResponse(_as_lines(await first_of(lines), lines, asked), media_type=NDJSON)
    answer, counts = await taken(desk, book, asked)
    return Response(answer.model_dump_json(exclude_none=True), counts.http_status, media_type="application/json")


async def taken(desk: Desk, book: Book, asked: Asked) -> tuple[RosterAnswer, Counts]:
    """Take a roster whole: the answer with its rows in the file's order. Raises ``Problem``."""
    answer, counts = RosterAnswer(dry_run=asked.dry_run), Counts()
    try:
        async for line in take_book(desk, book, asked):
            if isinstance(line, RowAnswer):
                counts.add(line)
                answer.rows.append(line)
            elif isinstance(line, MissingRow):
                answer.missing.append(line)
            elif isinstance(line, LeftSheet):
                answer.left.append(line)
    except BookRefused as refused:
        raise FileRefused(refused) from None
    order = {sheet.name: at for at, sheet in enumerate(book.sheets)}
    answer.rows.sort(key=lambda row: (order[row.sheet], row.row))
    answer.counts, answer.changes, answer.accept = map(dict, (counts.statuses, counts.changes, counts.accept))
    return answer, counts


async def received(request: Request, door: Doorkeeper, caller: Caller, wishes: Wishes) -> tuple[Book, Asked]:
    """The spreadsheet of a request, looked at, and how it is to be taken. Raises ``Problem``."""
    unknown = set(wishes.accept or ()) - OFFERS.keys()
    if unknown:
        raise Problem(400, "invalid_query", f"accept: name some of {', '.join(OFFERS)}.")
    source = wishes.source or caller.source
    if source is None:
        raise Problem(
            400, "invalid_query", "source: an administrator says whose roster it is, as /offices/<country>/<office>."
        )
    if not caller.may_post_for(source):
        raise Problem(
            403, "source_not_yours", "source: that is another office. Send its roster with its own credential."
        )
    content, name = await _file(request)
    door.spend(caller, size=len(content))
    try:
        sheets = kinds_named(wishes.sheet or ())
        named = sheets[0] if len(sheets) == 1 else None
        book = await asyncio.to_thread(open_book, content, name=name, kind=named, encoding=wishes.encoding)
    except BookRefused as refused:
        raise FileRefused(refused) from None
    asked = Asked(source, caller, frozenset(wishes.accept or ()), tuple(sheets), wishes.dry_run)
    return book, asked


async def _file(request: Request) -> tuple[bytes, str]:
    """The file of a body and its name; never more than the limit in memory."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "content_encoding", "Send the file as it is, without Content-Encoding. Nothing was taken.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == MULTIPART:
        _, file, name = await multipart(request)
        return file, name
    if kind not in FORMS:
        raise Problem(
            415, "content_type", f"Send the roster as one of {', '.join((*FORMS, MULTIPART))}. Nothing was taken."
        )
    content = bytearray()
    async for chunk in _bounded(request):
        content += chunk
    return bytes(content), "roster"


async def multipart(request: Request, limit: int = FILE_LIMIT) -> tuple[dict[str, str], bytes, str]:
    """A form with a file: its other fields, the file of its field ``file``, and the file's name. Raises ``Problem``."""
    _, said = parse_options_header(request.headers.get("content-type"))
    if said.get(b"charset", UTF_8[0]).lower() not in UTF_8:
        raise Problem(400, "invalid_form", "The form is not in UTF-8: send it in UTF-8.")
    try:
        parser = MultiPartParser(request.headers, _bounded(request, limit), max_files=1, max_fields=10)
        parser.spool_max_size = limit + 1  # names have no business on a disk
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        log.info("a form could not be read (%s)", type(error).__name__)
        raise Problem(
            400, "invalid_form", "The form cannot be read: send the spreadsheet as its field `file`."
        ) from None
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise Problem(400, "invalid_form", "The form has no file: send the spreadsheet as its field `file`.")
    fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    return fields, await file.read(), (file.filename or "roster")[-100:]


async def _bounded(request: Request, limit: int = FILE_LIMIT) -> AsyncGenerator[bytes, None]:
    size = 0
    allow_body(request, limit + (1 << 20))  # refused below
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit + 4096:  # what a form has around the file
            raise FileRefused(
                BookRefused("file_too_large", f"The file is larger than {limit // 1024 // 1024} MB. Send it in parts.")
            )
        yield chunk


async def first_of(lines: AsyncIterator[Line]) -> Line:
    """The first line, before anything is answered: until then a file can be refused as a whole."""
    try:
        return await anext(lines)
    except BookRefused as refused:
        raise FileRefused(refused) from None


async def _as_lines(first: Line, lines: AsyncIterator[Line], asked: Asked) -> AsyncIterator[bytes]:
    counts = Counts()
    yield _as_line(NAMES_OF_LINES[type(first)], first.model_dump(exclude_none=True))
    try:
        async for line in lines:
            if isinstance(line, RowAnswer):
                counts.add(line)
            yield _as_line(NAMES_OF_LINES[type(line)], line.model_dump(exclude_none=True))
    except Exception as error:
        # The answer has begun: what went wrong can only be its last line.
        log.warning("a roster stopped on its way (%s)", describe(error))
        code = "unavailable" if is_transient(error) else "internal"
        message = "Not all of it was taken. Send it again: what was taken stays as it is."
        if asked.dry_run:
            message = "Not all of it was looked at. Send it again: nothing was taken."
        yield _as_line("failed", {"code": code, "message": message})
        return
    end = {"dry_run": asked.dry_run, "counts": counts.statuses, "changes": counts.changes, "accept": counts.accept}
    yield _as_line("end", end)


def _as_line(name: str, fields: Mapping[str, Any]) -> bytes:
    return json.dumps({"line": name, **fields}, ensure_ascii=False).encode() + b"\n"


def _workbook(content: bytes, name: str) -> Response:
    return Response(content, media_type=XLSX, headers={"Content-Disposition": f'attachment; filename="{name}.xlsx"'})


class FileRefused(Problem):
    """The answer to a file that cannot be taken."""

    def __init__(self, refused: BookRefused) -> None:
        status = 413 if refused.code in TOO_LARGE else 400
        super().__init__(status, refused.code, f"{refused.sentence} Nothing was taken.")
        self.row = refused.row
