"""Who holds a certificate: the one thing that certification asks, when it writes a document or opens one.

The answer has the name only where the person's consent covers what it is asked for, and the key of the person's documents, which
is made from the key of their details: destroying that one closes every document. It goes out as the answer to one request, on a
subject that no stream captures, and is written down nowhere.
"""

import base64
import json
from collections.abc import Collection
from typing import Annotated, Any

from pydantic import BaseModel, Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.enrolment.details import Details, places, read_details
from services.enrolment.domain import Enrolment
from services.enrolment.keys import learn
from services.enrolment.register import MasterUnknown, Register
from shared.database import Database
from shared.events.codes import Code

DOCUMENTS = "documents"
"""The purpose of the key that is given out."""
LIMIT = 1000
ATTEMPTS = 3
BY_NAME = {"public"}
"""Purposes that a consent must name: one that names none is to everything but these."""


class Asked(BaseModel):
    """Of whom, and what the name would be for: a purpose of consent."""

    enrolments: Annotated[list[Code], Field(max_length=LIMIT)]
    purpose: Code


class Holders:
    """Answers requests for holders."""

    def __init__(self, database: Database, register: Register) -> None:
        self._database = database
        self._register = register

    async def answer(self, body: bytes) -> bytes:
        """By enrolment: status (known, forgotten, unknown), names (or null) and the documents' key in base64 (or null).

        Raises ValueError on what is no request.
        """
        asked = Asked.model_validate_json(body)

        async def work(session: AsyncSession) -> dict[str, dict[str, Any]]:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    return await self._holders(session, asked.enrolments, asked.purpose)
                except MasterUnknown:
                    if attempt == ATTEMPTS:
                        raise
                    await learn(session, self._register)
            raise AssertionError("unreachable")

        return json.dumps(await self._database.run(work), ensure_ascii=False).encode()

    async def _holders(
        self, session: AsyncSession, enrolments: Collection[str], purpose: str
    ) -> dict[str, dict[str, Any]]:
        forgotten = await session.execute(
            text("SELECT enrolment FROM forgotten WHERE enrolment = ANY(:enrolments)"), {"enrolments": list(enrolments)}
        )
        found: dict[str, dict[str, Any]] = {enrolment: _nobody("unknown") for enrolment in enrolments}
        found |= {enrolment: _nobody("forgotten") for enrolment in forgotten.scalars()}
        keys = await session.execute(
            text("SELECT owner, sealed FROM register_keys WHERE owner = ANY(:enrolments)"),
            {"enrolments": [enrolment for enrolment, one in found.items() if one["status"] == "unknown"]},
        )
        sealed = {row.owner: row.sealed for row in keys}
        known = {place.enrolment.enrolment: place.enrolment for place in await places(session, enrolments=sealed)}
        details = await read_details(session, self._register, known)
        for enrolment, key in sealed.items():
            said, held = details.get(enrolment), known.get(enrolment)
            names = said.names if said and held and _agreed(said, held, purpose) else None
            opened = self._register.key_for(key, enrolment, DOCUMENTS)
            found[enrolment] = {"status": "known", "names": names, "key": base64.b64encode(opened).decode()}
        return found


def _agreed(details: Details, enrolment: Enrolment, purpose: str) -> bool:
    """Whether the person has said that their name may be used for this, and has not taken it back."""
    if details.consent is None or purpose in enrolment.withheld:
        return False
    return purpose not in BY_NAME or purpose in details.consent.get("purposes", ())


def _nobody(status: str) -> dict[str, Any]:
    return {"status": status, "names": None, "key": None}
