"""Which values a dimension has here: a filter by another one is a slip of whoever asks, and would look like a figure of 0."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.reporting import coarse, registered
from services.reporting.domain import NOT_APPLICABLE, TOTAL, UNKNOWN
from services.reporting.partners import DETAIL
from services.reporting.questions import FIXED, NUMBERED, Question, UnknownQuestion

NAMED = 60
"""Values that a refusal names; of more it says where they are."""
_COUNTRIES = ("country", "host_country")
_CENTRES = ("sending_centre", "host_centre")
_OF_SCHEMES = ("occupation", "level")


async def check(session: AsyncSession, question: Question) -> None:
    """Raise ``UnknownQuestion`` for a filter by what there is not; whether there is another partner's detail is not told."""
    if question.as_of is not None:
        return  # what there was then may be gone by now
    for name, values in question.where:
        if name in FIXED or name in NUMBERED or (question.own is not None and name in DETAIL):
            continue
        asked = set(values) - {NOT_APPLICABLE, UNKNOWN, *([question.own] if name in _COUNTRIES else [])}
        if name == "cohort":
            found = set(
                await session.scalars(
                    text("SELECT cohort FROM cohorts WHERE cohort = ANY(:asked)"), {"asked": [*asked]}
                )
            )
            hint = "GET /v1/aggregates?by=cohort names them"
        elif asked:
            found = await known(session, name)
            hint = f"There are: {_listed(sorted(found))}"
        else:
            continue
        if not asked <= found:
            # The value itself is not repeated: it may be anything.
            raise UnknownQuestion("unknown_value", f"There is no such {name}. {hint}.")


async def known(session: AsyncSession, name: str) -> set[str]:
    """The values that were counted by a dimension other than the cohort, or were registered or announced to be."""
    grain = coarse.coarsest([name])
    counted = text(
        f"SELECT DISTINCT {name} FROM coarse_cubes WHERE grain = :grain UNION SELECT DISTINCT {name} FROM cube_tail"  # noqa: S608 (a dimension's name)
    )
    found = set(await session.scalars(counted, {"grain": grain}))
    return (found | await _registered(session, name)) - {NOT_APPLICABLE, TOTAL, UNKNOWN}


async def _registered(session: AsyncSession, name: str) -> set[str]:
    if name in _CENTRES:
        return {one.centre for one in await registered.of_kind(session, "centre")}
    if name == "scheme" or name in _OF_SCHEMES:
        schemes = await registered.of_kind(session, "scheme")
        if name == "scheme":
            return {one.scheme for one in schemes}
        return {getattr(one, name) for scheme in schemes for one in getattr(scheme, f"{name}s")}
    programmes = await registered.of_kind(session, "programme")
    if name in _COUNTRIES:
        return {country for one in programmes for country in one.countries}
    if name == "trade":
        announced = await session.scalars(
            text(
                "SELECT DISTINCT jsonb_array_elements_text(data -> 'trades') FROM cohorts WHERE data ->> 'status' <> 'void'"
            )
        )
        return {trade.trade for one in programmes for trade in one.trades} | set(announced)
    return {one.programme for one in programmes} if name == "programme" else set()


def _listed(values: Sequence[str]) -> str:
    named = ", ".join(values[:NAMED])
    return f"{named}, and {len(values) - NAMED} more (GET /v1/codes)" if len(values) > NAMED else named or "none yet"
