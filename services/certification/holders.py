"""Who holds a certificate, asked of enrolment: names live there and nowhere else. Nothing of an answer is stored or logged."""

import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from shared.secrets import seal, unseal

CERTIFICATION: Final = "certification"
"""The purpose of consent under which a document names its holder."""
TRAINING: Final = "training"
"""The purpose under which whoever hosts the course is told their name."""
PUBLIC: Final = "public"
"""The purpose under which a page that anybody may open does."""
LIMIT = 500


class HolderNames(BaseModel):
    """A name as its owner writes it, and in Latin letters."""

    model_config = ConfigDict(frozen=True)

    original: str
    language: str | None = None
    romanised: str


class _Answer(BaseModel):
    status: Literal["known", "forgotten", "unknown"]
    names: HolderNames | None
    key: str | None


_ANSWERS = TypeAdapter(dict[str, _Answer])


@dataclass(frozen=True, slots=True, repr=False)
class Holder:
    """What enrolment answers: ``names`` where consent covers the purpose, ``key`` as long as the person is not forgotten."""

    status: Literal["known", "forgotten", "unknown"]
    names: HolderNames | None = None
    key: bytes | None = None

    def digest(self) -> bytes:
        """Tells whether a name has changed, and nothing to whoever has not the person's key."""
        assert self.key is not None
        names = "" if self.names is None else self.names.model_dump_json()
        return hmac.digest(self.key, b"names " + names.encode(), hashlib.sha256)

    def seal(self, document: bytes, public_id: str) -> bytes:
        """Encrypt a document of this person."""
        assert self.key is not None
        return seal(self.key, document, public_id.encode())

    def unseal(self, sealed: bytes, public_id: str) -> bytes:
        """Decrypt what ``seal`` made. Raises InvalidTag."""
        assert self.key is not None
        return unseal(self.key, sealed, public_id.encode())


class Holders:
    """Asks enrolment."""

    def __init__(self, asking: Callable[[bytes], Awaitable[bytes]]) -> None:
        """``asking`` brings a request to enrolment and its answer back; it raises ConnectionError."""
        self._asking = asking

    async def ask(self, enrolments: Collection[str], purpose: str) -> Mapping[str, Holder]:
        """The holders, by enrolment. Raises ConnectionError."""
        found: dict[str, Holder] = {}
        wanted = sorted(set(enrolments))
        for first in range(0, len(wanted), LIMIT):
            asked = {"enrolments": wanted[first : first + LIMIT], "purpose": purpose}
            body = await self._asking(json.dumps(asked).encode())
            try:
                answers = _ANSWERS.validate_json(body)
            except ValidationError:
                raise ConnectionError("enrolment's answer cannot be read") from None
            found |= {enrolment: _holder(answer) for enrolment, answer in answers.items()}
        return {enrolment: found.get(enrolment, Holder("unknown")) for enrolment in wanted}

    async def one(self, enrolment: str, purpose: str) -> Holder:
        """One holder. Raises ConnectionError."""
        return (await self.ask([enrolment], purpose))[enrolment]


def _holder(answer: _Answer) -> Holder:
    return Holder(answer.status, answer.names, base64.b64decode(answer.key) if answer.key else None)
