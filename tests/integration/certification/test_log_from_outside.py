"""What a partner sees of the log over HTTP, with a checkpoint that they kept."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from services import logbook
from services.certification.app import create
from services.certification.log import Log
from services.certification.settings import Settings
from services.errors import ClientError
from services.logbook import Ask, LogDiffers
from shared.checkpoints import NotACheckpoint, opened
from shared.database import Database
from tests.contract.answers import as_documented
from tests.integration.certification.test_log import NOW, REWRITINGS, entries
from tests.servers import broker_files

SECRET = bytes.fromhex("ab" * 32)
LOG = Log(SECRET, "sampan.example")
KNOWN = "a" * 26


@pytest.fixture
def app(migrated: str, tmp_path: Path) -> FastAPI:
    (tmp_path / "secret").write_text(SECRET.hex())
    (tmp_path / "admin").write_text("an-administrators-token\n")
    return create(
        Settings(
            database_url=migrated,
            nats_url="nats://127.0.0.1:1",
            **broker_files(tmp_path, "certification"),
            secret_file=tmp_path / "secret",
            admin_token_file=tmp_path / "admin",
            public_url="https://sampan.example",
        )
    )


@pytest.fixture
async def client(app: FastAPI, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)
    asking = httpx.AsyncClient(transport=transport, base_url="http://it", event_hooks=as_documented("certification"))
    async with app.router.lifespan_context(app), asking as made:
        yield made


async def append(database: Database, first: int, count: int) -> None:
    await database.run(lambda session: LOG.append(session, entries(first, count), NOW))


async def looking(client: httpx.AsyncClient, work: Callable[[Ask], object]) -> None:
    """``work`` with the log as the client reaches it; on a thread of its own, as the command runs."""
    loop = asyncio.get_running_loop()

    def ask(path: str, parameters: Mapping[str, str | int]) -> bytes:
        answer = asyncio.run_coroutine_threadsafe(client.get(f"/v1/log/{path}", params=parameters), loop).result(30)
        assert answer.status_code == 200, answer.text
        return answer.content

    await asyncio.to_thread(work, ask)


async def test_a_partner_keeps_checkpoints_of_a_log_that_grows(
    client: httpx.AsyncClient, database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "kept"

    def look_and_keep(ask: Ask) -> None:
        seen = logbook.look(ask, file, every_leaf=True)
        logbook.keep(ask, seen, file)

    await looking(client, look_and_keep)
    for first, count in ((0, 3), (3, 1500), (1503, 1)):
        await append(database, first, count)
        await looking(client, look_and_keep)
        key = logbook.LogKey.read(logbook.key_file(file).read_text())
        assert opened(file.read_text(), key).size == first + count


@pytest.mark.parametrize("how", REWRITINGS)
async def test_a_partner_finds_a_log_that_was_written_anew(
    client: httpx.AsyncClient, database: Database, tmp_path: Path, how: str
) -> None:
    file = tmp_path / "kept"
    await append(database, 0, 11)
    await looking(client, lambda ask: logbook.keep(ask, logbook.look(ask, file), file))
    kept = file.read_text()
    async with database.transaction() as session:
        for change in REWRITINGS[how]:
            await session.execute(text(change))
        rows = (await session.execute(text("SELECT place, digest, status FROM log_leaves ORDER BY place"))).all()
        await session.execute(text("TRUNCATE log_leaves, log_nodes, log_head"))
        for row in rows:
            await LOG.append(session, entries(int(row.digest, 16), 1, row.status), NOW)

    def look_again(ask: Ask) -> None:
        with pytest.raises(LogDiffers, match="ask whoever runs the log"):
            logbook.look(ask, file)

    if how == "edited":  # the same number of leaves

        def look_again(ask: Ask) -> None:
            with pytest.raises(LogDiffers, match="signed twice"):
                logbook.look(ask, file)

    if how == "reordered":
        await append(database, 20, 1)
    await looking(client, look_again)
    assert file.read_text() == kept


async def test_a_leaf_that_was_changed_in_its_row_is_found_without_being_asked_for(
    client: httpx.AsyncClient, database: Database
) -> None:
    await append(database, 0, 11)
    async with database.transaction() as session:
        await session.execute(text("UPDATE log_leaves SET leaf = replace(leaf, 'issued', 'status') WHERE place = 3"))

    def look(ask: Ask) -> None:
        assert not logbook.look(ask, None, every_leaf=False).whole, "what was signed is as it was"
        for asked in (None, True):
            with pytest.raises(LogDiffers, match="not those that it signed at 11"):
                logbook.look(ask, None, every_leaf=asked)

    await looking(client, look)


async def test_another_installation_is_not_taken_for_the_one_that_was_kept(
    client: httpx.AsyncClient, database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "kept"
    await append(database, 0, 3)
    await looking(client, lambda ask: logbook.keep(ask, logbook.look(ask, file), file))
    other = Log(b"\x01" * 32, "sampan.example")
    async with database.transaction() as session:
        await session.execute(text("TRUNCATE log_leaves, log_nodes, log_head"))
        await other.append(session, entries(0, 3), NOW)

    def look(ask: Ask) -> None:
        with pytest.raises(LogDiffers, match="did not sign"):
            logbook.look(ask, file)

    await looking(client, look)


async def test_a_file_that_is_no_checkpoint_gets_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "kept"
    file.write_text("once upon a time")
    with pytest.raises(ClientError, match=r"put the log's key there"):
        logbook.look(lambda *_: b"", file)
    logbook.key_file(file).write_text("a key")
    with pytest.raises(ClientError, match="not a checkpoint that was kept"):
        logbook.look(lambda *_: b"", file)


async def test_what_the_log_does_not_have_gets_a_sentence(client: httpx.AsyncClient, database: Database) -> None:
    await append(database, 0, 4)
    for path in (
        "proof/inclusion?index=4&size=4",
        "proof/inclusion?index=0&size=5",
        "proof/consistency?from=3&to=2",
        "proof/consistency?from=0&to=5",
        "proof/inclusion?index=-1&size=x",
        "certificates/UPPER",
    ):
        answer = await client.get(f"/v1/log/{path}")
        assert answer.status_code == 400, path
    assert (await client.get(f"/v1/log/certificates/{KNOWN}")).status_code == 404
    assert (await client.get("/v1/log/leaves?from=99")).json() == {"start": 99, "size": 4, "leaves": []}


def test_keys_and_checkpoints_that_cannot_be_read() -> None:
    key = logbook.LogKey("sampan.example/v1/log", b"\x01" * 32)
    assert logbook.LogKey.read(key.text) == key
    for line in ("", "a+b", "a+00000000+AQ==", key.text.replace("sampan", "junk"), "a+b+!"):
        with pytest.raises(NotACheckpoint):
            logbook.LogKey.read(line)
    for note in ("", "\n\n", "a\n1\nx\n\n", "sampan.example/v1/log\n01\nAA==\n\n— a b\n", "a\n" * 20_000):
        with pytest.raises(NotACheckpoint):
            opened(note, key)
