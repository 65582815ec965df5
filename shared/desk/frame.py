"""What every page of a desk has around it: who may see it, in which language, where it leads, and how it says no."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from shared import signin
from shared.desk import wording
from shared.desk.forms import fields_of, languages_of, lines_of
from shared.http import Problem
from shared.offices import Caller
from shared.pages.languages import Language, zone_of
from shared.pages.languages import noted as _
from shared.pages.rendering import Frame, Link, Pages, Signed
from shared.sessions import Sessions, Visitor

HEADINGS: Final = {
    401: _("Please sign in"),
    403: _("Not for this office"),
    404: _("Nothing here"),
    413: _("Too much at once"),
    429: _("Too much at once"),
    503: _("Not now"),
}
PROBLEMS: Final = {
    "not_found": _("There is nothing here that your office may see."),
    "invalid_query": _("There is nothing at this address."),
    "not_your_role": wording.CODES["role_not_allowed"],
    "role_not_allowed": _("Your office sees figures only. They are on the page of reports."),
    "no_names": _("Your office sees figures and no names."),
    "form_key": _(
        "This form is not one that you were shown, or you signed in again since. Go back, load the page anew and send it again."
    ),
    "body_too_large": _("The form is too long. Send a long list as a file."),
    "content_type": _("Use the form on the page."),
    "file_gone": _("This file is not kept any more. Choose it again."),
    "unavailable": _("The database does not answer. What you sent was not taken. Try again in a moment."),
    "too_many": _("Your office sends more than can be taken. Wait %(seconds)s seconds and try again."),
}
_OTHERWISE: Final = _("Something went wrong, and nothing was taken. Go back and try again.")


@dataclass(frozen=True, slots=True)
class Visit:
    """One look at a page: by whom, and what is around it."""

    visitor: Visitor
    frame: Frame

    @property
    def caller(self) -> Caller:
        return self.visitor.caller

    @property
    def language(self) -> Language:
        return self.frame.language

    @property
    def zone(self) -> tzinfo:
        """The time of day at the office's place."""
        return zone_of(self.caller.country)


class Desk:
    """The frame of one service's desk."""

    def __init__(self, sessions: Sessions, templates: Path, links: Sequence[Link], elsewhere: Sequence[Link]) -> None:
        """``templates`` are the service's own; ``links`` lead around this desk, ``elsewhere`` to the others."""
        self._sessions = sessions
        self._pages = Pages(templates, Path(__file__).parent / "templates")
        self._links = links
        self._elsewhere = elsewhere

    def router(self) -> APIRouter:
        """For pages: what goes wrong behind it is told as a page, and whoever is not signed in gets the form."""
        return signin.pages_router(self.refusal)

    async def visit(self, request: Request) -> Visit:
        """Who looks at the page. Raises ``Problem`` 401 for who is not signed in, 403 for who may see figures only."""
        visitor = await signin.visitor(request, self._sessions)
        if visitor.caller.only_reads():
            raise Problem(403, "role_not_allowed", "")
        return Visit(visitor, self._frame(request, visitor))

    async def sent(self, request: Request) -> tuple[Visit, dict[str, str]]:
        """Who sends a form, and its fields. Raises ``Problem``, 403 for one that this visitor was not shown."""
        visit = await self.visit(request)
        typed = dict(await signin.form(request))
        self.check(visit, typed.get("form_key", ""))
        return visit, typed

    def check(self, visit: Visit, form_key: str) -> None:
        """Raises ``Problem`` 403 unless the key is of a form that this visitor was shown."""
        if not visit.visitor.sent(form_key):
            raise Problem(403, "form_key", "")

    def page(self, request: Request, visit: Visit, template: str, status: int = 200, **values: Any) -> Response:
        """A page of the desk."""
        return signin.answered(request, self.text(visit, template, **values), status)

    def text(self, visit: Visit, template: str, **values: Any) -> str:
        """The same as text."""
        return self._pages.render(
            template,
            visit.frame,
            visit=visit,
            wording=wording,
            fields_of=fields_of,
            lines_of=lines_of,
            languages_of=languages_of,
            **values,
        )

    def refusal(self, request: Request, problem: Problem) -> Response:
        """A page that says no, and what to do."""
        if problem.status == 401:
            return signin.sign_in_page(request, self._sessions, problem)
        content = self._pages.render(
            "problem.html",
            self._frame(request, None),
            heading=HEADINGS.get(problem.status, _("That did not work")),
            message=PROBLEMS.get(problem.code, _OTHERWISE),
            seconds=problem.headers.get("Retry-After", "1"),
        )
        answer = signin.answered(request, content, problem.status)
        answer.headers.update(problem.headers)
        return answer

    def _frame(self, request: Request, visitor: Visitor | None) -> Frame:
        query = tuple(request.query_params.multi_items()) if request.method == "GET" else ()
        language = signin.language_of(request)
        if visitor is None:
            return Frame(request.url.path, language, query=query, links=self._links, elsewhere=self._elsewhere)
        caller = visitor.caller
        name = language.say(_("Administrator")) if caller.administrator else caller.officer
        signed = Signed(name, caller.name, (caller.source or "").removeprefix("/offices/"), visitor.form_key)
        return Frame(request.url.path, language, signed, query, self._links, self._elsewhere)
