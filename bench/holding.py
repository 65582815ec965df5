"""What the program holds after a run, for the judge: its journals, its certificates, its reports, and every cell of its cube."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg

from bench.judge import MEASURES, Held
from bench.program import Program, database_url
from bench.recount import recount
from services.reporting.domain import DIMENSIONS

Place = tuple[str, ...]
"""A measure, and a value of each dimension."""

_JOURNAL = "SELECT source, id FROM enrolment.events UNION ALL SELECT source, id FROM certification.events"
# Of an award's editions the first says when it was awarded, the last its number; a second one that is issued is one too many.
_CERTIFICATES = """
    SELECT cohort, data ->> 'trainee', scheme, data ->> 'occupation', data ->> 'level', min(data ->> 'awarded_on'),
        (array_agg(data ->> 'number' ORDER BY (data ->> 'edition')::int DESC))[1], count(*) FILTER (WHERE status = 'issued')
    FROM certification.certificates WHERE data ->> 'awarded_on' IS NOT NULL GROUP BY 1, 2, 3, 4, 5
"""


def held(program: Program) -> Held:
    """Journals and certificates from the database, aggregates as they are served over HTTP."""

    async def read() -> tuple[Counter[Any], Counter[Any]]:
        database = await asyncpg.connect(database_url(program.sampan))
        journal = Counter([tuple(row) for row in await database.fetch(_JOURNAL)])
        certificates = Counter({tuple(row): times for *row, times in await database.fetch(_CERTIFICATES)})
        await database.close()
        return journal, certificates

    journal, certificates = asyncio.run(read())
    return Held(journal, certificates, _served(program))


def other_cells(program: Program, taken: Path) -> list[str]:
    """The cells of the cube, by all measures and dimensions, that DuckDB counts otherwise from the events in ``taken``."""
    dimensions = tuple(DIMENSIONS)

    async def read() -> list[Any]:
        database = await asyncpg.connect(database_url(program.sampan))
        names = ", ".join(f'"{name}"' for name in ("measure", *dimensions))
        rows = await database.fetch(f"SELECT {names}, value FROM reporting.cube")  # noqa: S608
        await database.close()
        return list(rows)

    there: Counter[Place] = Counter()
    for *place, value in asyncio.run(read()):
        there[tuple(place)] += value
    return differing_cells(recount(taken, dimensions), there)


def differing_cells(counted: Counter[Place], there: Counter[Place]) -> list[str]:
    """Those of either: a measure that DuckDB counts nothing of must have no cell but of 0. None is left out."""
    return [
        f"cube: {place} is {there[place]}, and must be {counted[place]}"
        for place in sorted({*counted, *there})
        if counted[place] != there[place]
    ]


def _served(program: Program) -> Counter[Any]:
    found: Counter[Any] = Counter()
    for measure in MEASURES:
        asked = [("by", "month,country,cohort"), ("measure", measure)]
        for row in program.client.get("reporting", "/v1/aggregates", asked)["rows"]:
            if int(row[measure]):
                found[measure, row["month"], row["country"], row["cohort"]] += int(row[measure])
    return found
