"""Made-up cohorts, counted by the rules of reporting and put straight into its cubes: a million enrolments in minutes."""

import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta

import asyncpg
from sqlalchemy import text

from services.reporting import coarse
from services.reporting.domain import Cell, Rows, Scope, count
from services.reporting.projection import key_of
from shared.database import Database
from shared.events.certification import CertificateFact
from shared.events.codes import Outcome, Sex
from shared.events.enrolment import CohortFact, OutcomeState, TraineeFact

IN_A_COHORT = 100
_AT_A_TIME = 200_000
"""Cells in memory, and in one COPY."""


async def fill(database: Database, address: str, enrolments: int) -> int:
    """Put the cells of so many enrolments into an empty cube and the coarser ones; how many cells there are.

    ``address`` is asyncpg's of the same database, as a user who may change tables: the cube's indexes are made at the end.
    """
    plain = await asyncpg.connect(address)
    await plain.execute("SET search_path TO reporting; SET maintenance_work_mem = '512MB'")
    began = time.perf_counter()
    indexes = [row["indexdef"] for row in await plain.fetch(_INDEXES)]
    await plain.execute("ALTER TABLE cube DROP CONSTRAINT cube_pkey; DROP INDEX cube_measure_cohort_idx")
    cells = 0
    for counted in _counted(enrolments):
        records = [(key_of(cell), *cell, value) for cell, value in counted.items()]
        await plain.copy_records_to_table("cube", records=records, columns=["key", *Cell._fields, "value"])
        cells += len(records)
    for definition in indexes:
        await plain.execute(definition)
    await plain.execute("ALTER TABLE cube ADD CONSTRAINT cube_pkey PRIMARY KEY USING INDEX cube_pkey")
    _say(f"{cells} cells", began)
    began = time.perf_counter()
    async with database.unhurried() as session:
        await session.execute(text("SET LOCAL work_mem = '256MB'"))
        await coarse.fill(session)
    _say("coarser cubes", began)
    await plain.execute("VACUUM ANALYZE cube")
    await plain.execute("VACUUM ANALYZE coarse_cubes")
    await plain.close()
    return cells


_INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'reporting' AND tablename = 'cube'"


def _counted(enrolments: int) -> Iterator[dict[Cell, int]]:
    """The cells, in parts; what cohorts have in common comes last."""
    part: dict[Cell, int] = {}
    people: Counter[Cell] = Counter()
    for rows in cohorts(enrolments):
        persons = frozenset(one.person for one in rows.enrolments.values())
        counted = count(rows, Scope(frozenset(rows.cohorts), frozenset(rows.enrolments), persons=persons))
        for cell, value in counted.items():
            if cell.measure == "people" and cell.cohort == "_T":
                people[cell] += value
            else:
                part[cell] = value
        if len(part) >= _AT_A_TIME:
            yield part
            part = {}
    yield part
    yield people


def cohorts(enrolments: int) -> Iterator[Rows]:
    """The same ones each time, with a hundred enrolments each, all of different people."""
    chance = random.Random(1)  # noqa: S311
    for number in range(max(enrolments // IN_A_COHORT, 1)):
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
            titles={"en": code},
            places=[],
            host_centre=f"host-{host}",
            host_country=("CN", "TH")[host % 2],
            mode="in-person",
            trades=[],
            starts_on=starts,
            ends_on=ends,
            language="en",
            timezone="Asia/Shanghai",
            schemes=[],
            parties=[],
            announced_on=starts - timedelta(days=90),
            started_on=starts,
            sessions=[],
        )
    )
    for place in range(IN_A_COHORT):
        trainee = _trainee(code, number, place, starts, ends, chance)
        rows.put(trainee)
        rows.put(_certificate(trainee, number, place, ends))
    return rows


def _trainee(code: str, number: int, place: int, starts: date, ends: date, chance: random.Random) -> TraineeFact:
    country = chance.choice(("KH", "LA", "MM", "VN"))
    done = chance.random() < 0.9
    outcome = chance.choice(_OUTCOMES)
    return TraineeFact.model_construct(
        enrolment=f"{code}-{place}",
        cohort=code,
        number=f"{place:03}",
        person=f"{code}-{place}",
        status="completed" if done else "enrolled",
        role=chance.choice(("student", "teacher", "worker")),
        country=country,
        sending_centre=f"{country.lower()}-{chance.randrange(8)}",
        trade=f"trade-{(number + place % 2) % 8}",
        sex=chance.choice(_SEXES),
        age_band=chance.choice(("Y15T24", "Y25T34", "Y35T44")),
        disability=chance.choice(("no", "no", "no", "yes", "not-stated")),
        arrived=True,
        proposed_on=starts - timedelta(days=60),
        enrolled_on=starts - timedelta(days=30),
        completed_on=ends if done else None,
        completion="in-force" if done else "none",
        outcomes=[OutcomeState(months_after=6, on=ends + timedelta(days=182), outcome=outcome)] if done else [],
    )


def _certificate(trainee: TraineeFact, number: int, place: int, ends: date) -> CertificateFact:
    passed = ends if trainee.completed_on else None
    return CertificateFact.model_construct(
        certificate=f"{trainee.enrolment}-1",
        enrolment=trainee.enrolment,
        cohort=trainee.cohort,
        trainee=trainee.number,
        person=trainee.person,
        country=trainee.country,
        scheme=f"scheme-{number % 2}",
        occupation=f"occupation-{number % 8}",
        level=("junior", "intermediate", "senior")[place % 3],
        edition=1,
        status="issued" if passed else "assessed",
        assessed_on=ends,
        passed_on=passed,
        awarded_on=passed,
    )


_SEXES: tuple[Sex, ...] = ("F", "M")
_OUTCOMES: tuple[Outcome, ...] = ("employed", "teaching", "no-answer")


def _say(what: str, began: float) -> None:
    sys.stderr.write(f"{what} in {time.perf_counter() - began:.0f} s\n")
