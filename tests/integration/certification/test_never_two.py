"""Never two live certificates of one award for one person, never a number twice of one awarding body."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from services.certification import store
from shared.database import Database
from shared.events.envelope import Event
from tests.integration.certification.conftest import empty
from tests.integration.certification.given import a_cohort, a_trainee, codes, post, tell
from tests.properties import examples
from tests.unit.certification.given import (
    OTHER_BODY,
    about,
    assessed,
    awarded,
    event,
    registered,
    replaced,
    revoked,
    trainee,
    voided,
)
from tests.unit.certification.strategies import FAR_APART, NUMBERS, event_sets

TWO = registered("scheme", 1), registered("other", 1, scheme="other")


async def two_trainees(database: Database, *persons: str) -> None:
    await tell(
        database, a_cohort(), *(a_trainee(trainee(number, who)) for number, who in zip(NUMBERS, persons, strict=False))
    )


async def test_a_number_is_one_awarding_bodys_in_all_its_schemes(database: Database) -> None:
    await two_trainees(database, "ann", "bo")
    in_another = event(
        "certificate.awarded.v1",
        "d",
        15,
        {**about("002", scheme="other"), "date": "2025-04-15", "certificate_number": "S-1"},
    )
    assert codes(await post(database, *TWO, awarded("c", 14, printed="S-1"))) == ["applied"] * 3
    assert codes(await post(database, in_another)) == ["number_taken"]
    assert codes(await post(database, voided("v", 16, awarded("c", 14)))) == ["applied"]
    async with database.transaction() as session:
        rows = (await session.execute(text("SELECT scheme, number FROM certificate_numbers"))).all()
    assert [tuple(row) for row in rows] == [("other", "S-1")]


async def test_another_body_may_have_the_same_number(database: Database) -> None:
    await two_trainees(database, "ann", "bo")
    theirs = event(
        "certificate.awarded.v1",
        "d",
        15,
        {**about("002", scheme="theirs"), "date": "2025-04-15", "certificate_number": "S-1"},
        OTHER_BODY,
    )
    schemes = registered("scheme", 1), registered("theirs", 1, OTHER_BODY, scheme="theirs")
    assert codes(await post(database, *schemes, awarded("c", 14, printed="S-1"), theirs)) == ["applied"] * 4


async def test_a_replacement_may_keep_its_number_and_gives_it_to_nobody(database: Database) -> None:
    await two_trainees(database, "ann", "bo")
    events = awarded("c", 14, printed="S-1"), replaced("r", 15, "S-2"), replaced("r2", 16, "S-1")
    assert codes(await post(database, *TWO, *events)) == ["applied"] * 5
    later = awarded("d", 17, "002", printed="S-2"), awarded("e", 18, "002", printed="S-1")
    assert codes(await post(database, *later)) == ["number_taken"] * 2


async def test_the_database_refuses_a_number_for_a_second_award(database: Database) -> None:
    await two_trainees(database, "ann", "bo")
    await post(database, *TWO, awarded("c", 14, printed="S-1"), awarded("d", 14, "002", printed="S-2"))
    async with database.transaction() as session:
        (row,) = (
            await session.execute(text("SELECT enrolment FROM certificates WHERE data ->> 'number' = 'S-2'"))
        ).all()
        await session.execute(
            text('UPDATE certificates SET data = data || \'{"number": "S-1"}\' WHERE enrolment = :enrolment'),
            {"enrolment": row.enrolment},
        )
        with pytest.raises(IntegrityError, match="certificate_numbers_pkey"):
            await store.save_numbers(session, [row.enrolment])
        await session.rollback()


@pytest.mark.parametrize("status", ["issued", "suspended"])
async def test_the_database_refuses_a_second_live_certificate(database: Database, status: str) -> None:
    await two_trainees(database, "ann", "bo")
    await post(database, *TWO, awarded("c", 14), awarded("d", 14, "002"))
    change = text(
        "UPDATE certificates SET status = :status, data = data || '{\"person\": \"ann\"}' WHERE data ->> 'person' = 'bo'"
    )
    with pytest.raises(IntegrityError, match="certificates_one_live_excl"):
        await database.run(lambda session: session.execute(change, {"status": status}))
    await database.run(lambda session: session.execute(change, {"status": "revoked"}))


async def test_whoever_becomes_the_same_person_holds_one_in_one_transaction(database: Database) -> None:
    await two_trainees(database, "ann", "bo")
    await post(database, *TWO, awarded("c", 14), awarded("d", 15, "002"))
    await tell(database, a_trainee(trainee("002", "ann"), revision=2))
    await tell(database, a_trainee(trainee("001", "bo"), revision=2))
    await tell(database, a_trainee(trainee("001", "ann"), revision=3))
    await post(database, revoked("gone", 16), voided("back", 17, awarded("c", 14)))
    async with database.transaction() as session:
        rows = (await session.execute(text("SELECT status FROM certificates WHERE status = 'issued'"))).all()
    assert len(rows) == 1


async def test_the_next_one_begins_when_the_first_has_expired(database: Database) -> None:
    await two_trainees(database, "ann", "ann")
    scheme = registered("scheme", 1, valid_months=1)
    assert codes(await post(database, scheme, awarded("c", 14), awarded("d", 40, "002"), awarded("e", 45, "002"))) == [
        "applied",
        "applied",
        "already_certified",
        "applied",
    ]


async def test_a_later_pass_does_not_bring_an_old_certificate_back_beside_a_new_one(database: Database) -> None:
    await two_trainees(database, "ann", "ann")
    scheme = registered("scheme", 1, rule="on_pass", valid_months=1)
    first = assessed("first", 14)
    await post(database, scheme, first, voided("v", 60, first), assessed("second", 50, number="002"))
    await post(database, assessed("third", 51, attempt=2))
    async with database.transaction() as session:
        rows = await session.execute(
            text("SELECT data ->> 'awarded_on' AS day FROM certificates WHERE status = 'issued' ORDER BY day")
        )
        assert list(rows.scalars()) == ["2025-04-14", "2025-05-20"]


@examples(10)
@given(
    event_sets(most=12, days=FAR_APART),
    st.lists(st.tuples(st.sampled_from(NUMBERS), st.sampled_from(("ann", "bo"))), max_size=5),
    st.sampled_from((None, 1)),
    st.sampled_from(("on_pass", "by_awarding_body")),
    st.randoms(use_true_random=False),
)
def test_nothing_that_comes_in_any_order_meets_the_constraints(
    migrated: str,
    events: list[Event],
    persons: list[tuple[str, str]],
    months: int | None,
    rule: str,
    chance: random.Random,
) -> None:
    """The fold never asks the database for what it refuses: not one transaction of these fails."""

    async def live() -> None:
        database = Database(migrated, "certification")
        try:
            await empty(database)
            await two_trainees(database, "ann", "ann", "bo")
            await post(database, registered("scheme", 1, rule=rule, valid_months=months, completion_required=False))
            steps: list[Event | tuple[str, str]] = [*events, *persons]
            chance.shuffle(steps)
            for revision, step in enumerate(steps, start=2):
                if isinstance(step, Event):
                    await post(database, step)
                else:
                    await tell(database, a_trainee(trainee(*step), revision=revision))
        finally:
            await database.close()

    asyncio.run(live())
