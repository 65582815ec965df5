"""What was known then: the aggregates as of a position or a date."""

import asyncio
import json
from collections.abc import Sequence

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.reporting import ledger, projection
from services.reporting.domain import Known
from shared.batches import advance_heard, lock_heard
from shared.database import Database
from tests.contract.models import example
from tests.integration.reporting.test_aggregates import a_history, ask
from tests.integration.reporting.test_projection import hear
from tests.servers import migrate
from tests.unit.reporting.facts import a_certificate, a_cohort, a_trainee, known, wire

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


async def test_the_position_of_an_answer_gives_the_same_figures_whatever_came_with_them(
    client: httpx.AsyncClient, database: Database
) -> None:
    """Given a certificate and a recognition in one batch, while enrolment's stream is behind certification's, when a reader
    asks for the position that an answer had, then the figures are those of that answer."""
    trainee = a_trainee("01")
    await hear_of(database, "ENROLMENT", 30, [projection.read(wire(known(fact)), 30) for fact in (a_cohort(), trainee)])
    recognition = projection.read(json.dumps(example("recognition.v1")).encode(), 44)
    certificate = projection.read(wire(known(a_certificate(trainee, awarded_on="2025-04-13"))), 43)
    await hear_of(database, "CERTIFICATION", 44, [certificate, recognition])

    now = await ask(client, "/v1/aggregates?measure=certified")
    assert (now["totals"], now["position"]) == ({"certified": 1}, {"ENROLMENT": 30, "CERTIFICATION": 44})
    then = await ask(client, "/v1/aggregates?measure=certified&as_of=30.44")
    assert (then["totals"], then["position"]) == (now["totals"], now["position"])


async def test_an_update_puts_right_the_positions_of_steps_that_went_too_far(
    client: httpx.AsyncClient, database: Database, migrated: str
) -> None:
    """Given steps as versions before wrote them, one of certificates among them at a position of enrolment that was not heard
    yet, when the update comes, then each position has the figures that it had."""
    one, two = a_trainee("01"), a_trainee("02")
    batches = [
        ("ENROLMENT", 30, [a_cohort(), one]),
        ("CERTIFICATION", 44, [a_certificate(one, awarded_on="2025-04-13")]),
        ("ENROLMENT", 50, [two]),
        ("CERTIFICATION", 45, [a_certificate(two, awarded_on="2025-04-13")]),
    ]
    for stream, position, facts in batches:
        await hear_of(database, stream, position, [projection.read(wire(known(fact)), position) for fact in facts])
    async with database.transaction() as session:
        await session.execute(text("UPDATE cube_steps SET enrolment = 44, certification = 43 WHERE step = 2"))
        await session.execute(text("UPDATE alembic_version SET version_num = '0037'"))

    await asyncio.to_thread(migrate, "reporting", migrated)

    for asked, step, totals in (
        ("30.0", 1, {"enrolled": 1, "certified": 0}),
        ("30.44", 2, {"enrolled": 1, "certified": 1}),
        ("50.44", 3, {"enrolled": 2, "certified": 1}),
        ("50.45", 4, {"enrolled": 2, "certified": 2}),
    ):
        then = await ask(client, f"/v1/aggregates?measure=enrolled,certified&as_of={asked}")
        assert (then["as_of"]["step"], then["totals"]) == (step, totals), asked


async def hear_of(database: Database, stream: str, position: int, batch: Sequence[Known]) -> None:
    """As the bus does, with the position of one stream."""

    async def work(session: AsyncSession) -> None:
        await lock_heard(session, stream)
        await projection.apply(session, batch)
        await advance_heard(session, stream, position)

    await database.run(work)


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
