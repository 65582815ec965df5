"""Reading figures: the same questions with ten thousand enrolments and with a hundred times as many, in as many more cohorts.

Rows are made up and counted by the rules of reporting, a few cohorts at a time, straight into the cube; what is measured is
reporting's own HTTP, in a process of its own, on the embedded PostgreSQL.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from sqlalchemy import text

from bench.program import database_url, ports
from services.reporting import coarse
from services.reporting.domain import Cell, Rows, Scope, count
from services.reporting.projection import key_of
from services.standalone import Standalone
from shared.database import Database
from shared.events.certification import CertificateFact
from shared.events.enrolment import CohortFact, OutcomeState, TraineeFact

IN_A_COHORT = 100
QUESTIONS = {
    "all counts": "",
    "by country": "by=country",
    "by month and sex": "by=month,sex&measure=enrolled,completed,certified",
    "by trade, half a year": "by=trade&country=KH&from=2024-01&to=2024-06&measure=enrolled,started,completed",
    "rates by end month": "by=end_month&measure=completion_rate,womens_share,certification_rate",
    "rates by trade, half a year": "by=trade&from=2024-01&to=2024-06&measure=completion_rate,pass_rate",
    "by scheme and level": "by=scheme,level&measure=assessed,passed,certified",
    "by sending centre": "by=sending_centre&measure=enrolled,certified",
    "by age and disability": "by=age_band,disability&measure=enrolled,completed",
    "response at six months": "measure=response_rate_6,employment_rate_6&by=country",
    "people by programme and country": "by=programme,country&measure=people",
}
WARM, SAMPLES = 5, 60


def reads(sizes: list[int]) -> dict[str, Any]:
    """Milliseconds of each question at each size (p50, p99), and the largest size's medians as ratios of the smallest's."""
    taken: dict[int, dict[str, Any]] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="sampan-bench-") as folder, Standalone(Path(folder), ports()) as sampan:
            sys.stderr.write(f"filling the cube with {size} enrolments\n")
            cells = asyncio.run(_fill(sampan, size))
            taken[size] = {"cells": cells, **asyncio.run(_ask(sampan))}
    least, most = taken[min(sizes)], taken[max(sizes)]
    ratios = {name: round(most["ms"][name]["p50"] / least["ms"][name]["p50"], 2) for name in QUESTIONS}
    return {"taken": taken, "ratio of medians": ratios}


async def _ask(sampan: Standalone) -> dict[str, Any]:
    found: dict[str, dict[str, float]] = {}
    async with httpx.AsyncClient(
        base_url=sampan.urls["reporting"], headers={"Authorization": f"Bearer {sampan.admin_token}"}, timeout=60
    ) as client:
        for name, question in QUESTIONS.items():
            spent = []
            for number in range(WARM + SAMPLES):
                before = time.perf_counter()
                answer = await client.get(f"/v1/aggregates?{question}")
                answer.raise_for_status()
                if number >= WARM:
                    spent.append((time.perf_counter() - before) * 1000)
            spent.sort()
            found[name] = {
                "p50": round(spent[len(spent) // 2], 1),
                "p99": round(spent[int(len(spent) * 0.99)], 1),
                "rows": len(answer.json()["rows"]),
            }
    return {"ms": found}


async def _fill(sampan: Standalone, size: int) -> int:
    database = Database(sampan.postgres.url("reporting"), "reporting")
    plain = await asyncpg.connect(database_url(sampan))
    await plain.execute("SET search_path TO reporting")
    people: Counter[Cell] = Counter()
    cells = 0
    for rows in _cohorts(size):
        counted = count(
            rows,
            Scope(
                frozenset(rows.cohorts),
                frozenset(rows.enrolments),
                persons=frozenset(one.person for one in rows.enrolments.values()),
            ),
        )
        own = {cell: value for cell, value in counted.items() if cell.measure != "people" or cell.cohort != "_T"}
        people.update({cell: value for cell, value in counted.items() if cell not in own})
        cells += await _copy(plain, own)
    cells += await _copy(plain, people)
    async with database.transaction() as session:
        await session.execute(text("SET LOCAL statement_timeout = 0"))
        began = time.perf_counter()
        await coarse.fill(session)
        sys.stderr.write(f"coarser cubes in {time.perf_counter() - began:.1f} s\n")
    await plain.execute("ANALYZE")
    await plain.close()
    await database.close()
    return cells


async def _copy(plain: asyncpg.Connection, counted: dict[Cell, int]) -> int:
    records = [(key_of(cell), *cell, value) for cell, value in counted.items()]
    await plain.copy_records_to_table("cube", records=records, columns=["key", *Cell._fields, "value"])
    return len(records)


def _cohorts(size: int) -> Iterator[Rows]:
    chance = random.Random(1)  # noqa: S311
    for number in range(max(size // IN_A_COHORT, 1)):
        yield _cohort(number, chance)


def _cohort(number: int, chance: random.Random) -> Rows:
    starts = date(2023, 1, 2) + timedelta(days=chance.randrange(700))
    ends = starts + timedelta(days=14)
    code, host = f"cohort-{number:05}", chance.randrange(6)
    rows = Rows()
    rows.put(
        CohortFact.model_construct(
            cohort=code,
            status="closed",
            programme=f"programme-{number % 4}",
            places=[],
            host_centre=f"host-{host}",
            host_country=("CN", "TH")[host % 2],
            mode="in-person",
            starts_on=starts,
            ends_on=ends,
            announced_on=starts - timedelta(days=90),
            started_on=starts,
            sessions=[],
        )
    )
    for place in range(IN_A_COHORT):
        enrolment = f"{code}-{place}"
        country = chance.choice(("KH", "LA", "MM", "VN"))
        done = chance.random() < 0.9
        report = OutcomeState(
            months_after=6, on=ends + timedelta(days=182), outcome=chance.choice(("employed", "teaching", "no-answer"))
        )
        rows.put(
            TraineeFact.model_construct(
                enrolment=enrolment,
                cohort=code,
                number=f"{place:03}",
                person=enrolment,
                status="completed",
                role=chance.choice(("student", "teacher", "worker")),
                country=country,
                sending_centre=f"{country.lower()}-{chance.randrange(8)}",
                trade=f"trade-{(number + place % 2) % 8}",
                sex=chance.choice("FM"),
                age_band=chance.choice(("Y15T24", "Y25T34", "Y35T44")),
                disability=chance.choice(("no", "no", "no", "yes", "not-stated")),
                arrived=True,
                enrolled_on=starts - timedelta(days=30),
                completed_on=ends if done else None,
                completion="in-force" if done else "none",
                outcomes=[report] if done else [],
                proposed_on=starts - timedelta(days=60),
                declined_on=None,
                withdrawn_on=None,
                nominations=[],
                placings=[],
            )
        )
        rows.put(
            CertificateFact.model_construct(
                certificate=f"{enrolment}-1",
                enrolment=enrolment,
                scheme=f"scheme-{number % 2}",
                occupation=f"occupation-{number % 8}",
                level=("junior", "intermediate", "senior")[place % 3],
                status="issued",
                assessed_on=ends,
                passed_on=ends if done else None,
                awarded_on=ends if done else None,
                revoked_on=None,
            )
        )
    return rows
