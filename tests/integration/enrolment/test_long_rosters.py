"""A roster of 20,000 rows is taken, or looked at, in bounded memory, and the answer tells how far it is all the while."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import psutil
import pytest

from services.enrolment.rosters import desk
from services.enrolment.tables import Office, Token
from shared.offices import Doorkeeper
from shared.rosterdesk import Asked, Begin
from shared.rostering import take_book
from shared.rosters.answers import Counts, RowAnswer
from shared.rosters.books import open_book
from tests.integration.enrolment.house import ADMIN, CERTIFICATION, REGISTRATIONS, House
from tests.sheets import a_trainee, as_xlsx
from tests.unit.enrolment.story import SENDER, announced

COHORTS = 80
MEGABYTES = 128
"""What taking it may need at once: the library's cells, the keys, one portion of rows and its cohort."""


def roster(rows: int) -> bytes:
    return as_xlsx(Trainees=[a_trainee(f"{row:05}", Cohort=f"c-{row * COHORTS // rows}") for row in range(rows)])


def resident() -> int:
    return psutil.Process().memory_info().rss


def made_elsewhere(rows: int) -> bytes:
    """In another process: what this one once needed it keeps, and would not be seen to need again."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as elsewhere:
        return elsewhere.submit(roster, rows).result()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("rows", [100, pytest.param(20_000, marks=pytest.mark.long)])
async def test_many_rows(house: House, rows: int, dry_run: bool) -> None:
    await house.post(*REGISTRATIONS)
    await house.post(*(announced(cohort=f"c-{at}", id_=f"announced-{at}") for at in range(COHORTS)))
    content = roster(rows) if rows < 1000 else made_elsewhere(rows)
    door = Doorkeeper(house.database, "", Office, Token)
    taking = desk(house.handlers, house.register, house.database, door, CERTIFICATION)
    counts, total = Counts(), 0
    before = peak = resident()
    async for line in take_book(taking, open_book(content), Asked(SENDER, ADMIN, dry_run=dry_run)):
        if isinstance(line, Begin):
            total = line.total
        elif isinstance(line, RowAnswer):
            counts.add(line)
        if counts.statuses.total() % 250 == 0:
            peak = max(peak, resident())
    assert total == rows
    assert counts.statuses == {"accepted": rows}
    assert peak - before < MEGABYTES << 20, f"{(peak - before) >> 20} MB"
