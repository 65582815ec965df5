"""Asking whether a file is true: for programs without a verifier of their own, and without a token."""

from datetime import datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel

from services.certification.judging import LARGEST_FILE, Busy, Judging
from shared.bodies import whole
from shared.http import RETRY_AFTER_SECONDS, Problem
from shared.openapi import OPEN, refusals
from shared.vc.verdict import Word
from shared.visitors import Visitors

_FILE: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}
_KINDS: Final = ("application/octet-stream", "application/vc", "application/vc+jwt", "application/pdf", "image/png")
_BODY: Final[dict[str, Any]] = {
    "required": True,
    "description": f"The file as it is: JSON, a JWT, or a PDF or PNG with one of them inside; at most {LARGEST_FILE:,} bytes.",
    "content": dict.fromkeys(_KINDS, _FILE),
}


class Judged(BaseModel):
    """What is to be believed of a file."""

    verdict: Word
    reason: str
    """For a person: why, and what to do."""
    known_at: datetime | None
    """The moment for which its standing is known."""
    credential: str | None
    """The document's own address, where its signature is good."""
    made_anew: bool = False
    """Whether the certificate's document was made anew since, and says something else by now: ask the holder for that one."""


def routes(judging: Judging | None, visitors: Visitors) -> APIRouter:
    """The one address. Without an operator's address it says that nothing is issued here."""
    router = APIRouter()

    @router.post("/v1/verify", responses=refusals(404, 413, 429, 503), openapi_extra={**OPEN, "requestBody": _BODY})
    async def verify(request: Request) -> Judged:
        """Judge a file that somebody was shown, against this installation's keys and lists. Nothing of it is kept."""
        await visitors.open(request)
        if judging is None:
            raise Problem(404, "nothing_issued", "This installation issues nothing: its public address is not set.")
        refusal = Problem(413, "file_too_large", f"A certificate's file has at most {LARGEST_FILE:,} bytes.")
        content = await whole(request, LARGEST_FILE, refusal)
        try:
            found = await judging.verdict(content)
        except Busy:
            raise Problem(
                503,
                "not_now",
                "Many files are being judged. Try again in a few seconds.",
                {"Retry-After": str(RETRY_AFTER_SECONDS)},
            ) from None
        address = found.document.get("id") if found.document else None
        return Judged(
            verdict=found.word,
            reason=found.sentence,
            known_at=found.known_at,
            credential=address if isinstance(address, str) else None,
            made_anew=await judging.made_anew(content, found),
        )

    return router
