"""HTTP to the registry: offices, their officers, tokens and credentials."""

import json
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import AfterValidator, BaseModel, Field, ValidationError
from pydantic_core import PydanticCustomError

from services.enrolment import queries
from services.enrolment.admissions import Admissions
from services.enrolment.queries import OfficeAnswer
from services.enrolment.registry import TOKENS_LIMIT, Registry, TooManyTokens
from shared.bodies import whole
from shared.database import Database
from shared.events.codes import CODE_PATTERN, ISO_COUNTRIES, Code, Role, Source, Text
from shared.events.identity import office_of
from shared.http import Problem
from shared.lists import Page, Paged
from shared.offices import Caller, Doorkeeper
from shared.openapi import refusals
from shared.rights import inbox_prefix, office_durable

Named = Annotated[str, Path(pattern=CODE_PATTERN)]
OFFICE_LIMIT = 16_384
"""Bytes in the description of an office."""


def _of_a_country(office: str) -> str:
    if office_of(office)[0].upper() not in ISO_COUNTRIES:
        raise PydanticCustomError("unknown_country", "begins with no ISO 3166-1 alpha-2 country code, such as kh")
    return office


class NewOffice(BaseModel):
    """An office to register, or one more officer of it."""

    office: Annotated[Source, AfterValidator(_of_a_country)]
    name: Text
    roles: Annotated[list[Role], Field(min_length=1)]
    officer: Code
    expires_days: Annotated[int, Field(ge=1, le=3650)] = 365


_OFFICE_BODY = {
    "required": True,
    "description": f"At most {OFFICE_LIMIT:,} bytes.",
    "content": {"application/json": {"schema": NewOffice.model_json_schema()}},
}


class ForNats(BaseModel):
    """How the officer reaches the broker, with credentials that are told this once and hold as long as the token."""

    url: str
    credentials: str
    """The text of a NATS credentials file."""
    inbox_prefix: str
    durable: str
    """Of the stream RECEIPTS: what was read stays read, also after an absence."""


class NewToken(BaseModel):
    """An officer's token, told this once, and until when it holds."""

    office: str
    officer: str
    token: str
    expires: datetime
    nats: ForNats


class RotatedToken(BaseModel):
    """An officer's new token, told this once; ``others_end`` is until when the officer's older ones are good."""

    office: str
    officer: str
    token: str
    expires: datetime
    others_end: datetime


class NewCredentials(BaseModel):
    """An officer's new credentials for the broker, told this once."""

    office: str
    officer: str
    expires: datetime
    nats: ForNats


Days = Annotated[int, Query(ge=1, le=3650, description="Days until it expires.")]
Overlap = Annotated[int, Query(ge=0, le=168, description="Hours for which older tokens stay good.")]


def routes(
    registry: Registry, admissions: Admissions, database: Database, door: Doorkeeper, nats_url: str
) -> APIRouter:
    """The addresses about offices; ``nats_url`` is the one that offices are told."""
    router = APIRouter()

    @router.post(
        "/v1/offices",
        status_code=201,
        responses=refusals(400, 403, 409, 413),
        openapi_extra={"requestBody": _OFFICE_BODY},
    )
    async def register_office(request: Request, caller: Annotated[Caller, Depends(door.administrator)]) -> NewToken:
        """Register an office or one more officer of it. Token and credentials in the answer are never told again."""
        new = await _new_office(request)
        try:
            given = await registry.register(new.office, new.name, new.roles, new.officer, new.expires_days, by=caller)
        except TooManyTokens:
            raise _too_many_tokens(new.officer) from None
        admissions.wake()
        nats = _for_nats(nats_url, new.office, given.nats_credentials)
        return NewToken(office=new.office, officer=new.officer, token=given.token, expires=given.expires, nats=nats)

    @router.get("/v1/offices", dependencies=[Depends(door.administrator)], responses=refusals(403))
    async def offices(paging: Paged) -> Page[OfficeAnswer]:
        """All offices, their roles and officers."""
        async with database.transaction() as session:
            return await queries.offices(session, paging)

    @router.delete(
        "/v1/offices/{country}/{office}",
        status_code=204,
        responses=refusals(403),
    )
    async def revoke_office(
        country: Named, office: Named, caller: Annotated[Caller, Depends(door.administrator)]
    ) -> None:
        """Take every token and NATS user from an office."""
        if not await registry.revoke(f"/offices/{country}/{office}", by=caller):
            raise Problem(404, "not_found", "There is no such office.")
        admissions.wake()

    @router.delete("/v1/offices/{country}/{office}/officers/{officer}", status_code=204, responses=refusals(403))
    async def revoke_officer(
        country: Named, office: Named, officer: Named, caller: Annotated[Caller, Depends(door.administrator)]
    ) -> None:
        """Take every token and NATS user from one officer; the office's other officers keep theirs."""
        if not await registry.revoke_officer(f"/offices/{country}/{office}", officer, by=caller):
            raise _no_such_officer()
        admissions.wake()

    @router.post(
        "/v1/offices/{country}/{office}/officers/{officer}/rotate", status_code=201, responses=refusals(403, 409)
    )
    async def rotate_token(
        country: Named,
        office: Named,
        officer: Named,
        caller: Annotated[Caller, Depends(door.administrator)],
        overlap_hours: Overlap = 24,
        expires_days: Days = 365,
    ) -> RotatedToken:
        """A new token for an officer, good at once; the officer's older ones end after the overlap."""
        return await _rotated(registry, f"/offices/{country}/{office}", officer, overlap_hours, expires_days, caller)

    @router.post("/v1/tokens/rotate", status_code=201, responses=refusals(403, 409))
    async def rotate_own_token(
        caller: Annotated[Caller, Depends(door.open)],
        overlap_hours: Overlap = 24,
        expires_days: Annotated[int, Query(ge=1, le=365, description="Days until it expires.")] = 365,
    ) -> RotatedToken:
        """A new token for the officer who asks, good at once; the officer's older ones end after the overlap."""
        if caller.source is None:
            raise Problem(
                403, "no_office", "The administrator's token is changed on the machine: see docs/operations.md."
            )
        return await _rotated(registry, caller.source, caller.officer, overlap_hours, expires_days, caller)

    @router.post(
        "/v1/offices/{country}/{office}/officers/{officer}/credentials", status_code=201, responses=refusals(403)
    )
    async def make_credentials(
        country: Named,
        office: Named,
        officer: Named,
        caller: Annotated[Caller, Depends(door.administrator)],
        expires_days: Days = 365,
    ) -> NewCredentials:
        """NATS credentials for an officer. They are never told again; older ones stay good until they expire or are revoked."""
        source = f"/offices/{country}/{office}"
        given = await registry.credentials(source, officer, expires_days, by=caller)
        if given is None:
            raise Problem(404, "not_found", "There is no such office, or it is revoked.")
        admissions.wake()
        nats = _for_nats(nats_url, source, given.nats_credentials)
        return NewCredentials(office=source, officer=officer, expires=given.expires, nats=nats)

    return router


async def _rotated(
    registry: Registry, office: str, officer: str, overlap_hours: int, expires_days: int, caller: Caller
) -> RotatedToken:
    overlap = timedelta(hours=overlap_hours)
    try:
        given = await registry.rotate(office, officer, overlap=overlap, expires_days=expires_days, by=caller)
    except TooManyTokens:
        raise _too_many_tokens(officer) from None
    if given is None:
        raise _no_such_officer()
    return RotatedToken(office=office, officer=officer, **given._asdict())


def _too_many_tokens(officer: str) -> Problem:
    return Problem(
        409,
        "too_many_tokens",
        f"{officer} holds {TOKENS_LIMIT} tokens that are good. Wait until some have ended, or revoke the officer's.",
    )


def _for_nats(url: str, office: str, credentials: str) -> ForNats:
    durable = office_durable(*office_of(office))
    return ForNats(url=url, credentials=credentials, inbox_prefix=inbox_prefix(durable), durable=durable)


def _no_such_officer() -> Problem:
    return Problem(404, "not_found", "This office has no such officer with a token.")


async def _new_office(request: Request) -> NewOffice:
    """The body by our own rules: FastAPI's answers would differ from ours in form."""
    refusal = Problem(413, "body_too_large", f"The body is larger than {OFFICE_LIMIT} bytes.")
    body = await whole(request, OFFICE_LIMIT, refusal)
    try:
        return NewOffice.model_validate(json.loads(body))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise Problem(400, "invalid_office", f"{where}: {first['msg']}.") from None
    except (ValueError, RecursionError):
        raise Problem(400, "invalid_json", "The body is not JSON.") from None
