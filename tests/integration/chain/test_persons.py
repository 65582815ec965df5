"""Who is one person, over all three services: a merge flags a second live certificate and is counted, a part takes both back."""

from typing import Any

import pytest
from sqlalchemy import text

from services.reporting import projection
from services.reporting.domain import TOTAL
from shared.database import Database
from shared.events.envelope import Event
from tests.integration.chain.test_both_services import ALL, award, live_through
from tests.integration.enrolment.house import REGISTRATIONS, House
from tests.integration.reporting import conftest as reports
from tests.unit.certification.given import registered
from tests.unit.enrolment.story import announced, completed, decided, forgotten, person, proposed, started, trainee

STORY: list[dict[str, Any] | Event] = [
    *REGISTRATIONS,
    announced(parties=ALL),
    proposed("01", person=person("1")),
    proposed("02", person=person("2")),
    trainee("trainee.enrolled", "01"),
    trainee("trainee.enrolled", "02"),
    started(),
    completed("01"),
    completed("02"),
    registered("scheme", 1),
    award("awarded", "first", 14, "01", certificate_number="S-1"),
    award("awarded", "second", 15, "02", certificate_number="S-2"),
]
MERGED, PARTED = decided("merged", "01", "02", 50), decided("parted", "01", "02", 51)


async def counted(both: tuple[House, Database], reporting: Database) -> dict[str, int]:
    """What reporting counts once it has heard everything."""
    await reports.empty(reporting)
    for service in (both[0].database, both[1]):
        async with service.transaction() as session:
            told = (await session.execute(text("SELECT body FROM outbox ORDER BY position"))).scalars().all()
        await reporting.run(
            lambda session, told=told: projection.apply(session, [projection.read(body.encode()) for body in told])
        )
    async with reporting.transaction() as session:
        cube = await session.execute(
            text(
                "SELECT measure, sum(value) AS value FROM cube WHERE measure <> 'people' OR :total = ALL "
                "(ARRAY[programme, country, cohort, sex]) GROUP BY measure"
            ),
            {"total": TOTAL},
        )
        return {row.measure: int(row.value) for row in cube if row.value}


@pytest.mark.parametrize("hear", [True, False])
async def test_a_merge_flags_the_second_certificate_and_a_part_brings_it_back(
    both: tuple[House, Database], reporting: Database, *, hear: bool
) -> None:
    async def lived(*more: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, int]]:
        standings, certificates = await live_through(*both, [(event, hear) for event in (*STORY, *more)])
        return standings, certificates, await counted(both, reporting)

    standings, certificates, before = await lived()
    assert set(standings.values()) == {"accepted applied"}
    assert (before["people"], before["enrolled"], before["certified"]) == (2, 2, 2)

    standings, _, merged = await lived(MERGED)
    assert standings["second"] == "conflict already_certified"
    assert (merged["people"], merged["enrolled"], merged["certified"]) == (1, 2, 1)

    standings, again, parted = await lived(MERGED, PARTED)
    assert set(standings.values()) == {"accepted applied"}
    assert (again, parted) == (certificates, before)


async def test_forgetting_moves_no_figure(both: tuple[House, Database], reporting: Database) -> None:
    _, certificates = await live_through(*both, [(event, True) for event in (*STORY, MERGED)])
    before = await counted(both, reporting)
    _, after = await live_through(*both, [(event, True) for event in (*STORY, MERGED, forgotten("01"))])
    assert (after, await counted(both, reporting)) == (certificates, before)
