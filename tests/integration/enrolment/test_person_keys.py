"""Data of an older backup with the newest person keys: whoever was forgotten in between is not back, and nobody else is lost."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event

from services.backups import Server, dump
from services.person_keys import PersonKeys
from shared.database import Database
from shared.events.identity import enrolment_id
from tests.integration.enrolment.house import REGISTRATIONS, House, checked, said
from tests.integration.enrolment.test_forgetting import SECRET, STORY, WHO, sealed
from tests.integration.enrolment.test_persons import in_other, together
from tests.servers import PostgresForTests
from tests.unit.enrolment.story import (
    COORDINATOR,
    PARTIES,
    SENDER,
    STRANGER,
    announced,
    cohort,
    forgotten,
    person,
    place,
    proposed,
    trainee,
    voided,
)


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

    async def restore(
        self, keys: PersonKeys, asked: Callable[[asyncpg.connection.LoggedQuery], None] | None = None
    ) -> tuple[House, list[dict[str, Any]]]:
        """The data that were backed up, with these keys, and the events that are to be posted."""
        name = self._postgres.create_database()
        self._postgres.execute(f"DROP DATABASE {name}")
        self._postgres.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        house = self.house(name)
        Server.of(self._postgres).run("pg_restore", "--exit-on-error", f"--dbname={name}", str(self._file))
        async with inside(self._postgres, name) as connection:
            if asked:
                connection.add_query_logger(asked)
            return house, await keys.put(connection)

    async def plans(self, asked: list[tuple[Any, ...]], said: str) -> list[str]:
        """How those of these statements that say this are answered, each with its values, in a table that is long."""
        async with inside(self._postgres, self.databases[-1][0]) as connection:
            await connection.execute("SET search_path TO enrolment; SET enable_seqscan TO off")
            explained = [
                await connection.fetch(f"EXPLAIN {statement}", *values)
                for statement, *values in asked
                if said in statement
            ]
        return ["\n".join(line for (line,) in plan) for plan in explained]

    async def left(self, keys: PersonKeys) -> int:
        async with inside(self._postgres, self.databases[-1][0]) as connection:
            return await keys.left(connection)


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


async def test_given_a_slip_of_theirs_is_void_then_no_hash_of_theirs_is_left_in_it(installation: Installation) -> None:
    house, slip = installation.house(), proposed("05", person=WHO)
    await house.post(*STORY, slip)
    await house.post(voided(slip))
    installation.back_up_data()
    await house.post(forgotten("03"))
    restored, again = await installation.restore(await installation.keys())
    await restored.post(*again)
    [row] = await restored.rows("SELECT state FROM enrolments WHERE enrolment = :it", it=place("05"))
    assert row["state"]["identifiers"] == []
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
async def test_given_who_was_forgotten_came_after_the_backup_then_they_stay_forgotten_when_they_come_again(
    installation: Installation,
) -> None:
    house = installation.house()
    await house.post(*STORY[:-3])
    installation.back_up_data()
    await house.post(*STORY[-3:])
    await house.post(forgotten("03"))

    restored, again = await installation.restore(await installation.keys())
    assert again == []
    await restored.post(*STORY[-3:])
    assert [detail for detail in SECRET if detail in await sealed(restored)] == []
    assert await still_there(restored) == []
    await checked(restored)


RUPP = "/offices/kh/rupp"
OF_RUPP = [{**party, "office": RUPP} if party["office"] == SENDER else party for party in PARTIES]
TWO_SENDERS = [
    *REGISTRATIONS,
    announced(),
    in_other(announced(parties=OF_RUPP)),
    proposed("03", person=WHO),
    in_other(proposed("01", source=RUPP, person=WHO)),
]
"""One person in two cohorts; no office has a part in both."""


async def still_there(house: House) -> list[str]:
    """Where somebody still has details, or may have some again."""
    both = {"wuxi-2025/03": place("03"), "other/01": enrolment_id("other", "01")}
    gone = {row["enrolment"] for row in await house.rows("SELECT enrolment FROM forgotten")}
    return [name for name, enrolment in both.items() if enrolment not in gone]


async def owners(house: House) -> set[str]:
    """Who has a key."""
    return {row["owner"] for row in await house.rows("SELECT owner FROM register_keys")}


async def test_given_an_office_reached_a_cohort_of_which_it_is_no_party_then_they_are_forgotten_there_again(
    installation: Installation,
) -> None:
    house = installation.house()
    await house.post(*TWO_SENDERS)
    before = await house.facts()
    installation.back_up_data()
    await house.post(in_other(forgotten("01", source=RUPP)))
    assert await still_there(house) == []

    keys = await installation.keys()
    restored, again = await installation.restore(keys)
    assert await installation.left(keys) == 2
    assert said(await restored.post(*again)) == ["accepted applied"] * 2
    assert (await still_there(restored), await installation.left(keys)) == ([], 0)
    assert [detail for detail in SECRET if detail in await sealed(restored)] == []
    assert await together(restored) == [["other/01", "wuxi-2025/03"]]
    assert await restored.facts() == before
    await checked(restored)


@pytest.mark.parametrize("lost", ["the link", "the office's part", "the place", "the place, void by then"])
async def test_given_what_an_office_reached_them_by_came_after_the_backup_then_they_are_forgotten_all_the_same(
    lost: str, installation: Installation
) -> None:
    house = installation.house()
    first, second = TWO_SENDERS[-2:]
    if lost == "the link":
        first = proposed("03", person=person("forgotten", names=WHO["names"]))
        later = [trainee("person.corrected", "03", 12, identifiers=WHO["identifiers"])]
        await house.post(*TWO_SENDERS[:-2], first, second)
    elif lost == "the office's part":
        parties = [*PARTIES, {"office": RUPP, "role": "sending-office"}]
        later = [cohort("cohort.changed", 12, COORDINATOR, parties=parties)]
        await house.post(*TWO_SENDERS)
    elif lost == "the place":
        later = [first]
        await house.post(*TWO_SENDERS[:-2], second)
    else:
        later = [{**second, "id": "o-second-time"}]
        await house.post(*TWO_SENDERS)
        await house.post(voided(second))
    installation.back_up_data()
    forget = {
        "the office's part": forgotten("03", source=RUPP),
        "the place, void by then": forgotten("03"),
    }.get(lost, in_other(forgotten("01", source=RUPP)))
    await house.post(*later)
    await house.post(forget)
    assert await still_there(house) == []

    keys = await installation.keys()
    restored, again = await installation.restore(keys)
    await restored.post(*again)
    assert (await still_there(restored), await installation.left(keys)) == ([], 0)
    await checked(restored)
    await restored.post(*later)
    await restored.post({**proposed("03", 7, person=WHO), "id": "once-more"})
    await restored.post({**in_other(proposed("01", 7, source=RUPP, person=WHO)), "id": "o-once-more"})
    assert [detail for detail in SECRET if detail in await sealed(restored)] == []
    await checked(restored)


async def test_given_the_office_that_named_them_has_left_then_it_is_asked_all_the_same(
    installation: Installation,
) -> None:
    house = installation.house()
    without = [party for party in PARTIES if party["office"] != SENDER]
    await house.post(*TWO_SENDERS, cohort("cohort.changed", 20, COORDINATOR, parties=without))
    installation.back_up_data()
    await house.post(in_other(forgotten("01", source=RUPP)))
    restored, again = await installation.restore(await installation.keys())
    assert said(await restored.post(*again)) == ["accepted applied"] * 2
    assert await still_there(restored) == []
    await checked(restored)


async def test_given_many_are_enrolled_then_neither_forgetting_nor_a_restore_reads_them_all(
    installation: Installation,
) -> None:
    asked: list[tuple[Any, ...]] = []
    house = installation.house()
    await house.post(*STORY)
    installation.back_up_data()
    event.listen(
        house.database.engine.sync_engine,
        "before_cursor_execute",
        lambda _1, _2, statement, values, _3, many: None if many else asked.append((statement, *values)),
    )
    await house.post(forgotten("03"))
    [persons], [void] = (
        await installation.plans(asked, "WHERE person IN"),
        await installation.plans(asked, "WHERE status = 'void'"),
    )
    assert "enrolments_person_idx" in persons
    assert "enrolments_void_idx" in void

    asked.clear()
    await installation.restore(await installation.keys(), lambda said: asked.append((said.query, *said.args)))
    [places], [void] = (
        await installation.plans(asked, "other.person"),
        await installation.plans(asked, "WHERE status = 'void'"),
    )
    assert "enrolments_person_idx" in places
    assert "enrolments_void_idx" in void


async def test_given_an_event_waited_for_somebody_then_it_waits_again(installation: Installation) -> None:
    house = installation.house()
    await house.post(*TWO_SENDERS[:-2])
    installation.back_up_data()
    assert said(await house.post(forgotten("03"))) == ["waiting trainee_unknown"]
    restored, again = await installation.restore(await installation.keys())
    assert said(await restored.post(*again)) == ["waiting trainee_unknown"]
    await restored.post(TWO_SENDERS[-2])
    assert "wuxi-2025/03" not in await still_there(restored)
    await checked(restored)


async def test_given_a_restore_put_them_among_the_forgotten_then_the_next_one_needs_no_event_of_then(
    installation: Installation,
) -> None:
    house = installation.house()
    await house.post(*TWO_SENDERS)
    installation.back_up_data()
    await house.post(in_other(forgotten("01", source=RUPP)))
    keys = replace(await installation.keys(), asked=[])
    restored, again = await installation.restore(keys)
    assert said(await restored.post(*again)) == ["accepted applied"] * 2
    assert await still_there(restored) == []
    await checked(restored)


async def test_given_an_office_spoke_of_somebody_not_its_own_then_nobody_is_asked_to_forget_them(
    installation: Installation,
) -> None:
    house = installation.house()
    await house.post(*TWO_SENDERS)
    installation.back_up_data()
    assert said(await house.post(forgotten("03", source=STRANGER))) == ["conflict not_a_party"]
    _, again = await installation.restore(await installation.keys())
    assert again == []


async def test_given_an_office_could_say_it_only_for_more_than_was_forgotten_then_another_says_it(
    installation: Installation,
) -> None:
    third = "/offices/kh/third"
    house = installation.house()
    parties = [*PARTIES, {"office": third, "role": "sending-office"}]
    of_laos = {**WHO, "identifiers": [{**WHO["identifiers"][0], "country": "KH"}]}
    abroad = proposed("04", person=of_laos, country="LA")
    await house.post(*REGISTRATIONS, announced(parties=parties), *TWO_SENDERS[2:], abroad)
    installation.back_up_data()
    await house.post(in_other(forgotten("01", source=RUPP)))
    kept = await owners(house)
    assert place("04") in kept, "what another country sends is that country's to forget"

    restored, again = await installation.restore(await installation.keys())
    assert said(await restored.post(*again)) == ["accepted applied"] * 2
    assert await owners(restored) == kept
    assert await still_there(restored) == []
    await checked(restored)
