"""What an administrator asks of the issuer: how far it is, and what to do with its keys."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from services.certification.issued import counts, documents_by_key
from services.certification.issuer import Issuer
from services.certification.issuer_keys import IssuerKeys, NoSuchKey, every_key, name_of
from services.certification.operator import Operator
from services.certification.tables import IssuerKeyRow
from shared.audit import Act, Audit
from shared.database import Database
from shared.http import Problem
from shared.offices import Caller, Doorkeeper
from shared.openapi import refusals


class KeyLine(BaseModel):
    """A key that signs, or did."""

    key: int
    name: str
    made: datetime
    retired: datetime | None
    compromised: datetime | None
    documents: int
    """What is public and signed with it."""


class IssuerState(BaseModel):
    """Who attests, with which keys, and how far it is."""

    issuer: str | None
    """Its identifier; null while no public address is set, and nothing is issued."""
    name: str | None
    attested: dict[str, int]
    """What is public, by standing."""
    waiting: int
    """Certificates that the issuer has to look at."""
    problem: str | None
    """Why some of them wait."""
    keys: list[KeyLine]


class Rotated(BaseModel):
    """What signs from now on, and how many documents are being signed anew."""

    key: str
    signed_anew: int


def routes(
    database: Database,
    door: Doorkeeper,
    audit: Audit,
    operator: Operator | None,
    keys: IssuerKeys,
    issuer: Issuer | None,
) -> APIRouter:
    """The addresses below /v1/issuer."""

    router = APIRouter(prefix="/v1/issuer", dependencies=[Depends(door.administrator)], responses=refusals(403))
    Administrator = Annotated[Caller, Depends(door.administrator)]  # noqa: N806 - a type

    @router.get("")
    async def state() -> IssuerState:
        """Who attests, with which keys, and how many certificates wait for it."""
        async with database.transaction() as session:
            attested, waiting = await counts(session)
            signed = await documents_by_key(session)
            lines = [_line(row, signed.get(row.id, 0)) for row in await every_key(session)]
        return IssuerState(
            issuer=operator.did if operator else None,
            name=operator.name if operator else None,
            attested=attested,
            waiting=waiting,
            problem=issuer.progress.problem if issuer else "SAMPAN_PUBLIC_URL is not set: nothing is issued",
            keys=lines,
        )

    @router.post("/keys/rotate", responses=refusals(409))
    async def rotate(caller: Administrator) -> Rotated:
        """Make a new key that signs from now on. What the one before it signed stays good."""
        _must_issue(operator)

        async def work(session: AsyncSession) -> Rotated:
            key = await keys.rotate(session, datetime.now(UTC))
            await audit.record(session, Act(caller, "issuer.rotated", key.name))
            return Rotated(key=key.name, signed_anew=0)

        return await _and_wake(await database.run(work))

    @router.post("/keys/{key}/compromised", responses=refusals(409))
    async def compromised(key: Annotated[int, Path(ge=1, le=10**6)], caller: Administrator) -> Rotated:
        """Give up a key that somebody else may have: nothing that it signed is good any more, and all of it is signed anew."""
        _must_issue(operator)

        async def work(session: AsyncSession) -> Rotated:
            current, number = await keys.compromise(session, key, datetime.now(UTC))
            await audit.record(session, Act(caller, "issuer.compromised", name_of(key), number=number))
            return Rotated(key=current.name, signed_anew=number)

        try:
            return await _and_wake(await database.run(work))
        except NoSuchKey:
            raise Problem(
                404,
                "not_found",
                f"There is no key {key} (any more): `sampan issuer status` lists those that there are.",
            ) from None

    async def _and_wake(rotated: Rotated) -> Rotated:
        if issuer is not None:
            issuer.wake()
        return rotated

    return router


def _line(row: IssuerKeyRow, documents: int) -> KeyLine:
    return KeyLine(
        key=row.id,
        name=name_of(row.id),
        made=row.made,
        retired=row.retired,
        compromised=row.compromised,
        documents=documents,
    )


def _must_issue(operator: Operator | None) -> None:
    if operator is None:
        raise Problem(
            409, "nothing_issued", "Nothing is issued until SAMPAN_PUBLIC_URL is set, so there is no key to change."
        )
