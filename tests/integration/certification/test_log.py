"""The transparency log on the real database: it grows, it proves, and whatever is done to it is found out."""

import asyncio
import json
from base64 import b64decode
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.certification.log import Entry, Log
from shared.checkpoints import Checkpoint, NotACheckpoint, Statement, opened
from shared.database import Database
from shared.evidence import proved, read
from shared.merkle import extends, includes, leaf_hash

LOG = Log(b"\x07" * 32, "sampan.example")
OTHER = Log(b"\x08" * 32, "sampan.example")
NOW = datetime(2025, 5, 1, 8, tzinfo=UTC)


def entries(first: int, count: int, status: str = "valid") -> list[Entry]:
    """Issues of certificates that are numbered from ``first`` on."""
    return [
        Entry(
            "issued",
            Statement(f"certificate-{number}", f"public-{number}", f"{number:064x}", status, date(2025, 4, 14)),
            number.to_bytes(16, "big"),
        )
        for number in range(first, first + count)
    ]


async def append(database: Database, first: int, count: int, status: str = "valid", log: Log = LOG) -> Checkpoint:
    await database.run(lambda session: log.append(session, entries(first, count, status), NOW))
    return await newest(database, log)


async def newest(database: Database, log: Log = LOG) -> Checkpoint:
    async with database.transaction() as session:
        return opened(await log.checkpoint(session), await log.key(session))


async def fits(database: Database, kept: Checkpoint) -> bool:
    """What a partner finds who kept a checkpoint."""
    async with database.transaction() as session:
        shown = opened(await LOG.checkpoint(session), await LOG.key(session))
        if shown.size < kept.size:
            return False
        proof = await LOG.consistency(session, kept.size, shown.size)
    return extends(kept.size, kept.root, shown.size, shown.root, proof)


async def problems(database: Database) -> list[tuple[str, str]]:
    async with database.transaction() as session:
        return [found async for found in LOG.verify(session)]


async def test_a_log_that_nobody_wrote_to_has_a_checkpoint_too(database: Database) -> None:
    assert (await newest(database)).size == 0
    assert await problems(database) == []


async def test_every_leaf_is_proved_to_every_checkpoint_after_it(database: Database) -> None:
    checkpoints = [await append(database, first, count) for first, count in ((0, 1), (1, 4), (5, 1), (6, 9), (15, 2))]
    async with database.transaction() as session:
        leaves = await LOG.leaves(session, 0, 100)
        for checkpoint in checkpoints:
            for place in range(checkpoint.size):
                proof = await LOG.inclusion(session, place, checkpoint.size)
                assert includes(checkpoint.root, checkpoint.size, place, leaf_hash(leaves[place].encode()), proof)
    for checkpoint in checkpoints:
        assert await fits(database, checkpoint)
    assert await problems(database) == []


async def test_a_certificates_leaves_prove_what_is_public_of_it(database: Database) -> None:
    await append(database, 0, 5)
    await append(database, 3, 1, "revoked")
    await append(database, 5, 5)
    async with database.transaction() as session:
        evidence, key = await LOG.evidence(session, "public-3"), await LOG.key(session)
    checkpoint, statements = proved(read(evidence.model_dump_json().encode()), key)
    assert checkpoint == await newest(database)
    assert [one.status for one in statements] == ["valid", "revoked"]


CLAIMS: dict[str, Callable[[dict[str, Any]], object]] = {
    "another status": lambda told: told["standings"][1]["standing"].update(status="valid"),
    "another document": lambda told: told["standings"][0]["standing"].update(digest="00" * 32),
    "another salt": lambda told: told["standings"][0].update(salt="00" * 16),
    "another place": lambda told: told["standings"][0].update(place=4),
    "another proof": lambda told: told["standings"][0]["proof"].reverse(),
    "no proof": lambda told: told["standings"][0].update(proof=[]),
    "no hashes": lambda told: told["standings"][0].update(proof=["!"]),
    "another order": lambda told: told["standings"].reverse(),
    "a leaf that is nothing": lambda told: told["standings"][0].update(leaf="["),
    "a leaf of nothing": lambda told: told["standings"][0].update(leaf="[]"),
    "another root": lambda told: told.update(checkpoint=told["checkpoint"].replace("\n7\n", "\n8\n")),
    "no checkpoint": lambda told: told.update(checkpoint="once upon a time"),
    "something else": lambda told: told.update(standings="many"),
}


@pytest.mark.parametrize("claim", CLAIMS)
async def test_whoever_changes_what_the_log_said_is_found_out(database: Database, claim: str) -> None:
    await append(database, 0, 6)
    await append(database, 3, 1, "revoked")
    async with database.transaction() as session:
        told = (await LOG.evidence(session, "public-3")).model_dump(mode="json")
        key = await LOG.key(session)
    CLAIMS[claim](told)
    with pytest.raises(NotACheckpoint):
        proved(read(json.dumps(told).encode()), key)


async def test_leaves_tell_nothing_of_whom_they_are_about(database: Database) -> None:
    await append(database, 0, 3)
    async with database.transaction() as session:
        shown = " ".join(await LOG.leaves(session, 0, 10))
    for said in ("certificate-1", "public-1", f"{1:064x}", "valid", "2025-04-14"):
        assert said not in shown


async def test_transactions_that_append_at_once_come_one_after_the_other(database: Database) -> None:
    await asyncio.gather(*(append(database, first, 3) for first in range(0, 30, 3)))
    assert (await newest(database)).size == 30
    assert await problems(database) == []


async def test_what_is_rolled_back_was_never_in_the_log(database: Database) -> None:
    before = await append(database, 0, 5)

    async def failing(session: AsyncSession) -> None:
        await LOG.append(session, entries(5, 5), NOW)
        raise RuntimeError("after the append")

    with pytest.raises(RuntimeError):
        await database.run(failing)
    assert await newest(database) == before
    assert await problems(database) == []


Tampering = Callable[[AsyncSession], Awaitable[object]]


def sql(*statements: str) -> Tampering:
    async def work(session: AsyncSession) -> None:
        for statement in statements:
            await session.execute(text(statement))

    return work


EDITED = "UPDATE log_leaves SET leaf = replace(leaf, 'issued', 'status') WHERE place = 3"
TAMPERINGS = {
    "edited": (sql(EDITED), "3"),
    "deleted": (sql("DELETE FROM log_leaves WHERE place = 3"), "3"),
    "deleted and closed up": (
        sql("DELETE FROM log_leaves WHERE place = 10", "UPDATE log_leaves SET place = 10 WHERE place = 3"),
        "3",
    ),
    "reordered": (
        sql(
            "UPDATE log_leaves SET place = -3 WHERE place = 3",
            "UPDATE log_leaves SET place = 3 WHERE place = 4",
            "UPDATE log_leaves SET place = 4 WHERE place = -3",
        ),
        "3",
    ),
    "truncated": (sql("DELETE FROM log_leaves WHERE place > 6"), "checkpoint"),
    "truncated with its head": (
        sql("DELETE FROM log_leaves WHERE place > 6", "UPDATE log_head SET size = 7"),
        "checkpoint",
    ),
    "put in": (
        sql(
            "CREATE TEMPORARY TABLE one ON COMMIT DROP AS SELECT * FROM log_leaves WHERE place = 3",
            "UPDATE one SET place = 11",
            "INSERT INTO log_leaves SELECT * FROM one",
        ),
        "11",
    ),
    "another statement beside it": (sql("UPDATE log_leaves SET status = 'revoked' WHERE place = 3"), "3"),
    "another hash above it": (sql("UPDATE log_nodes SET hash = sha256('x') WHERE (level, place) = (2, 0)"), "0"),
    "another checkpoint": (
        sql("UPDATE log_head SET checkpoint = replace(checkpoint, E'\\n11\\n', E'\\n10\\n')"),
        "checkpoint",
    ),
}


@pytest.mark.parametrize("how", TAMPERINGS)
async def test_the_check_finds_what_was_done_to_the_log(database: Database, how: str) -> None:
    await append(database, 0, 11)
    tamper, which = TAMPERINGS[how]
    await database.run(tamper)
    assert which in [where for where, _ in await problems(database)]


async def written_anew(database: Database, *changes: str) -> None:
    """The leaves changed and everything else made to fit, by somebody who has the database and the secret."""
    async with database.transaction() as session:
        for change in changes:
            await session.execute(text(change))
        rows = (await session.execute(text("SELECT * FROM log_leaves ORDER BY place"))).mappings().all()
        await session.execute(text("TRUNCATE log_leaves, log_nodes, log_head"))
        for row in rows:
            said = Statement(row["certificate"], row["public_id"], row["digest"], row["status"], row["since"])
            await LOG.append(session, [Entry("issued", said, row["salt"])], NOW)
    assert await problems(database) == []  # by itself it is a good log


REWRITINGS = {
    "edited": ["UPDATE log_leaves SET status = 'revoked' WHERE place = 3"],
    "deleted": ["DELETE FROM log_leaves WHERE place = 3"],
    "reordered": [
        "UPDATE log_leaves SET place = -3 WHERE place = 3",
        "UPDATE log_leaves SET place = 3 WHERE place = 4",
        "UPDATE log_leaves SET place = 4 WHERE place = -3",
    ],
    "truncated": ["DELETE FROM log_leaves WHERE place > 6"],
}


@pytest.mark.parametrize("how", REWRITINGS)
async def test_a_kept_checkpoint_finds_a_log_that_was_written_anew(database: Database, how: str) -> None:
    kept = await append(database, 0, 11)
    await written_anew(database, *REWRITINGS[how])
    assert not await fits(database, kept)
    await append(database, 20, 5)  # however far it grows then
    assert not await fits(database, kept)


async def test_a_kept_checkpoint_finds_an_older_backup_that_went_on_otherwise(database: Database) -> None:
    early = await append(database, 0, 4)
    kept = await append(database, 4, 6)
    await written_anew(database, "DELETE FROM log_leaves WHERE place >= 4")  # as the backup had it
    assert await fits(database, early)
    assert not await fits(database, kept)
    await append(database, 100, 8)
    assert await fits(database, early)
    assert not await fits(database, kept)


async def test_a_checkpoint_of_another_secret_is_nobodys(database: Database) -> None:
    await append(database, 0, 3, log=OTHER)
    async with database.transaction() as session:
        note, key = await OTHER.checkpoint(session), await LOG.key(session)
    with pytest.raises(NotACheckpoint, match="did not sign"):
        opened(note, key)


@pytest.mark.long
async def test_ten_thousand_leaves_in_one_transaction(database: Database) -> None:
    started = monotonic()
    await append(database, 0, 10_000)
    took = monotonic() - started
    assert took < 10  # about one second on the machine where this was written
    async with database.transaction() as session:
        assert len(await LOG.inclusion(session, 4321, 10_000)) <= 14


def test_the_root_is_in_the_checkpoint_as_the_format_has_it() -> None:
    line = Checkpoint("sampan.example/v1/log", 0, b"\x01" * 32).body.split("\n")
    assert line[:2] == ["sampan.example/v1/log", "0"]
    assert b64decode(line[2]) == b"\x01" * 32
