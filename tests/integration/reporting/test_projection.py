"""Facts into rows and cube on the real PostgreSQL."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.reporting import coarse, ledger, projection, queries, questions
from services.reporting.domain import DIMENSIONS, EXCEPTIONS, MEASURES, Cell, Known, Rows, newest
from services.reporting.ledger import Asked
from services.reporting.questions import Question
from services.reporting.tables import Base
from shared.batches import FactBatches, advance_heard, lock_heard
from shared.database import Database
from shared.deadletters import DeadLetters
from shared.delivery import Delivery
from shared.outbox import heard_positions
from tests.contract.models import example
from tests.integration.reporting.conftest import empty
from tests.properties import examples
from tests.unit.reporting.facts import RECORDED, a_certificate, a_cohort, a_trainee, count_all, known, wire
from tests.unit.reporting.histories import arrivals, histories


async def hear(database: Database, facts: Iterable[Known], position: int = 0, recorded: str = RECORDED) -> None:
    """As the bus does, with the position of both streams."""
    batch = [projection.read(wire(fact, recorded), position) for fact in facts]

    async def work(session: AsyncSession) -> None:
        for stream in ledger.STREAMS if position else ():
            await lock_heard(session, stream)
            await advance_heard(session, stream, position)
        await projection.apply(session, batch)

    await database.run(work)


async def replay(database: Database, facts: Iterable[Known], position: int) -> None:
    """As a dead letter is: taken up later than what stands behind it in its stream."""
    late = [projection.read(wire(fact), position) for fact in facts]
    await database.run(lambda session: projection.apply(session, late))


async def kept(database: Database) -> dict[Cell, int]:
    async with database.transaction() as session:
        return await projection.cube(session)


async def as_of(database: Database, asked: str) -> dict[Cell, int]:
    """What was known then, asked as a reader asks."""
    measures = tuple(name for name in (*MEASURES, *EXCEPTIONS) if name != "people")
    question = Question(measures, tuple(DIMENSIONS), as_of=Asked.read(asked))
    async with database.transaction() as session:
        answer = await queries.aggregates(session, question, {})
    places = [({name: row[name] for name in DIMENSIONS}, row) for row in answer.rows]
    return {
        Cell(measure, **place): round(float(row[measure] or 0) * questions.COUNTED[measure].parts)
        for place, row in places
        for measure in measures
        if row[measure]
    }


async def recounted(database: Database) -> Counter[Cell]:
    async with database.transaction() as session:
        return await projection.recount(session)


def told(history: Iterable[Known]) -> Counter[Cell]:
    """What the facts amount to, by the domain alone."""
    rows = Rows()
    for fact in newest(history, {}):
        rows.put(fact.data)
    return count_all(rows)


async def test_models_and_migrations_agree(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Base.metadata))

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_history_gives_the_cube_that_its_rows_give(database: Database) -> None:
    trainees = [a_trainee(f"{number:02}", sending_centre=None if number == 3 else "ntti") for number in range(1, 10)]
    awards = [a_certificate(trainee, awarded_on="2025-04-13") for trainee in trainees]
    history = [known(fact) for fact in (*awards, *trainees, a_cohort())]

    for fact in history:
        await hear(database, [fact])

    assert await kept(database) == told(history) == await recounted(database)


async def test_a_fact_heard_again_or_late_changes_nothing(database: Database) -> None:
    now = known(a_trainee(trade="cabling"), revision=2)
    await hear(database, [known(a_cohort()), now])
    before = await kept(database)

    await hear(database, [now, known(a_trainee(), revision=1)])

    assert await kept(database) == before


async def test_a_cell_that_reaches_0_is_gone(database: Database) -> None:
    await hear(database, [known(a_cohort()), known(a_trainee())])
    await hear(database, [known(a_cohort(status="void"), revision=2)])
    assert await kept(database) == {}


async def test_who_has_two_places_is_one_person_however_far_apart_they_are_told(database: Database) -> None:
    first, second = a_trainee("01", person="p-1"), a_trainee("02", "other", person="p-1")
    history = [known(one) for one in (a_cohort(), first, a_cohort("other"), second)]
    history += [
        known(second.model_copy(update={"person": "p-2"}), revision=2),
        known(second, revision=3),
        known(first.model_copy(update={"status": "void"}), revision=2),
        known(a_cohort("other", status="void"), revision=2),
    ]
    for number, fact in enumerate(history, start=1):
        await hear(database, [fact])
        assert await kept(database) == told(history[:number]) == await recounted(database)


@examples(10)
@given(data=st.data())
async def test_any_order_duplication_and_split_gives_the_same_cube(database: Database, data: st.DataObject) -> None:
    await empty(database)
    history = data.draw(histories())
    position = 0
    known_at: dict[int, dict[Cell, int]] = {0: {}}
    for batch in data.draw(arrivals(history)):
        position += len(batch)
        await hear(database, batch, position)
        known_at[position] = await kept(database)
        if data.draw(st.booleans()):
            await database.run(coarse.roll)
        async with database.transaction() as session:
            assert await coarse.unlike(session) == []
    assert known_at[position] == told(history) == await recounted(database)
    async with database.transaction() as session:
        assert await ledger.unlike(session) == []
    for then, known_then in known_at.items():
        without_people = {cell: value for cell, value in known_then.items() if cell.measure != "people"}
        assert await as_of(database, f"{then}.{then}") == without_people, "what was known is kept, by position"


async def test_the_two_streams_projected_at_once_wait_for_each_other(database: Database) -> None:
    trainee = a_trainee()
    await hear(database, [known(a_cohort())])

    async with database.transaction() as session:
        await projection.apply(session, [known(trainee)])
        # Unless it waits, it does not see the trainee, and its certificate is never counted.
        other = asyncio.create_task(hear(database, [known(a_certificate(trainee, awarded_on="2025-04-13"))]))
        done, _ = await asyncio.wait([other], timeout=0.3)
        assert not done
    await other

    assert await kept(database) == await recounted(database)
    assert sum(value for cell, value in (await kept(database)).items() if cell.measure == "certified") == 1


async def test_a_crash_before_the_commit_leaves_position_rows_and_cube_together(database: Database) -> None:
    crashes = 1

    async def project(session: AsyncSession, deliveries: list[Delivery]) -> None:
        nonlocal crashes
        await projection.apply(session, [projection.read(delivery.body) for delivery in deliveries])
        if crashes:
            crashes -= 1
            raise ConnectionError  # the process dies between the last statement and the commit

    async def next_in_stream(sequence: int) -> int:
        return sequence

    batches = FactBatches(database, DeadLetters("reporting", b"0" * 32), "ENROLMENT", project, next_in_stream)
    facts = [known(a_cohort()), known(a_trainee())]
    deliveries = [
        Delivery("enrolment.x", wire(fact), "ENROLMENT", sequence, 1, {}) for sequence, fact in enumerate(facts, 1)
    ]

    assert set(await batches.settle(deliveries)) == {1, 2}, "both come again"
    async with database.transaction() as session:
        assert (await heard_positions(session)).get("ENROLMENT", 0) == 0
    assert await kept(database) == {}
    assert await recounted(database) == {}

    assert await batches.settle(deliveries) == {}
    async with database.transaction() as session:
        assert await heard_positions(session) == {"ENROLMENT": 2}
    assert await kept(database) == told(facts)


async def test_a_recount_goes_through_all_cohorts_and_persons_in_parts(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "_COHORTS_AT_A_TIME", 2)
    monkeypatch.setattr(projection, "_PERSONS_AT_A_TIME", 2)
    codes = [f"cohort-{number}" for number in range(5)]
    history = [known(a_cohort(code)) for code in codes]
    history += [known(a_trainee(number, code)) for code in codes for number in ("01", "02", "03")]
    await hear(database, history)
    assert await recounted(database) == told(history) == await kept(database)


async def test_a_recount_finds_a_cube_that_was_tampered_with(database: Database) -> None:
    await hear(database, [known(a_cohort()), known(a_trainee())])
    async with database.transaction() as session:
        await session.execute(text("UPDATE cube SET value = value + 1 WHERE measure = 'enrolled'"))
    assert await recounted(database) != await kept(database)


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'{"type": "cohort.v1"}'])
def test_what_is_no_fact_cannot_be_read(body: bytes) -> None:
    with pytest.raises(ValueError, match="validation error"):
        projection.read(body)


def test_a_fact_of_an_unknown_type_cannot_be_read() -> None:
    with pytest.raises(LookupError):
        projection.read(wire(known(a_cohort())).replace(b"cohort.v1", b"cohort.v9"))


async def test_a_recognition_counts_nothing_and_is_passed_over(database: Database) -> None:
    await hear(database, [known(a_cohort()), known(a_trainee())])
    before = await kept(database)
    fact = projection.read(json.dumps(example("recognition.v1")).encode())
    await database.run(lambda session: projection.apply(session, [fact]))
    assert await kept(database) == before
