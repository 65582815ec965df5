"""Reporting's HTTP: why a figure is what it is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from services.reporting import explain, questions
from services.reporting.domain import DIMENSIONS
from services.reporting.explain import Explanation, Sight
from services.reporting.ledger import HOW_TO_ASK
from services.reporting.partners import keeps_to
from services.reporting.questions import Question, UnknownQuestion
from services.reporting.rates import BASES
from shared.database import Database
from shared.http import RETRY_AFTER_SECONDS, Problem
from shared.offices import Caller, Doorkeeper
from shared.openapi import refusals
from shared.secrets import derive

PARAMETERS: list[dict[str, Any]] = [
    {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": {"type": "array", "items": {"type": "string"}},
        "style": "form",
        "explode": True,
    }
    for name, description in {
        "measure": f"Repeatable, or with commas; all when there is none. One of {', '.join(questions.ASKED)}.",
        "by": f"Repeatable, or with commas; one row when there is none. One of {', '.join(DIMENSIONS)}.",
        "from": "The first month, YYYY-MM.",
        "to": "The last month, YYYY-MM.",
        "basis": "What from and to mean: "
        + " ".join(f"{name}: {meaning}" for name, meaning in BASES.items())
        + " Without it, rates follow cohorts and counts follow events.",
        "as_of": f"What was known then: {HOW_TO_ASK}.",
        **{name: f"Only these. {meaning}" for name, meaning in DIMENSIONS.items()},
    }.items()
]


"""What narrows a question, for the contract."""

_OF_PAGES: list[dict[str, Any]] = [
    {"name": name, "in": "query", "required": False, "description": description, "schema": {"type": "string"}}
    for name, description in {
        "compare": f"What came and went since then: {HOW_TO_ASK}.",
        "after": "The last line of the page before: its `next`.",
        "limit": "Lines on a page, 1 to 1000; 100 without it.",
    }.items()
]
_PAGING = frozenset(one["name"] for one in _OF_PAGES)


EXPLAINED_AT_ONCE = 4
"""Explanations, on pages too, and periods beside their last version: each holds one of the database's twenty connections, a large
one for a long time. Five more are held by what hears, announces and relays, and one by a rebuild."""
COUNTED_AT_ONCE = 5
"""Answers with people counted anew, and those that are files."""
WAIT_SECONDS = 10.0


class NoTurn(Problem):
    """As many as may are asking what takes long."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "unavailable",
            "The service has all hands full with questions like this one. Try again shortly.",
            {"Retry-After": str(RETRY_AFTER_SECONDS)},
        )


class Turns:
    """Lets so many at once do what takes the database long, so that everybody else is served meanwhile."""

    def __init__(self, number: int, seconds: float = WAIT_SECONDS) -> None:
        self._free = asyncio.Semaphore(number)
        self._seconds = seconds

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a turn. Raises ``NoTurn`` when it does not come."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._free.acquire()
        except TimeoutError:
            raise NoTurn from None
        try:
            yield
        finally:
            self._free.release()


def digest_key(secret: bytes) -> bytes:
    """What digests of explanations are made with, from the service's secret: the same at every copy."""
    return derive(secret, "explanations")


def routes(database: Database, door: Doorkeeper, turns: Turns, key: bytes) -> APIRouter:
    """The address of explanations; ``key`` is that of their digests."""
    router = APIRouter()
    asked = Annotated[Caller, Depends(door.open)]

    @router.get(
        "/v1/explain",
        response_model=Explanation,
        openapi_extra={"parameters": [*PARAMETERS, *_OF_PAGES]},
        responses=refusals(403),
    )
    async def explained(request: Request, caller: asked) -> Explanation:
        """Why one figure is what it is: the enrolments behind it, the facts that put each there, the rule, a digest of the set;
        with `compare`, what came and went since, and why.

        Lines are pseudonymous. An office sees those of its own country and of cohorts there, a coordinator all, a reader none.
        """
        given = request.query_params.multi_items()
        try:
            question = questions.read_question((name, value) for name, value in given if name not in _PAGING)
            question = replace(question, own=own_of(caller))
            refuse_others_detail(question)
            paging = {name: value for name, value in given if name in _PAGING}
            compare = questions.read_moment("compare", paging.get("compare"))
            limit = questions.read_limit(paging.get("limit", "100"))
            async with turns.one(), database.snapshot() as session:
                return await explain.explain(
                    session, question, compare, sight_of(caller), key=key, after=paging.get("after", ""), limit=limit
                )
        except UnknownQuestion as unknown:
            raise Problem(400, unknown.code, unknown.message) from None

    return router


def refuse_others_detail(question: Question) -> None:
    """Raise ``Problem`` 403 for detail that filters do not keep to the asking office's country: its figure is another's."""
    if question.limited_to and not keeps_to(question.limited_to, dict(question.where)):
        raise Problem(403, "not_your_country", f"Detail is of your own country: add country={question.own}.")


def own_of(caller: Caller) -> str | None:
    """The country to which detail is limited for the caller; None for who sees all of it."""
    if caller.administrator or "coordinator" in caller.roles or caller.country is None:
        return None
    return caller.country.upper()


def sight_of(caller: Caller) -> Sight:
    """Whose lines the caller may see behind a figure."""
    if caller.administrator or "coordinator" in caller.roles:
        return Sight(everything=True)
    return Sight() if caller.only_reads() or caller.country is None else Sight(country=caller.country.upper())
