"""The pages that reporting serves to people: they ask who is calling, narrow what they show by links, and say no in words."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncSession

from services.reporting import charts, codes, dashboard, explain, moves, queries, questions, targets, values, wording
from services.reporting.dashboard import COUNTS, Table
from services.reporting.domain import DIMENSIONS, EXCEPTIONS, MEASURES
from services.reporting.explain_api import NoTurn, Turns, own_of, refuse_others_detail, sight_of
from services.reporting.links import Chosen
from services.reporting.queries import Aggregates
from services.reporting.questions import Question, UnknownQuestion
from services.reporting.rates import RATES
from shared import pages, signin
from shared.database import Database
from shared.desk.wording import VALUES
from shared.http import Problem, holds
from shared.offices import Caller, Doorkeeper
from shared.pages.languages import Language, zone_of
from shared.pages.languages import noted as _
from shared.pages.rendering import Frame, Link, Pages, Signed
from shared.sessions import Sessions

_FOLDER: Final = Path(__file__).parent
STYLE: Final = (_FOLDER / "dashboard.css").read_text(encoding="utf-8")
LIVE: Final = (_FOLDER / "live.js").read_text(encoding="utf-8")
HEADERS: Final = pages.headers(STYLE, LIVE, asks=True)
LINKS: Final = (
    Link("/", _("Figures")),
    Link("/cohorts", _("Cohorts")),
    Link("/targets", _("Targets")),
    Link("/table", _("Table")),
    Link("/changes", _("Changes")),
    Link("/measures", _("What is counted")),
)
PART: Final = "Sampan-Part"
"""The header with which a page's script asks for its figures alone."""
TABLE_BY: Final = ("trade", "role", "sex")
"""What the table is by when nothing was asked."""
BODIES_HELD: Final = 32
"""First pages' figures kept in memory, up to 100 KB each, so that all who follow a change do not have it counted one by one."""
CELLS_SHOWN: Final = 400
"""Of a table, each a link to what explains it: 100 KB at most."""
ROWS_SHOWN: Final = 250
"""More than this nobody reads on a page, nor loads on a bad line; the aggregates answer gives all."""
COHORTS_ON_A_PAGE: Final = 50
CHANGES_ON_A_PAGE: Final = 50
LINES_ON_A_PAGE: Final = 50
EXPLAINED_ON_A_PAGE: Final = 5000
"""Enrolments that are counted anew for one page: a few seconds' worth. A figure of more is shown by its parts."""
HEADINGS: Final = {
    400: _("Not understood"),
    401: _("Please sign in"),
    404: _("Nothing here"),
    429: _("Too much at once"),
    503: _("Not now"),
}
MESSAGES: Final = {
    400: _("There are no figures for this question. Start over, and follow the links."),
    404: _("There is nothing at this address."),
    429: _("Your office asks more than can be answered. Wait %(seconds)s seconds and try again."),
    503: _("The database does not answer. Try again in a moment."),
}
_NO_TURN: Final = _("Many are asking for figures like this one. Try again in a moment.")
_OTHERWISE: Final = _("Something went wrong. Go back and try again.")


class ReportingPages:
    """The pages, and what they are made from."""

    def __init__(
        self,
        database: Database,
        sessions: Sessions,
        door: Doorkeeper,
        addresses: Mapping[str, str],
        turns: Turns,
        key: bytes,
    ) -> None:
        """``addresses`` are those of the other services, for links; ``turns`` and ``key`` are those of explanations."""
        self._key = key
        self._database = database
        self._sessions = sessions
        self._door = door
        self._elsewhere = (
            Link(addresses["enrolment"], _("Cohorts and trainees")),
            Link(addresses["certification"], _("Marks and certificates")),
        )
        self._pages = Pages(_FOLDER / "templates")
        self._turns = turns
        self._held: dict[str, str] = {}
        self._making: dict[str, asyncio.Task[str]] = {}

    def routes(self) -> APIRouter:
        """Every page."""
        router = signin.pages_router(self._refusal)

        @router.get("/")
        async def first(request: Request) -> Response:
            frame, caller = await self._open(request)
            question = _question(request, caller)
            tag, part = await self._tag(frame, caller, question), request.headers.get(PART)
            if part and holds(request, tag):
                return Response(status_code=304, headers={**HEADERS, "ETag": tag})
            body = await self._figures(tag, frame, caller, question)
            if part:
                return signin.html(body, 200, {**HEADERS, "ETag": tag})
            shown = Markup(body)  # noqa: S704 - rendered
            return self._page(request, "dashboard.html", frame, caller, question, body=shown, tag=tag)

        @router.get("/cohorts")
        async def cohorts(
            request: Request, before: Annotated[str, Query(max_length=80, pattern=r"^[^\x00]*$")] = ""
        ) -> Response:
            frame, caller = await self._open(request)
            question = _question(request, caller, "before")
            async with self._snapshot() as session:
                await values.check(session, question)
                position = await queries.positions(session)
                found = await dashboard.cohorts(session, question, position, limit=COHORTS_ON_A_PAGE + 1, before=before)
            shown = found[:COHORTS_ON_A_PAGE]
            then = dashboard.cursor(shown[-1]) if len(found) > COHORTS_ON_A_PAGE else None
            return self._page(
                request, "cohorts.html", frame, caller, question, shown=shown, then=then, position=position
            )

        self._lists(router)
        return router

    def _lists(self, router: APIRouter) -> None:
        """The pages of what is not the figures of now."""

        @router.get("/targets")
        async def goals(request: Request) -> Response:
            frame, caller = await self._open(request)
            question = _question(request, caller)
            async with self._snapshot() as session:
                await values.check(session, question)
                found = await targets.goals(session, dict(question.where).get("programme", ()))
                names = await codes.names(session, frame.language.tag)
            return self._page(request, "targets.html", frame, caller, question, goals=found, names=names)

        @router.get("/changes")
        async def changes(request: Request, before: Annotated[int | None, Query(ge=1, le=2**62)] = None) -> Response:
            frame, caller = await self._open(request)
            question = _question(request, caller, "before")
            async with self._snapshot() as session:
                await values.check(session, question)
                found = await moves.recent(session, question, limit=CHANGES_ON_A_PAGE + 1, before=before)
            shown = found[:CHANGES_ON_A_PAGE]
            then = shown[-1].step if len(found) > CHANGES_ON_A_PAGE else None
            return self._page(request, "changes.html", frame, caller, question, shown=shown, then=then)

        @router.get("/table")
        async def table(request: Request) -> Response:
            frame, caller = await self._open(request)
            given = [(name, value) for name, value in _given(request) if value]
            if not any(name == "by" for name, _ in given):
                given += [("by", name) for name in TABLE_BY if not given]
            chosen_measures = any(name == "measure" for name, _ in given)
            question = _read(given, caller)
            async with self._snapshot() as session:
                answer = await queries.aggregates(session, question, await queries.positions(session))
                names = await codes.names(session, frame.language.tag)
            measures = [name for name in answer.measures if chosen_measures or answer.totals.get(name)]
            shown = answer.rows[: min(ROWS_SHOWN, CELLS_SHOWN // max(len(measures), 1))]
            return self._page(
                request,
                "table.html",
                frame,
                caller,
                question,
                names=names,
                answer=answer,
                measures=measures,
                chosen_measures=question.measures if chosen_measures else (),
                rows=shown,
                where=[_where(answer, row) for row in shown],
            )

        @router.get("/explain")
        async def explained(
            request: Request, after: Annotated[str, Query(max_length=200)] = "", compare: str = ""
        ) -> Response:
            frame, caller = await self._open(request)
            question = _question(request, caller, "after", "compare")
            refuse_others_detail(question)
            async with self._turns.one(), self._snapshot() as session:
                then = questions.read_moment("compare", compare) if compare else None
                names = await codes.names(session, frame.language.tag)
                sight = sight_of(caller)
                most = {"limit": LINES_ON_A_PAGE, "most": EXPLAINED_ON_A_PAGE}
                try:
                    shown = await explain.explain(session, question, then, sight, key=self._key, after=after, **most)
                except explain.TooLarge:
                    answer = await dashboard.parts(session, question, await queries.positions(session))
                    given = {"answer": answer, "rows": answer.rows[:ROWS_SHOWN], "compare": compare, "names": names}
                    return self._page(request, "parts.html", frame, caller, question, **given)
            return self._page(
                request, "explain.html", frame, caller, question, shown=shown, compare=compare, names=names
            )

        @router.get("/measures")
        async def measures(request: Request) -> Response:
            frame, caller = await self._open(request)
            return self._page(request, "measures.html", frame, caller, Question(), rates=RATES, exceptions=EXCEPTIONS)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[AsyncSession]:
        """A session in which everything belongs together. Raises ``Problem`` 400 for what has no answer."""
        try:
            async with self._database.snapshot() as session:
                yield session
        except UnknownQuestion as unknown:
            raise Problem(400, unknown.code, unknown.message) from None

    async def _tag(self, frame: Frame, caller: Caller, question: Question) -> str:
        """The entity tag of the first page's figures."""
        told = f"{frame.language.tag} {caller.country}"
        async with self._snapshot() as session:
            return queries.tag(question, *await queries.positions_and_version(session), told)

    async def _figures(self, tag: str, frame: Frame, caller: Caller, question: Question) -> str:
        """The first page's figures; while nothing moves they are made once for all who look."""
        if (held := self._held.get(tag)) is not None:
            return held
        # Whoever hears of a change asks at once: it is counted once for all of them, who get what comes of it, also when it
        # fails, and wait with no connection in hand. Who leaves does not end it for the others.
        if (making := self._making.get(tag)) is None:
            making = self._making[tag] = asyncio.create_task(self._made(tag, frame, caller, question))
            making.add_done_callback(lambda _: self._making.pop(tag))
        return await asyncio.shield(making)

    async def _made(self, tag: str, frame: Frame, caller: Caller, question: Question) -> str:
        async with self._snapshot() as session:
            position = await queries.positions(session)
            shown = await dashboard.gather(session, question, position)
            names = await codes.names(session, frame.language.tag)
            goals = await targets.for_the_first_page(session, question)
        body = self._text("figures.html", frame, caller, question, shown=shown, names=names, goals=goals)
        while len(self._held) >= BODIES_HELD:
            del self._held[next(iter(self._held))]
        self._held[tag] = body
        return body

    async def _open(self, request: Request) -> tuple[Frame, Caller]:
        """Who looks at a page, and what is around it. Raises ``Problem`` 401."""
        if self._sessions.cookie in request.cookies:
            visitor = await signin.visitor(request, self._sessions)
            caller, form_key = visitor.caller, visitor.form_key
        else:
            caller, form_key = await self._door.open(request), ""
        return self._frame(request, caller, form_key), caller

    def _frame(self, request: Request, caller: Caller | None = None, form_key: str = "") -> Frame:
        language = signin.language_of(request)
        signed = None
        if caller is not None:
            name = language.say(_("Administrator")) if caller.administrator else caller.officer
            signed = Signed(name, caller.name, (caller.source or "").removeprefix("/offices/"), form_key)
        links = LINKS if caller else ()
        return Frame(
            request.url.path, language, signed, tuple(_given(request)), links, self._elsewhere if caller else ()
        )

    def _text(self, template: str, frame: Frame, caller: Caller, question: Question, **values: Any) -> str:
        return self._pages.render(
            template,
            frame,
            chosen=Chosen.of(question),
            question=question,
            words=wording,
            statuses=VALUES,
            charts=charts,
            by_month=lambda shown: _by_month(frame.language, shown),
            zone=zone_of(caller.country),
            since=None,
            COUNTS=COUNTS,
            MEASURES=MEASURES,
            DIMENSIONS=DIMENSIONS,
            BASES=wording.BASES,
            DASHBOARD_STYLE=STYLE,
            LIVE=LIVE,
            **{"names": {}, **values},
        )

    def _page(
        self, request: Request, template: str, frame: Frame, caller: Caller, question: Question, **values: Any
    ) -> Response:
        return signin.answered(request, self._text(template, frame, caller, question, **values), 200, HEADERS)

    def _refusal(self, request: Request, problem: Problem) -> Response:
        """A page that says no, and what to do."""
        if problem.status == 401:
            return signin.sign_in_page(request, self._sessions, problem)
        content = self._pages.render(
            "problem.html",
            self._frame(request),
            heading=HEADINGS.get(problem.status, _("That did not work")),
            message=_NO_TURN if isinstance(problem, NoTurn) else MESSAGES.get(problem.status, _OTHERWISE),
            seconds=problem.headers.get("Retry-After", "1"),
        )
        answer = signin.answered(request, content, problem.status)
        answer.headers.update(problem.headers)
        return answer


def _given(request: Request) -> list[tuple[str, str]]:
    """What an address asks, without the language."""
    return [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]


def _question(request: Request, caller: Caller, *besides: str) -> Question:
    """What a page's figures are narrowed to. Raises ``Problem`` 400."""
    return _read([(name, value) for name, value in _given(request) if value and name not in besides], caller)


def _read(given: list[tuple[str, str]], caller: Caller) -> Question:
    try:
        return replace(questions.read_question(given), own=own_of(caller))
    except UnknownQuestion as unknown:
        raise Problem(400, unknown.code, unknown.message) from None


def _where(answer: Aggregates, row: Mapping[str, Any]) -> dict[str, str]:
    """The place of a row, as filters."""
    return {name: str(row[name]) for name in answer.by}


def _by_month(language: Language, shown: Table) -> Markup:
    labels = [language.month(line.place["month"]) for line in shown.lines]
    series = {name: [float(line.counts[name]) for line in shown.lines] for name in shown.measures}
    return charts.columns(language, labels, series, language.say(_("By month")))
