"""Data of an older backup with the newest person keys: whoever was forgotten in between is not back, and nobody else is lost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.backups import Server, dump
from services.person_keys import PersonKeys
from shared.database import Database
from shared.events.identity import enrolment_id
from tests.integration.enrolment.house import House, checked, said
from tests.integration.enrolment.test_forgetting import SECRET, STORY, WHO, sealed
from tests.integration.enrolment.test_persons import together
from tests.servers import PostgresForTests
from tests.unit.enrolment.story import forgotten, person, place, proposed, voided


@asynccontextmanager
async def inside(postgres: PostgresForTests, database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres.url("postgres", database).replace("+asyncpg", ""))
    yield connection
    await connection.close()


class Installation:
    """A database of its own, its backups, and what is restored of them."""

    def __init__(self, postgres: PostgresForTests, folder: Path) -> None:
        self._postgres = postgres
        self._file = folder / "data.dump"
        self.databases: list[tuple[str, Database]] = []

    def house(self, name: str | None = None) -> House:
        name = name or self._postgres.create_migrated_database()
        self.databases.append((name, Database(self._postgres.url("enrolment", name), "enrolment")))
        return House(self.databases[-1][1])

    def back_up_data(self) -> None:
        dump(Server.of(self._postgres, self.databases[-1][0]), self._file)

    async def keys(self) -> PersonKeys:
        async with inside(self._postgres, self.databases[-1][0]) as connection:
            return PersonKeys.from_bytes((await PersonKeys.read(connection)).to_bytes())

    async def restore(self, keys: PersonKeys) -> tuple[House, list[dict[str, Any]]]:
        """The data that were backed up, with these keys, and the events that are to be posted."""
        name = self._postgres.create_database()
        self._postgres.execute(f"DROP DATABASE {name}")
        self._postgres.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        house = self.house(name)
        Server.of(self._postgres).run("pg_restore", "--exit-on-error", f"--dbname={name}", str(self._file))
        async with inside(self._postgres, name) as connection:
            return house, await keys.put(connection)


@pytest.fixture
async def installation(postgres: PostgresForTests, tmp_path: Path) -> AsyncIterator[Installation]:
    made = Installation(postgres, tmp_path)
    yield made
    for name, database in made.databases:
        await database.close()
        postgres.drop_database(name)


async def test_given_somebody_was_forgotten_since_the_backup_then_a_restore_forgets_them_again(
    installation: Installation,
) -> None:
    house = installation.house()
    await house.post(*STORY[:-3])
    older = await installation.keys()
    await house.post(*STORY[-3:])
    await house.post({**proposed("03", person=WHO), "id": "bad", "time": "2025-03-05"})
    before = await house.facts()
    installation.back_up_data()
    await house.post(forgotten("03"))

    restored, again = await installation.restore(await installation.keys())
    assert [detail for detail in SECRET if detail in await sealed(restored)] == [], "before any service has read it"
    assert {event["data"]["enrolment"] for event in again} == {place("03"), enrolment_id("other", "01")}
    assert said(await restored.post(*again)) == ["accepted applied"] * 2
    assert await restored.facts() == before
    opened = await sealed(restored)
    assert [detail for detail in SECRET if detail in opened] == []
    assert "Sokha 01" in opened
    assert (await restored.standings())["trainee-proposed-03-5"] == "accepted details_forgotten"
    assert await together(restored) == [["other/01", "wuxi-2025/03"]]
    assert not await restored.rows("SELECT owner FROM register_entries WHERE owner = :owner", owner=place("03"))
    await checked(restored)
    # Their office still has the event that it sent then.
    assert said(await restored.post(forgotten("03"))) == ["accepted applied"]
    await checked(restored)
    await restored.post(proposed("05", person=WHO))
    facts = await restored.rows("SELECT body FROM outbox ORDER BY position")
    assert '"epoch":1,' in facts[0]["body"]
    assert '"epoch":2,' in facts[-1]["body"]
    with pytest.raises(LookupError):
        await installation.restore(older)


@pytest.mark.long
async def test_given_an_office_had_told_of_them_under_another_number_then_that_is_not_back_either(
    installation: Installation,
) -> None:
    house, slip = installation.house(), proposed("05", person=WHO)
    await house.post(*STORY, slip, voided(slip), {**proposed("05", 7, person=person("5")), "id": "right"})
    await house.post({**proposed("05", 9, person=WHO), "id": "right"})
    installation.back_up_data()
    await house.post(forgotten("03"))
    assert [detail for detail in SECRET if detail in await sealed(house)] == []

    restored, again = await installation.restore(await installation.keys())
    assert [detail for detail in SECRET if detail in await sealed(restored)] == []
    await restored.post(*again)
    opened = await sealed(restored)
    assert [detail for detail in SECRET if detail in opened] == []
    assert "Sokha 5" in opened
    await checked(restored)


@pytest.mark.long
async def test_given_nobody_was_forgotten_since_then_everybody_is_there_in_a_new_epoch(
    installation: Installation,
) -> None:
    house = installation.house()
    await house.post(*STORY)
    installation.back_up_data()
    await house.post(proposed("04", person=WHO))

    restored, again = await installation.restore(await installation.keys())
    assert again == []
    assert [detail for detail in SECRET if detail not in await sealed(restored)] == []
    await checked(restored)
    await restored.post(proposed("05", person=WHO))
    facts = await restored.rows("SELECT body FROM outbox ORDER BY position")
    assert '"epoch":1,' in facts[0]["body"]
    assert '"epoch":2,' in facts[-1]["body"]


@pytest.mark.long
async def test_given_who_was_forgotten_came_after_the_backup_then_they_are_forgotten_when_they_come_again(
    installation: Installation,
) -> None:
    house = installation.house()
    await house.post(*STORY[:-3])
    installation.back_up_data()
    await house.post(*STORY[-3:])
    await house.post(forgotten("03"))

    restored, again = await installation.restore(await installation.keys())
    assert said(await restored.post(*again)) == ["waiting trainee_unknown"] * 2
    await restored.post(*STORY[-3:])
    assert [detail for detail in SECRET if detail in await sealed(restored)] == []
    await checked(restored)
