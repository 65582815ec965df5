"""The addresses of public figures: the released tables for anybody, and what the administrator says of them."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from services.reporting import releasing
from services.reporting.disclosure import MEASURES
from services.reporting.formats import FORMATS, Figures, NotInThisFormat, tables, wanted, workbook
from services.reporting.questions import UnknownQuestion
from services.reporting.released_tables import RATES, TABLES
from services.reporting.releasing import Exempt, ExemptLine, Off, Terms, TooSoon, Version
from shared.audit import Act, Audit
from shared.database import Database
from shared.http import Problem
from shared.offices import Caller, Doorkeeper
from shared.openapi import OPEN, refusals
from shared.visitors import Visitors

_NOTE = (
    "Counts of a few people, and what would give them away, are hidden: an empty figure is not 0. "
    "A percentage is made of two shown counts."
)


class TableLine(BaseModel):
    """A table that is published, and what it shows."""

    table: str
    by: list[str]
    shows: str


class Tables(BaseModel):
    """What there is to read: the tables, and their versions, the newest first."""

    tables: list[TableLine]
    measures: list[str]
    versions: list[Version]
    note: str


class Table(BaseModel):
    """One table of one version. A figure that is hidden is null."""

    table: str
    by: list[str]
    measures: list[str]
    rows: list[dict[str, str | int | float | None]]
    version: Version
    note: str


class State(BaseModel):
    """Whether anything is published, by which threshold, and which figures are exceptions because they are public already."""

    terms: Terms
    exceptions: list[ExemptLine]
    versions: list[Version]


def routes(database: Database, door: Doorkeeper, audit: Audit, visitors: Visitors) -> APIRouter:
    """What anybody may read needs no token; the rest is the administrator's."""
    router = APIRouter()
    anybody = [Depends(visitors.open)]

    @router.get("/v1/public", dependencies=anybody, openapi_extra=OPEN, responses=refusals(404, 429))
    async def public() -> Tables:
        """What is published. 404 where nothing is."""
        async with database.transaction() as session:
            await _must_be_on(session)
            return Tables(
                tables=[TableLine(table=name, by=_by(name), shows=shows) for name, (_, shows) in TABLES.items()],
                measures=_measures(),
                versions=await releasing.versions(session),
                note=_NOTE,
            )

    @router.get(
        "/v1/public/{table}",
        dependencies=anybody,
        openapi_extra=OPEN,
        response_model=Table,
        responses={200: {"content": _CONTENT}, **refusals(429)},
    )
    async def released(
        request: Request,
        table: str,
        version: Annotated[int | None, Query(ge=1, le=1_000_000, description="Without one, the newest.")] = None,
        form: Annotated[str | None, Query(alias="format", max_length=10, description="json, csv or xlsx.")] = None,
    ) -> Response:
        """One table as it was released."""
        if {*request.query_params} - {"version", "format"}:
            raise Problem(400, "unknown_parameter", "There is no such parameter. There are: version, format.")
        name = _form(form, request.headers.get("accept", ""))
        async with database.transaction() as session:
            await _must_be_on(session)
            found = await releasing.tables_of(session, version)
            newest = found or await releasing.tables_of(session)
        if table not in TABLES:
            raise Problem(404, "no_such_table", f"There is no such table. There are: {', '.join(TABLES)}.")
        if newest is None:
            raise Problem(
                404, "nothing_released", "No version was released yet: the administrator makes the first one."
            )
        if found is None:
            raise Problem(
                404,
                "no_such_version",
                f"There is no such version. The newest is {newest[0].version}; they count from 1.",
            )
        of, rows = found
        columns = [*_by(table), *_measures()]
        ordered = [{name: row[name] for name in columns} for row in rows[table]]
        answer = Table(table=table, by=_by(table), measures=_measures(), rows=ordered, version=of, note=_NOTE)
        headers = {"Cache-Control": "public, max-age=300", "Vary": "Accept"}
        return Response(await asyncio.to_thread(_written, answer, name), media_type=FORMATS[name], headers=headers)

    _administration(router, database, door, audit)
    return router


def _administration(router: APIRouter, database: Database, door: Doorkeeper, audit: Audit) -> None:
    Administrator = Annotated[Caller, Depends(door.administrator)]  # noqa: N806 - a type

    @router.get("/v1/publication", responses=refusals(403))
    async def publication(_: Administrator) -> State:
        """Whether anything is published, and every exception."""
        async with database.transaction() as session:
            return State(
                terms=await releasing.terms(session),
                exceptions=await releasing.exceptions(session),
                versions=await releasing.versions(session),
            )

    @router.put("/v1/publication", responses=refusals(400, 403))
    async def set_publication(wanted: Terms, caller: Administrator) -> Terms:
        """Turn public figures on or off, and say how many people a figure must count; versions stay as they were made."""

        async def work(session: AsyncSession) -> None:
            await releasing.set_terms(session, wanted)
            await audit.record(session, Act(caller, "publication.set", "on" if wanted.on else "off", wanted.threshold))

        await database.run(work)
        return wanted

    @router.post("/v1/publication/exceptions", status_code=201, responses=refusals(400, 403))
    async def except_(wanted: Exempt, caller: Administrator) -> ExemptLine:
        """Record that a figure is public already: from the next version on it is shown, as long as it is this one."""
        if problem := wanted.problem():
            raise Problem(400, "no_such_figure", problem)

        async def work(session: AsyncSession) -> ExemptLine:
            try:
                made = await releasing.add_exception(session, wanted, caller.officer)
            except UnknownQuestion as unknown:
                raise Problem(400, unknown.code, unknown.message) from None
            await audit.record(session, Act(caller, "exception.made", wanted.programme, made.id))
            return made

        return await database.run(work)

    @router.delete("/v1/publication/exceptions/{number}", status_code=204, responses=refusals(403))
    async def end(number: int, caller: Administrator) -> None:
        """From the next version on the figure is hidden again, if it must be."""

        async def work(session: AsyncSession) -> None:
            # The database counts no further than this.
            if not 0 < number < 2**31 or not await releasing.end_exception(session, number):
                raise Problem(404, "no_such_exception", "There is no such exception.")
            await audit.record(session, Act(caller, "exception.ended", str(number)))

        await database.run(work)

    @router.post("/v1/publication/release", status_code=201, responses=refusals(403, 409))
    async def release(caller: Administrator) -> Version:
        """Make the next version of the public tables: at most one a day."""

        async def work(session: AsyncSession) -> Version:
            made = await releasing.release(session, datetime.now(UTC).date())
            await audit.record(session, Act(caller, "tables.released", str(made.version)))
            return made

        try:
            return await database.run(work)
        except Off:
            raise Problem(
                409, "publication_off", "Public figures are off: turn them on first (sampan public on)."
            ) from None
        except TooSoon:
            raise Problem(
                409, "released_today", "There is a version of today: the next one may be made tomorrow."
            ) from None


_CONTENT: Mapping[str, Any] = {FORMATS[name]: {"schema": {"type": "string"}} for name in ("csv", "xlsx")}


async def _must_be_on(session: AsyncSession) -> None:
    if not (await releasing.terms(session)).on:
        raise Problem(404, "not_published", "This programme publishes no figures here.")


def _by(table: str) -> list[str]:
    return ["programme", *filter(None, [TABLES[table][0]])]


def _measures() -> list[str]:
    return [*MEASURES, *RATES]


def _form(name: str | None, accept: str) -> str:
    try:
        found = wanted(name, accept)
    except NotInThisFormat:
        found = ""
    if found not in ("json", "csv", "xlsx"):
        raise Problem(400, "unknown_format", "The public tables come as json, csv or xlsx.")
    return found


def _written(table: Table, form: str) -> bytes:
    if form == "json":
        return table.model_dump_json().encode()
    figures = Figures(table.by, table.measures, table.rows, table.version.position)
    if form == "csv":
        return tables.write(figures, {})
    notes = [
        ("Table", TABLES[table.table][1]),
        ("Version", f"{table.version.version} of {table.version.released}"),
        ("Hidden", f"{table.note} The threshold is {table.version.threshold}."),
    ]
    return workbook.write(figures, {}, {}, notes)
