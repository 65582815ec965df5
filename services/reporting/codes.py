"""What the codes in answers mean, in the five languages: programmes, centres, trades, and schemes with occupations and levels."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.reporting import registered
from services.reporting.domain import NOT_APPLICABLE, UNKNOWN
from shared.events.certification import SchemeFact
from shared.events.enrolment import CentreFact, ProgrammeFact
from shared.pages.languages import LANGUAGES, language

KINDS = ("programmes", "centres", "trades", "schemes")
_DIMENSIONS: Mapping[str, str] = {
    "programme": "programmes",
    "sending_centre": "centres",
    "host_centre": "centres",
    "trade": "trades",
    "scheme": "schemes",
}
"""Which codes a dimension's values are."""
_OF_SCHEMES = ("occupation", "level")
_COUNTRIES = ("country", "host_country")


class Coded(BaseModel):
    """One code. ``titles`` has all five languages; those in ``lacking`` nobody wrote, and they say it as best it can be said.

    ``isco`` is the code of ISCO-08, ``iscedf`` that of the field in ISCED-F 2013.
    """

    code: str
    titles: dict[str, str]
    lacking: list[str] = []
    country: str | None = None
    isco: str | None = None
    iscedf: str | None = None


class Scheme(Coded):
    """A certification scheme, with its own codes of occupations and levels (by name, in rising order)."""

    occupations: list[Coded]
    levels: list[Coded]


class Codes(BaseModel):
    """Every code that can be a value in an answer, in the order of the codes."""

    programmes: list[Coded] = []
    centres: list[Coded] = []
    trades: list[Coded] = []
    schemes: list[Scheme] = []


async def codes(session: AsyncSession) -> Codes:
    """All of them; a centre or trade that nobody registered is there with its code for a title."""
    known = await _registered(session)
    known.centres = _with_others(known.centres, await _used(session, "sending_centre", "host_centre"))
    known.trades = _with_others(known.trades, await _used(session, "trade"))
    return known


async def behind(session: AsyncSession, dimensions: Iterable[str]) -> Codes:
    """All of them, if any of the dimensions has values that one of them is about."""
    return Codes() if {*_DIMENSIONS, *_OF_SCHEMES}.isdisjoint(dimensions) else await codes(session)


def titles(found: Codes, dimensions: Iterable[str], tag: str) -> dict[str, dict[str, str]]:
    """By dimension, of those whose values have titles, and code: the title in one language."""
    said: dict[str, dict[str, str]] = {}
    for name in dimensions:
        if kind := _DIMENSIONS.get(name):
            said[name] = _titles(getattr(found, kind), tag)
        elif name in _OF_SCHEMES:
            said[name] = _titles([one for scheme in found.schemes for one in getattr(scheme, f"{name}s")], tag)
        elif name in _COUNTRIES:
            said[name] = dict(language(tag).locale.territories)
    return said


async def names(session: AsyncSession, tag: str) -> dict[str, dict[str, str]]:
    """By dimension and code, what registered things are called in one language; without a look at the cube, for pages."""
    return titles(await _registered(session), (*_DIMENSIONS, *_OF_SCHEMES), tag)


async def _registered(session: AsyncSession) -> Codes:
    programmes: list[ProgrammeFact] = await registered.of_kind(session, "programme")
    centres: list[CentreFact] = await registered.of_kind(session, "centre")
    schemes: list[SchemeFact] = await registered.of_kind(session, "scheme")
    trades = {trade.trade: trade for programme in programmes for trade in programme.trades}
    return Codes(
        programmes=[_coded(one.programme, one.titles) for one in programmes],
        centres=[_coded(one.centre, one.names, country=one.country) for one in centres],
        trades=[_coded(one.trade, one.titles, isco=one.isco, iscedf=one.iscedf) for one in trades.values()],
        schemes=[_scheme(one) for one in schemes],
    )


def _titles(found: Iterable[Coded], tag: str) -> dict[str, str]:
    return {one.code: one.titles[tag] for one in found}


def _scheme(fact: SchemeFact) -> Scheme:
    return Scheme(
        **_coded(fact.scheme, fact.titles).model_dump(),
        occupations=[_coded(one.occupation, one.titles, isco=one.isco, iscedf=one.iscedf) for one in fact.occupations],
        levels=[_coded(one.level, one.titles) for one in fact.levels],
    )


def _coded(code: str, written: Mapping[str, str], **more: Any) -> Coded:
    titles = {tag: language(tag).title(written) for tag in LANGUAGES}
    lacking = [tag for tag, (found, _) in titles.items() if found.partition("-")[0] != tag.partition("-")[0]]
    return Coded(code=code, titles={tag: text for tag, (_, text) in titles.items()}, lacking=lacking, **more)


def _with_others(known: list[Coded], used: set[str]) -> list[Coded]:
    others = used - {one.code for one in known} - {NOT_APPLICABLE, UNKNOWN}
    bare = [
        Coded(code=code, titles=dict.fromkeys(LANGUAGES, code.replace("-", " ")), lacking=[*LANGUAGES])
        for code in others
    ]
    return sorted([*known, *bare], key=lambda one: one.code)


async def _used(session: AsyncSession, *columns: str) -> set[str]:
    """The values that the cube has of these dimensions."""
    found: set[str] = set()
    for column in columns:
        # `column` is one of the names above, never a user's word.
        rows = await session.scalars(
            text(f"SELECT DISTINCT {column} FROM cube WHERE measure IN ('places', 'enrolled', 'proposed')")  # noqa: S608
        )
        found.update(rows)
    return found
