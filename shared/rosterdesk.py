"""What a service brings to take its sheets of rosters, whose roster it is, and which sheets are left alone."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from shared.database import Database
from shared.events.receipts import Receipt
from shared.events.wire import Raw
from shared.offices import Caller, Doorkeeper
from shared.rosters.answers import LeftSheet, MissingRow, RowAnswer
from shared.rosters.books import Found
from shared.rosters.columns import KINDS, Kind
from shared.rosters.recognised import Said
from shared.rosters.rows import Key
from shared.rosters.statements import Keyed
from shared.rosters.workbooks import OUR_OWN

T = TypeVar("T")


class Begin(BaseModel):
    """How many rows there are to take: for who shows how far it is."""

    total: int


Line = Begin | RowAnswer | MissingRow | LeftSheet


class Takes(Protocol):
    """A service's handlers, in a transaction that is not theirs."""

    async def take_within(
        self, session: AsyncSession, raws: Sequence[Raw], caller: Caller, *, publishing: bool, telling: bool = False
    ) -> Sequence[Receipt]: ...

    async def run(self, work: Callable[[AsyncSession], Awaitable[T]]) -> T: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What a service brings to take its sheets: who may say what, where the other sheets go, and its own journal."""

    service: str
    roles: Mapping[Kind, frozenset[str]]
    elsewhere: str
    database: Database
    door: Doorkeeper
    table: type[SQLModel]
    handlers: Takes
    keyed: Keyed
    signers: Callable[[AsyncSession, Collection[str]], Awaitable[Mapping[str, Caller]]]
    """The officers whose keys these are, if they are good now."""
    sentence: Callable[[str], str]
    said: Callable[[AsyncSession, str, Collection[Key]], Awaitable[Mapping[Key, Sequence[Said]]]]
    """What is in force of an office's events that these rows are about, in the order in which they count."""
    forgotten: Callable[[AsyncSession, Collection[Key]], Awaitable[Collection[Key]]] | None = None
    """Of these rows those whose trainee was forgotten; None where rows tell of nobody's details."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose roster it is, who hands it in, how it is to be taken. Without ``sheets`` all that the office may say are taken."""

    source: str
    caller: Caller
    accepted: frozenset[str] = frozenset()
    sheets: tuple[Kind, ...] = ()
    dry_run: bool = False
    signed: datetime | None = None
    """When the office signed it, if it came in a bundle: what the office has said since stands."""


def left_alone(desk: Desk, asked: Asked, sheet: Found) -> LeftSheet | None:
    """Why a sheet is left alone, if it is."""
    if sheet.kind is None:
        if sheet.name in OUR_OWN:
            return None
        names = ", ".join(KINDS)
        return LeftSheet(
            sheet=sheet.name,
            code="sheet_unknown",
            sentence=f"Left alone: neither its name nor its columns are those of {names}.",
        )
    if sheet.kind not in desk.roles:
        return LeftSheet(
            sheet=sheet.name,
            code="wrong_service",
            sentence=f"Left alone here: it is taken at {desk.elsewhere}/v1/rosters. `sampan post` sends each to its place.",
        )
    if asked.sheets and sheet.kind not in asked.sheets:
        return LeftSheet(sheet=sheet.name, code="not_asked", sentence="Left alone: other sheets were asked for.")
    may = asked.caller.administrator or asked.caller.roles & desk.roles[sheet.kind]
    if not may and not asked.sheets:
        return LeftSheet(
            sheet=sheet.name,
            code="role_not_allowed",
            sentence="Left alone: this sheet is for an office that is registered as "
            f"{' or '.join(sorted(desk.roles[sheet.kind]))}.",
        )
    return None
