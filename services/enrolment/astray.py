"""What tells of somebody though it stands under a number that is not theirs: a slip that an office took back, a place that was
another's, a cohort that was never announced. It is told by their identifiers, as links are.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.enrolment.domain import Ref
from services.enrolment.links import LINKING, tells_of
from services.enrolment.store import ENROLMENT
from services.enrolment.tables import UNSETTLED
from shared.events.identity import office_of


@dataclass(frozen=True, slots=True)
class Astray:
    """Events that have not applied, by unit, and enrolments that are void."""

    events: dict[Ref, str]
    void: frozenset[str]
    owners: frozenset[str]
    """The enrolments under whose keys they are sealed."""

    @property
    def cohorts(self) -> set[str]:
        """The cohorts that are folded with these events."""
        return {unit.removeprefix("cohort/") for unit in self.events.values() if unit.startswith("cohort/")}


async def find_astray(session: AsyncSession, source: str, links: Collection[str], own: Collection[str]) -> Astray:
    """What tells of the person with these links, though in none of their own enrolments, and for which this office may speak.

    Only what has not applied: what has is the record of whoever has the number. What another country said is its own to forget.
    """
    asked = {"hashes": sorted({link.rpartition("/")[2] for link in links}), "own": sorted(own)}
    country = office_of(source)[0]
    rows = await session.execute(
        text(
            f"""
            SELECT source, id, unit, enrolment, events.person AS said, {LINKING}
            FROM (SELECT * FROM events WHERE {UNSETTLED}) AS events LEFT JOIN enrolments USING (enrolment)
            WHERE events.person IS NOT NULL AND (events.status, code) <> ('accepted', 'applied')
                AND enrolment <> ALL(:own) AND EXISTS (
                    SELECT FROM jsonb_array_elements(events.person -> 'identifiers') AS known WHERE known ->> 2 = ANY(:hashes)
                )
            """  # noqa: S608 (constants)
        ),
        asked,
    )
    events = [row for row in rows if office_of(row.source)[0] == country and tells_of(row, links)]
    states = await session.execute(
        text(
            """
            SELECT enrolment, CAST(state AS text) AS state FROM enrolments
            WHERE status = 'void' AND enrolment <> ALL(:own) AND EXISTS (
                SELECT FROM jsonb_array_elements(state -> 'identifiers') AS known WHERE known ->> 'hash' = ANY(:hashes)
            )
            """
        ),
        asked,
    )
    places = [ENROLMENT.validate_json(row.state) for row in states]
    void = frozenset(
        place.enrolment
        for place in places
        if place.links & set(links) and (place.country.lower() == country or place.said_by == source)
    )
    return Astray({(row.source, row.id): row.unit for row in events}, void, void | {row.enrolment for row in events})


async def destroy_astray(session: AsyncSession, astray: Astray) -> None:
    """Delete what is sealed of it. The key stays if the number is somebody's: whatever is sealed of them needs it."""
    refs: Sequence[Ref] = list(astray.events)
    values = {
        "sources": [source for source, _ in refs],
        "ids": [id_ for _, id_ in refs],
        "void": sorted(astray.void),
        "owners": sorted(astray.owners),
    }
    for statement in _DESTROY:
        await session.execute(text(statement), {name: values[name] for name in values if f":{name}" in statement})


_DESTROY = (
    "DELETE FROM register_entries AS entries USING unnest(CAST(:sources AS text[]), CAST(:ids AS text[])) AS said (source, id) "
    "WHERE (entries.source, entries.id) = (said.source, said.id)",
    "UPDATE enrolments SET sealed = NULL, state = state || '{\"identifiers\": []}' WHERE enrolment = ANY(:void)",
    "DELETE FROM register_keys AS keys WHERE owner = ANY(:owners) "
    "AND NOT EXISTS (SELECT FROM register_entries AS entries WHERE entries.owner = keys.owner) "
    "AND NOT EXISTS (SELECT FROM reused_ids AS reused WHERE reused.owner = keys.owner) "
    "AND NOT EXISTS (SELECT FROM enrolments WHERE enrolment = keys.owner AND (status <> 'void' OR sealed IS NOT NULL))",
)
