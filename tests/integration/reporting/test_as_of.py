"""What was known then: the aggregates as of a position or a date."""

import httpx
import pytest
from sqlalchemy import text

from services.reporting import ledger
from shared.database import Database
from tests.integration.reporting.test_aggregates import a_history, ask
from tests.integration.reporting.test_projection import hear
from tests.unit.reporting.facts import a_cohort, a_trainee, known

QUESTION = "/v1/aggregates?measure=enrolled&by=cohort"


async def test_an_earlier_position_is_answered_as_it_was_known(client: httpx.AsyncClient, database: Database) -> None:
    await hear(database, [known(a_cohort()), known(a_trainee("01"))], 3)
    await hear(database, [known(a_cohort("vientiane")), known(a_trainee("01", "vientiane"))], 7)
    await hear(database, [known(a_trainee("01", status="void"), revision=2)], 9)

    now = await ask(client, QUESTION)
    assert (now["rows"], now["as_of"]) == ([{"cohort": "vientiane", "enrolled": 1}], None)
    for asked, position, step, rows in (
        ("2.9", 0, 0, []),
        ("3.3", 3, 1, ["wuxi"]),
        ("6.20", 3, 1, ["wuxi"]),
        ("7.7", 7, 2, ["vientiane", "wuxi"]),
        ("2026-01", 9, 3, ["vientiane"]),
    ):
        then = await ask(client, f"{QUESTION}&as_of={asked}")
        assert [row["cohort"] for row in then["rows"]] == rows, asked
        assert then["totals"] == {"enrolled": len(rows)}
        assert then["position"] == {"ENROLMENT": position, "CERTIFICATION": position}
        assert (then["as_of"]["asked"], then["as_of"]["step"]) == (asked, step)


@pytest.mark.parametrize(
    ("asked", "enrolled"),
    [
        ("2025-04-12", 0),
        ("2025-04-13", 10),
        ("2025-03", 0),
        ("2025-04", 10),
        ("2025-04-13T12:59:59%2B03:00", 0),
        ("2025-04-13T13:00:00%2B03:00", 10),
    ],
)
async def test_a_date_means_what_was_recorded_up_to_its_end(
    client: httpx.AsyncClient, database: Database, asked: str, enrolled: int
) -> None:
    await hear(database, a_history(), 30)  # all recorded on 13 April at 10:00
    answer = await ask(client, f"/v1/aggregates?measure=enrolled&as_of={asked}")
    assert answer["totals"] == {"enrolled": enrolled}


async def test_what_was_recorded_earlier_and_heard_later_was_not_known_before_what_had_been_heard(
    client: httpx.AsyncClient, database: Database
) -> None:
    """As when certification's stream is behind enrolment's: a step is not before the one that it follows."""
    await hear(database, [known(a_cohort()), known(a_trainee("01"))], 3)  # recorded on 13 April
    await hear(database, [known(a_trainee("02"))], 4, recorded="2025-04-10T10:00:00.000Z")
    for asked, enrolled in (("2025-04-11", 0), ("2025-04-13", 2)):
        assert (await ask(client, f"{QUESTION}&as_of={asked}"))["totals"] == {"enrolled": enrolled}


async def test_changes_that_do_not_add_up_are_found(database: Database) -> None:
    await hear(database, a_history(), 30)
    async with database.transaction() as session:
        assert await ledger.unlike(session) == []
        await session.execute(text("UPDATE cube_changes SET delta = delta + 1 WHERE key = (SELECT min(key) FROM cube)"))
        ((_, value, added),) = await ledger.unlike(session)
    assert added == value + 1
