"""Master keys are exchanged while events go on."""

import asyncio

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from services.enrolment import keys
from services.enrolment.keys import BATCH
from services.enrolment.register import Register
from shared import database as shared_database
from shared.database import is_transient
from tests.integration.enrolment.house import ADMIN, House, checked
from tests.integration.enrolment.test_people import DARA, STORY, person_of
from tests.servers import PostgresForTests
from tests.unit.enrolment.story import COORDINATOR, cohort, proposed

Client = httpx.AsyncClient


async def test_keys_are_wrapped_anew_and_events_go_on(client: Client, house: House) -> None:
    await house.post(*STORY)
    before = await house.rows("SELECT owner, sealed FROM register_keys ORDER BY owner")
    answer = await client.post("/v1/keys/rotate")
    assert (answer.status_code, answer.json()) == (200, {"wrapped": len(before)})
    after = await house.rows("SELECT owner, sealed, master FROM register_keys ORDER BY owner")
    assert {line["master"] for line in after} == {2}
    assert not {line["sealed"] for line in before} & {line["sealed"] for line in after}
    # The house is another process, which has not heard of the new key.
    await house.post(cohort("cohort.changed", 2, COORDINATOR, mode="online"), proposed("03", person=DARA))
    assert (await house.facts())["enrolment.trainee.kh.wuxi-2025.01"]["age_band"] == "Y15T24"
    assert "Sok Dara" in (await client.get(f"/v1/persons/{await person_of(house)}")).text
    assert (await client.post("/v1/keys/rotate")).json() == {"wrapped": len(before) + 1}
    assert [line["id"] for line in await house.rows("SELECT id FROM master_keys ORDER BY id")] == [1, 3]
    await checked(house)


async def test_a_rotation_that_was_cut_off_is_taken_up_by_the_next(client: Client, house: House) -> None:
    many = [proposed(f"{n:03}", id_=f"p{n}") for n in range(BATCH + 20)]
    await house.post(*STORY[:5], *many)
    async with house.database.transaction() as work:
        from services.enrolment.keys import _new_master, _wrap_some

        made = await _new_master(work, house.register, house.audit, ADMIN)
        await _wrap_some(work, house.register, made)
    masters = {line["master"] for line in await house.rows("SELECT DISTINCT master FROM register_keys")}
    assert masters == {1, 2}
    assert "Sok Dara" in (await client.get(f"/v1/persons/{await person_of(house)}")).text
    assert (await client.post("/v1/keys/rotate")).json() == {"wrapped": BATCH + 21}
    assert [line["id"] for line in await house.rows("SELECT id FROM master_keys ORDER BY id")] == [1, 3]
    await checked(house)


async def test_a_rotation_that_takes_long_keeps_its_place(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them would take each other's keys for those still to be wrapped, and neither would ever end."""
    monkeypatch.setattr(shared_database, "IDLE_HOLDER_SECONDS", 1)
    monkeypatch.setattr(keys, "BATCH", 1)
    wrap = keys._wrap_some

    async def slow(session: AsyncSession, register: Register, master: int) -> int:
        await session.execute(text("SELECT pg_sleep(0.7)"))
        return await wrap(session, register, master)

    await house.post(*STORY)
    monkeypatch.setattr(keys, "_wrap_some", slow)
    rotation = asyncio.create_task(keys.rotate(house.database, house.register, house.audit, ADMIN))
    others = []
    while not rotation.done():
        await asyncio.wait([rotation], timeout=0.3)
        others.append(await another_may_rotate(house))
    assert await rotation == len(await house.rows("SELECT 1 FROM register_keys WHERE master = 2"))
    assert len(others) > 4
    assert others[1:-1] == [False] * len(others[1:-1])


async def test_a_rotation_that_lost_its_place_stops(
    house: House, postgres: PostgresForTests, migrated_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "BATCH", 1)
    wrap, wrapped = keys._wrap_some, []

    async def loses_it(session: AsyncSession, register: Register, master: int) -> int:
        wrapped.append(await wrap(session, register, master))
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON pg_database.oid = database "
            "WHERE locktype = 'advisory' AND datname = current_database()",
            migrated_database,
        )
        return wrapped[-1]

    await house.post(*STORY)
    monkeypatch.setattr(keys, "_wrap_some", loses_it)
    with pytest.raises(DBAPIError) as lost:
        await keys.rotate(house.database, house.register, house.audit, ADMIN)
    assert is_transient(lost.value)
    assert wrapped == [1]


async def another_may_rotate(house: House) -> bool:
    async with house.database.alone("rotation of keys") as connection:
        return connection is not None
