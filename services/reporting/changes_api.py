"""GET /v1/changes: Server-Sent Events that say which figures moved, and up to which position.

They say what to ask again and carry no figures themselves, so a reader who misses some has lost nothing.
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from time import monotonic
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request, Response
from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from services.reporting.live import Live
from shared import signin
from shared.http import Problem
from shared.offices import Doorkeeper
from shared.sessions import Sessions

LIFE_SECONDS: Final = 900.0
"""After this the stream ends and the reader comes again by itself, with a token that is looked at anew."""
PING_SECONDS: Final = 15
SEND_SECONDS: Final = 20.0
"""A reader that does not read for so long, while there is something to be read, is dropped."""
RETRY_MILLISECONDS: Final = 2000
CROWDED_SECONDS: Final = 30


class _Stream(EventSourceResponse):
    """One that is counted while it lasts, and that ends quietly when its reader does not read."""

    def __init__(self, live: Live, office: str | None, after: int | None) -> None:
        super().__init__(
            _told(live, after),
            headers={"Cache-Control": "no-store"},
            ping=PING_SECONDS,
            send_timeout=SEND_SECONDS,
            sep="\n",
        )
        self._live = live
        self._office = office

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._live.reader(self._office), suppress(SendTimeoutError):
            await super().__call__(scope, receive, send)


def routes(live: Live, door: Doorkeeper, sessions: Sessions) -> APIRouter:
    """The stream of changes, for programs with a token and for our own pages."""
    router = APIRouter()

    @router.get(
        "/v1/changes",
        response_class=Response,
        responses={
            200: {
                "description": "A stream that stays open. `event: change` says which figures moved (`figures`: by measure, how "
                "many more) and up to which `position`; `event: reset`, that too much was missed, or that all was made anew: ask "
                "for the figures again. Both have an `id`: send the last one as `Last-Event-ID` to go on where you were, as "
                f"browsers do by themselves. The stream ends after {LIFE_SECONDS / 60:.0f} minutes: come again.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            }
        },
    )
    async def changes(
        request: Request,
        last_event_id: Annotated[
            str | None, Header(max_length=40, description="The `id` of the last event that was read.")
        ] = None,
    ) -> Response:
        """Which figures moved and up to which position, as it happens (Server-Sent Events)."""
        caller = await signin.reader(request, sessions, door)
        if not live.admits(caller.source):
            raise Problem(
                503,
                "too_many_readers",
                "Too many follow the changes just now. Ask for the figures themselves now and then, or try again later.",
                {"Retry-After": str(CROWDED_SECONDS)},
            )
        return _Stream(live, caller.source, _step(last_event_id))

    return router


def _step(last_event_id: str | None) -> int | None:
    """Where a reader was; what is no id of ours is no step that was ever taken, so they start anew."""
    if not last_event_id:
        return None
    return int(last_event_id) if last_event_id.isascii() and last_event_id.isdecimal() else -1


async def _told(live: Live, after: int | None) -> AsyncIterator[bytes]:
    """What one reader is told, from after a step on; from now on without one."""
    ends = monotonic() + LIFE_SECONDS
    await live.known()
    at = live.step if after is None else after
    yield f"retry: {RETRY_MILLISECONDS}\nid: {max(at, 0)}\n\n".encode()  # no event: it only says where they are
    while (left := ends - monotonic()) > 0:
        moved = live.after(at)
        if moved is None:
            at = live.step
            yield f'id: {at}\nevent: reset\ndata: {{"step": {at}}}\n\n'.encode()
        else:
            for move in moved:
                yield move.event
                at = move.step
        await live.news(at, left)
