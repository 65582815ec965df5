"""How much of a body is read, also of a stranger's: the framework reads a whole one before it looks at the token."""

from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.events.wire import BODY_LIMIT, too_large

_ALLOWED: Final = "body_limit"


def allow_body(request: Request, limit: int) -> None:
    """Let a route that counts for itself read so many bytes. It looks at the token before."""
    request.scope.setdefault("state", {})[_ALLOWED] = limit


async def whole(request: Request, limit: int, refusal: Exception) -> bytes:
    """The body, of which no more than ``limit`` bytes and a chunk are ever in memory. Raises ``refusal`` for a longer one."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise refusal
    return bytes(body)


class BoundedBody:
    """Ends the reading of a body with a 413 after ``BODY_LIMIT``, or after what the route allowed.

    FastAPI's own limit would replace every answer to a longer body, a 401 among them, by one without a code or correlation id.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state: dict[str, Any] = scope.setdefault("state", {})
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            limit = state.get(_ALLOWED, BODY_LIMIT)
            if size > limit:
                raise HTTPException(413, f"{too_large(limit)} Nothing was taken.")
            return message

        await self._app(scope, counted, send)
