"""Which enrolments are one person's: by identifiers that they share, and by what people have decided.

Only under the publish lock: the persons of all cohorts hang together.
"""

from collections.abc import Collection, Iterable, Mapping
from secrets import token_hex
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.enrolment.domain import Identifier, Pair, links_of
from services.enrolment.facts import KEPT, MERGED, components
from services.enrolment.register import Register
from services.enrolment.tables import LinkRow
from shared.database import write
from shared.events.enrolment import TraineeFact, trainee_fact
from shared.events.facts import Fact
from shared.events.identity import office_of

IDENTIFIERS = f"NOT (starts_with(link, '{MERGED}') OR starts_with(link, '{KEPT}'))"
"""Links that follow from what is known of an enrolment."""
LINKING = """
    coalesce(data ->> 'country', enrolments.state ->> 'country') AS country,
    coalesce(data ->> 'sending_centre', enrolments.state ->> 'sending_centre') AS centre
"""
"""Of an event and its enrolment, if there is one: where its identifiers mean something."""
Two = tuple[str, str]
"""Two enrolments, the smaller first."""


class Links:
    """One transaction's view of who is who."""

    def __init__(self, session: AsyncSession, register: Register) -> None:
        self.session = session
        self._register = register

    async def link(
        self, changes: Mapping[str, tuple[frozenset[str], frozenset[str]]], pairs: Mapping[Two, Pair]
    ) -> dict[str, str]:
        """Give enrolments other identifiers (old, new), take up what was decided about two, and answer the person of everyone
        who is touched."""
        touched = {link for old, new in changes.values() for link in old | new}
        before = sorted(enrolment for enrolment, (old, _) in changes.items() if old)
        if before:
            await self.session.execute(
                text(f"DELETE FROM links WHERE enrolment = ANY(:enrolments) AND {IDENTIFIERS}"),  # noqa: S608
                {"enrolments": before},
            )
        rows = [
            {"enrolment": enrolment, "link": link} for enrolment, (_, new) in changes.items() for link in sorted(new)
        ]
        await write(self.session, LinkRow, rows)
        decided = await self._decide(pairs)
        if not changes and not decided:
            return {}
        # By a decision, an enrolment leads to others also when its own identifiers change.
        return await self._persons({*changes, *decided}, touched | await self._links_of({*changes, *decided}))

    async def keep(self, forgotten: Collection[str]) -> None:
        """Leave those linked to somebody who is about to be forgotten who share an identifier with them and are not: what
        linked them will match nothing any more."""
        rows = await self.session.execute(
            text(
                f"""
                SELECT array_agg(enrolment) AS sharing FROM links
                WHERE link IN (SELECT link FROM links WHERE enrolment = ANY(:forgotten)) AND {IDENTIFIERS}
                GROUP BY link HAVING NOT bool_and(enrolment = ANY(:forgotten))
                """  # noqa: S608
            ),
            {"forgotten": sorted(forgotten)},
        )
        kept = [(f"{KEPT}{token_hex(12)}", row.sharing) for row in rows]
        lines = [{"enrolment": enrolment, "link": link} for link, sharing in kept for enrolment in sharing]
        await write(self.session, LinkRow, lines)

    async def persons(self, enrolments: Collection[str]) -> dict[str, str]:
        """The person of these enrolments, and of all that their links lead to, by what links them now."""
        return await self._persons(enrolments, await self._links_of(enrolments))

    async def decided(self, pairs: Collection[Two]) -> dict[Two, Pair]:
        """What is held of people's decisions about these."""
        apart = await self._apart(_both(pairs))
        rows = await self.session.execute(
            text("SELECT DISTINCT link FROM links WHERE link = ANY(:links)"), {"links": [_merged(two) for two in pairs]}
        )
        merged = set(rows.scalars())
        return {two: Pair(_merged(two) in merged, two in apart) for two in pairs}

    async def persons_in(self, cohorts: Iterable[str]) -> dict[str, str]:
        """The person of every enrolment in these cohorts that is not void, as it is stored by now."""
        rows = await self.session.execute(
            text("SELECT enrolment, person FROM enrolments WHERE cohort = ANY(:cohorts) AND status <> 'void'"),
            {"cohorts": sorted(cohorts)},
        )
        return {row.enrolment: row.person for row in rows}

    async def change_persons(self, persons: Mapping[str, str], cause: str | None) -> list[Fact]:
        """Give enrolments of other cohorts another person; their facts anew, with nothing else changed."""
        if not persons:
            return []
        rows = await self.session.execute(
            text(
                """
                UPDATE enrolments SET person = said.person
                FROM unnest(CAST(:enrolments AS text[]), CAST(:persons AS text[])) AS said (enrolment, person), things
                WHERE enrolments.enrolment = said.enrolment AND enrolments.person <> said.person
                    AND enrolments.status <> 'void'
                    AND things.kind = 'trainee' AND things.key = said.enrolment
                RETURNING enrolments.person, things.body
                """
            ),
            {"enrolments": list(persons), "persons": list(persons.values())},
        )
        return [trainee_fact(TraineeFact.model_validate({**row.body, "person": row.person}), cause) for row in rows]

    async def _decide(self, pairs: Mapping[Two, Pair]) -> set[str]:
        """Take up the decisions that are not held so yet; the enrolments that they are about."""
        held = await self.decided(pairs) if pairs else {}
        changed = {two: pair for two, pair in pairs.items() if held[two] != pair}
        for (one, other), pair in changed.items():
            values = {"one": one, "other": other, "link": _merged((one, other))}
            await self.session.execute(text("DELETE FROM links WHERE link = :link"), values)
            await self.session.execute(text("DELETE FROM apart WHERE one = :one AND other = :other"), values)
            if pair.merged:
                await self.session.execute(
                    text("INSERT INTO links (enrolment, link) VALUES (:one, :link), (:other, :link)"), values
                )
            if pair.apart:
                await self.session.execute(text("INSERT INTO apart (one, other) VALUES (:one, :other)"), values)
        return _both(changed)

    async def _links_of(self, enrolments: Collection[str]) -> set[str]:
        if not enrolments:
            return set()
        rows = await self.session.execute(
            text("SELECT DISTINCT link FROM links WHERE enrolment = ANY(:enrolments)"),
            {"enrolments": sorted(enrolments)},
        )
        return set(rows.scalars())

    async def _persons(self, enrolments: Collection[str], links: Collection[str]) -> dict[str, str]:
        ask, asked = set(links), set[str]()
        found: set[tuple[str, str]] = set()
        while ask:
            asked |= ask
            rows = await self.session.execute(
                text(
                    """
                    SELECT enrolment, link FROM links WHERE enrolment IN (
                        SELECT enrolment FROM links WHERE link = ANY(:links)
                    )
                    """
                ),
                {"links": sorted(ask)},
            )
            found |= {(row.enrolment, row.link) for row in rows}
            ask = {link for _, link in found} - asked
        apart = await self._apart({enrolment for enrolment, _ in found})
        smallest = {**{enrolment: enrolment for enrolment in enrolments}, **components(found, apart)}
        return {enrolment: self._register.person(root) for enrolment, root in smallest.items()}

    async def _apart(self, enrolments: Collection[str]) -> frozenset[Two]:
        if len(enrolments) < 2:
            return frozenset()
        rows = await self.session.execute(
            text("SELECT one, other FROM apart WHERE one = ANY(:enrolments) AND other = ANY(:enrolments)"),
            {"enrolments": sorted(enrolments)},
        )
        return frozenset((row.one, row.other) for row in rows)


def tells_of(row: Any, links: Collection[str]) -> bool:
    """Whether an event names an identifier of the person with these links: a row with its source, particulars as ``said``, and
    LINKING."""
    known = [Identifier(*one) for one in (row.said or {}).get("identifiers") or ()]
    said = links_of(known, row.country or office_of(row.source)[0].upper(), row.centre or row.source)
    return not said.isdisjoint(links)


def _both(pairs: Iterable[Two]) -> set[str]:
    return {enrolment for two in pairs for enrolment in two}


def _merged(two: Two) -> str:
    return MERGED + "/".join(two)
