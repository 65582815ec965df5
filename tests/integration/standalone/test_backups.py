"""What keeps a backup from being made, opened or restored is said in one sentence, and nothing is touched."""

import asyncio
import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services import recovery, safekeeping
from services.backups import (
    DATA,
    PERSON_KEYS,
    SECRETS,
    Opened,
    Server,
    dump,
    open_backup,
    put_data,
    put_secrets,
    served,
)
from services.cli import app
from services.person_keys import PersonKeys
from services.processes import StandaloneError
from services.restoring import UNFINISHED, refuse_unfinished, restore
from tests.servers import PostgresForTests

KEYS = PersonKeys(7, {"enrolment": 1, "certification": 1}, [], [], [], [], [])


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    made = tmp_path / "secrets"
    made.mkdir()
    return made


@pytest.fixture
def key(secrets: Path) -> str:
    return recovery.make(secrets)


@pytest.fixture
def backup(tmp_path: Path, secrets: Path, key: str) -> Path:
    """A backup whose data nobody has come to yet."""
    folder = tmp_path / "backups" / "20261130T201500Z"
    folder.mkdir(parents=True)
    (folder / DATA).write_bytes(b"not read before all the rest is known to be good")
    (folder / SECRETS).write_bytes(recovery.seal(secrets, b'{"enrolment": "a secret"}'))
    (folder.parent / PERSON_KEYS).write_bytes(recovery.seal(secrets, KEYS.to_bytes()))
    return folder


def test_there_is_one_recovery_key_and_its_public_half_alone_is_kept(secrets: Path, key: str) -> None:
    assert key.startswith("AGE-SECRET-KEY-1")
    assert [path.name for path in secrets.iterdir()] == [recovery.RECIPIENT]
    assert key not in (secrets / recovery.RECIPIENT).read_text()
    assert (secrets / recovery.RECIPIENT).stat().st_mode & 0o077 == 0
    with pytest.raises(StandaloneError, match="There is a recovery key"):
        recovery.make(secrets)


def test_the_newest_is_opened_or_the_one_that_is_named(backup: Path, key: str) -> None:
    older = backup.with_name("20260101T000000Z")
    older.mkdir()
    for name in (DATA, SECRETS):
        (older / name).write_bytes((backup / name).read_bytes())
    assert open_backup(backup.parent, key).folder == backup
    opened = open_backup(older, f"{key}\n")
    assert (opened.folder, opened.secrets, opened.keys) == (older, {"enrolment": "a secret"}, KEYS)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00k", b"PK\x03\x04\x9d\xe1", b"", "AGE-SECRET-KEY-1".encode("utf-16")])
def test_a_file_that_holds_no_recovery_key_is_answered_in_one_sentence(
    backup: Path, secrets: Path, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "key.txt"
    file.write_bytes(content)
    data = tmp_path / "data"
    asked = ["restore", str(backup), "--data", str(data), "--recovery-key", str(file)]
    run = CliRunner().invoke(app, asked)
    assert isinstance(run.exception, StandaloneError), run.exception
    assert "is no recovery key" in str(run.exception)
    (secrets / recovery.RECIPIENT).write_bytes(content)
    with pytest.raises(StandaloneError, match="no public half"):
        recovery.seal(secrets, b"x")


def test_a_recovery_key_that_was_saved_in_notepad_opens(backup: Path, key: str, tmp_path: Path) -> None:
    file = tmp_path / "key.txt"
    file.write_bytes(b"\xef\xbb\xbf" + key.encode() + b"\r\n")
    assert open_backup(backup, recovery.written(file)).folder == backup


def test_another_key_and_a_damaged_file_open_nothing(backup: Path, key: str, tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    with pytest.raises(StandaloneError, match="does not open"):
        open_backup(backup, recovery.make(tmp_path / "others"))
    with pytest.raises(StandaloneError, match="is no recovery key"):
        open_backup(backup, "age1 something else")
    sealed = bytearray((backup / SECRETS).read_bytes())
    sealed[-1] ^= 1
    (backup / SECRETS).write_bytes(sealed)
    with pytest.raises(StandaloneError, match="does not open"):
        open_backup(backup, key)


@pytest.mark.parametrize("name", [DATA, SECRETS, PERSON_KEYS])
def test_a_part_that_is_missing_is_named(name: str, backup: Path, key: str) -> None:
    next(backup.parent.rglob(name)).unlink()
    with pytest.raises(StandaloneError, match=f"{name} is missing"):
        open_backup(backup, key)


def test_a_restore_overwrites_nothing(backup: Path, key: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "admin-token").write_text("somebody's")
    with pytest.raises(StandaloneError, match="is not empty"):
        restore(backup, data, key, lambda _: None)
    assert os.listdir(data) == ["admin-token"]
    (data / "enrolment").write_text("another secret")
    with pytest.raises(StandaloneError, match="overwrites nothing"):
        put_secrets(open_backup(backup, key), data)
    assert (data / "enrolment").read_text() == "another secret"


def test_nothing_starts_on_what_was_half_restored(tmp_path: Path) -> None:
    refuse_unfinished(tmp_path)
    (tmp_path / UNFINISHED).touch()
    with pytest.raises(StandaloneError, match="has not ended"):
        refuse_unfinished(tmp_path)


def test_nothing_is_backed_up_of_what_was_half_restored(tmp_path: Path, backup: Path) -> None:
    """Its keys do not say any more who is to be forgotten, and would take the place of those that do."""
    data = tmp_path / "data"
    data.mkdir()
    (data / UNFINISHED).touch()
    before = (backup.parent / PERSON_KEYS).read_bytes()

    run = CliRunner().invoke(app, ["backup", str(backup.parent), "--data", str(data)])

    assert isinstance(run.exception, StandaloneError), run.exception
    assert "A restore into" in str(run.exception)
    assert "has not ended" in str(run.exception)
    assert (backup.parent / PERSON_KEYS).read_bytes() == before
    assert sorted(os.listdir(backup.parent)) == [backup.name, PERSON_KEYS]


def test_who_is_to_be_forgotten_after_a_restore_is_not_overwritten_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(safekeeping, "BACKUPS", tmp_path)
    kept = tmp_path / safekeeping.AGAIN

    safekeeping.keep([])
    safekeeping.keep([{"id": "again-1"}])  # nobody was to be forgotten
    safekeeping.keep([{"id": "again-1"}])  # it was interrupted, and is done again
    with pytest.raises(StandaloneError, match="of another restore"):
        safekeeping.keep([{"id": "again-2"}])

    assert kept.read_text() == '{"id": "again-1"}\n'


def test_a_folder_that_nobody_may_look_into_is_said_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(path: Path, **_: object) -> object:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))  # root meets none

    monkeypatch.setattr(Path, "stat", closed)
    with pytest.raises(StandaloneError, match=f"data folder {tmp_path} cannot be used: .*Permission denied"):
        refuse_unfinished(tmp_path)


def test_where_there_is_nothing_there_is_nothing_to_back_up_and_to_restore(tmp_path: Path, secrets: Path) -> None:
    with pytest.raises(StandaloneError, match="There are no data in"), served(tmp_path):
        pass
    with pytest.raises(StandaloneError, match="There is no backup in"):
        open_backup(tmp_path / "nowhere", "AGE-SECRET-KEY-1")
    with pytest.raises(StandaloneError, match="sampan keys recovery"):
        recovery.seal(secrets, b"")


@pytest.fixture
def made(postgres: PostgresForTests, tmp_path: Path) -> Iterator[tuple[Opened, Server]]:
    """A backup of an installation that nobody has used, and a server with an empty database for it."""
    of, to = (Server.of(postgres, name) for name in (postgres.create_migrated_database(), postgres.create_database()))
    postgres.execute("UPDATE enrolment.outbox_head SET position = 7", of.database)
    dump(of, tmp_path / DATA)
    yield Opened(tmp_path, {}, asyncio.run(keys_of(of))), to
    for name in (of.database, to.database, f"{to.database}_restoring"):
        postgres.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


async def keys_of(server: Server) -> PersonKeys:
    connection = await server.connect()
    try:
        return await PersonKeys.read(connection)
    finally:
        await connection.close()


def epoch(postgres: PostgresForTests, server: Server) -> str:
    """Of the database that services would find."""
    return postgres.execute("SELECT epoch FROM enrolment.outbox_head", server.database).strip()


@pytest.mark.parametrize("fault", ["interrupted", "older keys", "keys of an older epoch", "damaged data"])
def test_given_a_restore_that_did_not_end_then_nothing_can_start_on_it_and_it_is_done_again(
    fault: str, made: tuple[Opened, Server], postgres: PostgresForTests
) -> None:
    backup, server = made

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    if fault == "interrupted":
        with pytest.raises(KeyboardInterrupt):
            put_data(backup, server, interrupted)
    elif fault == "older keys":
        with pytest.raises(StandaloneError, match="is older than"):
            put_data(backup._replace(keys=replace(backup.keys, position=6)), server, print)
    elif fault == "keys of an older epoch":
        older = replace(backup.keys, position=9, epochs=dict.fromkeys(backup.keys.epochs, 0))
        with pytest.raises(StandaloneError, match="restore the newest backup"):
            put_data(backup._replace(keys=older), server, print)
    else:
        damaged = backup.folder / "damaged"
        damaged.mkdir()
        whole = (backup.folder / DATA).read_bytes()
        (damaged / DATA).write_bytes(whole[: len(whole) * 9 // 10])
        with pytest.raises(StandaloneError, match="pg_restore failed"):
            put_data(backup._replace(folder=damaged), server, print)
    names = postgres.execute("SELECT datname FROM pg_database").split()
    assert server.database not in names, "services would start on it"

    kept: list[list[Any]] = []
    put_data(backup, server, kept.append)
    assert (kept, epoch(postgres, server)) == ([[]], "2")
    with pytest.raises(StandaloneError, match="overwrites nothing"):
        put_data(backup, server, print)
    assert epoch(postgres, server) == "2"
