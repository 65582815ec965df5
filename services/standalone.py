"""The whole program on one machine: broker, database, migrations and the three services, in one data folder."""

import http.client
import os
import re
import secrets
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from services.embedded import SERVICES, EmbeddedNats, EmbeddedPostgres, check_way
from services.processes import (
    LOOPBACK,
    Child,
    Part,
    StandaloneError,
    check_port,
    keep_secret,
    lock_folder,
    make_folder,
    write_whole,
)
from shared.addresses import address_flaw

ROOT = Path(__file__).resolve().parent.parent  # the folder of alembic.ini and of the packages
PORTS = {
    "enrolment": ("SAMPAN_ENROLMENT_PORT", 8001),
    "certification": ("SAMPAN_CERTIFICATION_PORT", 8002),
    "reporting": ("SAMPAN_REPORTING_PORT", 8003),
    "nats-server": ("SAMPAN_NATS_PORT", 4222),
}
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends the program in good order."""

_MIGRATED_DEADLINE = 1800.0  # seconds: one may make something anew from all that there is
_READY_DEADLINE = 90.0  # seconds, and again as often as one that makes its rows anew has got on with it
_HEARD = re.compile(r"is heard up to \d+ of")
_READ_THROUGH = "is to be made anew"
"""What a service says before a gap in a stream: its owner, who begins to read at every start, has not come to it yet."""
_GRACE = 5  # seconds that a service gives its open requests when it is stopped
_LONGEST_WAIT = 30.0  # seconds between two attempts to bring a part back
_ASK = 5.0  # seconds between two looks whether a part that lives also answers
_ANSWER = 2.0  # seconds that it may take to answer then
_SILENT = 6  # times without an answer in a row: it is started again
_STEADY = 60.0  # seconds of life after which an earlier failure no longer counts


class Service(Part):
    """One of the three services."""

    _patience = _GRACE + 5

    def __init__(self, name: str, port: int, log: Path, environment: Mapping[str, str]) -> None:
        super().__init__(name, log)
        self.port = port
        self._environment = environment

    def start(self) -> None:
        """Start it; `unready` tells when it is there."""
        application = ("-m", "uvicorn", f"services.{self.name}.app:from_environment", "--factory")
        address = ("--host", LOOPBACK, "--port", str(self.port))
        manners = ("--no-access-log", "--timeout-graceful-shutdown", str(_GRACE))
        self._child = _python(self.name, self.log, self._environment, *application, *address, *manners)

    def unready(self) -> str | None:
        """Why it is not ready, in its own words, or None when it is."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            said = answer.read(2000).decode(errors="replace").strip()
        except (OSError, http.client.HTTPException) as error:
            return f"no answer ({error})"
        finally:
            connection.close()
        return None if answer.status == 200 else f"{answer.status} {said}"

    def answers(self) -> bool:
        """Whether it answers at all, whatever it says."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=_ANSWER)
        try:
            connection.request("GET", "/livez")
            connection.getresponse()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True


class Standalone:
    """Sampan in one data folder; use it as a context manager, from the main thread.

    `admin_token` and `urls` (by service) are for whoever posts and asks. A second start with the same folder carries
    on with the same data.
    """

    admin_token: str  # from `start` on

    def __init__(
        self, folder: Path, environment: Mapping[str, str] = os.environ, say: Callable[[str], None] | None = None
    ) -> None:
        """``say`` is told what takes long."""
        self.folder = folder.absolute()
        ports = _ports(environment)
        logs = self.folder / "logs"
        self.urls = {service: f"http://{LOOPBACK}:{ports[service]}" for service in SERVICES}
        said = _addresses(environment, ports)
        self._told = self.urls | said
        # It stands in every document that is issued, so it is somebody's decision.
        self.issuing_at = said.get("certification")
        nats_log = logs / "nats-server.log"
        self.nats = EmbeddedNats(self.folder / "nats", ports["nats-server"], nats_log, self.folder / "secrets")
        self.postgres = EmbeddedPostgres(self.folder / "postgres", log=logs / "postgresql.log")
        self.services: list[Service] = []
        self._ports = ports
        self._environment = environment
        self._say = say
        self._watched: list[_Watched] = []
        self._lock: IO[str] | None = None
        self._interrupted = False
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and return when every service is ready.

        Raises StandaloneError, with nothing left running, when something the user can mend is in the way. From here
        until `stop`, SIGTERM and a closed terminal interrupt like Ctrl-C.
        """
        for name, port in self._ports.items():
            check_port(name, port, f"stop what uses it, or set {PORTS[name][0]} to another port")
        self._listen_for_signals()
        try:
            self._start()
        except OSError as error:
            self.stop()
            raise StandaloneError(f"The data folder {self.folder} cannot be used: {error}.") from error
        except BaseException:
            self.stop()
            raise

    def wait(self) -> None:
        """Keep everything running, bringing back what dies, until Ctrl-C or SIGTERM."""
        try:
            while True:
                self.look()
                time.sleep(0.2)
        except KeyboardInterrupt:
            return

    def look(self) -> None:
        """Look once after everything, and bring back what died if it is time to; for whoever waits for the program."""
        self._heed_signals()
        for part in self._watched:
            part.look()

    def stop(self) -> None:
        """Stop the services, then the broker, then the database; calling it again does nothing."""
        for number in self._handlers:
            signal.signal(number, signal.SIG_IGN)  # every wait below has an end of its own
        for service in self.services:
            service.ask_to_stop()
        for part in (*self.services, self.nats, self.postgres):
            part.stop()
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _start(self) -> None:
        check_way(self.folder)
        make_folder(self.folder)
        self._lock = lock_folder(self.folder)
        if self._say is not None:
            self._say("Starting the broker, the database and three services: up to a minute.")
        for private in ("logs", "secrets"):
            (self.folder / private).mkdir(mode=0o700, exist_ok=True)
        self.admin_token = keep_secret(self.folder / "admin-token", lambda: f"sampan_admin_{secrets.token_urlsafe(32)}")
        for name in SERVICES:
            # What enrolment keeps of persons is encrypted with its secret.
            secret = self.folder / "secrets" / name
            keep_secret(secret, lambda: secrets.token_hex(32), must_be_there=self.postgres.has_data)
        self._write_credentials()
        self.nats.start()
        self.postgres.start()
        self.services = [
            Service(name, self._ports[name], self.folder / "logs" / f"{name}.log", self._settings(name))
            for name in SERVICES
        ]
        self._migrate()
        for service in self.services:
            service.start()
        self._until_ready()
        self._watched = [_Watched(part) for part in (self.nats, self.postgres, *self.services)]

    def _write_credentials(self) -> None:
        # Made anew at each start: another version may give a service other rights.
        keys = self.nats.keys
        for name in SERVICES:
            write_whole(self.folder / "secrets" / f"{name}.creds", keys.service_credentials(name), 0o600)
        write_whole(self.folder / "secrets" / "nats-authority", keys.authority(), 0o600)

    def _settings(self, service: str) -> dict[str, str]:
        enrolments = {
            "SAMPAN_NATS_AUTHORITY_FILE": str(self.folder / "secrets" / "nats-authority"),
            "SAMPAN_NATS_PUBLIC_URL": self._environment.get("SAMPAN_NATS_PUBLIC_URL", self.nats.url),
        }
        return {
            **self._environment,
            **(enrolments if service == "enrolment" else {}),
            # From whom uvicorn believes X-Forwarded-For: nobody but the proxies that are named.
            "FORWARDED_ALLOW_IPS": self._environment.get("SAMPAN_TRUSTED_PROXIES", ""),
            "SAMPAN_DATABASE_URL": self.postgres.url(service),
            "SAMPAN_NATS_URL": self.nats.url,
            "SAMPAN_NATS_CREDENTIALS_FILE": str(self.folder / "secrets" / f"{service}.creds"),
            "SAMPAN_SECRET_FILE": str(self.folder / "secrets" / service),
            "SAMPAN_ADMIN_TOKEN_FILE": str(self.folder / "admin-token"),
            "SAMPAN_PUBLIC_URL": (self.issuing_at or "") if service == "certification" else self._told[service],
            **{f"SAMPAN_{name.upper()}_URL": url for name, url in self._told.items()},
        }

    def _migrate(self) -> None:
        """Bring every service's tables up to date."""
        log = self.folder / "logs" / "migrations.log"
        urls = {f"SAMPAN_{name.upper()}_DATABASE_URL": self.postgres.url(name) for name in SERVICES}
        migration = _python("migrations", log, {**self._environment, **urls}, "-m", "services.migrating", *SERVICES)
        try:
            if migration.wait(_MIGRATED_DEADLINE) != 0:
                raise StandaloneError(
                    f"The tables could not be brought up to date: {migration.last_words()} (all of it: {log})."
                )
        finally:
            migration.end(signal.SIGTERM, 5)

    def _until_ready(self) -> None:
        deadline = time.monotonic() + _READY_DEADLINE
        heard: list[str] = []
        for service in self.services:
            while reason := service.unready():
                self._heed_signals()
                if ((moved := _HEARD.findall(reason)) and moved != heard) or _READ_THROUGH in reason:
                    deadline, heard = time.monotonic() + _READY_DEADLINE, moved
                for other in self.services:
                    if not other.alive:
                        raise StandaloneError(
                            f"{other.name} ended at its start: {other.last_words()} (all of it: {other.log})."
                        )
                if time.monotonic() > deadline:
                    raise StandaloneError(
                        f"{service.name} is not ready after {_READY_DEADLINE:.0f} s: {reason} (its log: {service.log})."
                    )
                time.sleep(0.05)

    def _listen_for_signals(self) -> None:
        def interrupt(_number: int, _frame: object) -> None:
            self._interrupted = True
            raise KeyboardInterrupt

        for number in INTERRUPTS:
            handler = signal.getsignal(number)
            if handler is not signal.SIG_IGN:  # nohup's wish, or a background job's
                self._handlers[number] = signal.signal(number, interrupt)

    def _heed_signals(self) -> None:
        # An interrupt that comes while a process is forked is raised in the hooks of the fork, and lost there.
        if self._interrupted:
            raise KeyboardInterrupt


@dataclass
class _Watched:
    """A part and how often in a row it died."""

    part: Part
    failures: int = 0
    started: float = 0.0
    due: float | None = None  # when to start it again; None: it lives
    silent: int = 0
    asked: float = 0.0  # when it was last asked, or will have had the time to start

    def look(self) -> None:
        now = time.monotonic()
        if self.due is None:
            if self.part.alive and self._answers(now):
                return
            self.failures = 1 if now - self.started > _STEADY else self.failures + 1
            if self.part.alive:
                self.part.kill()
                self._put_off(f"lived but has not answered for {_SILENT * _ASK:.0f} s, and was killed")
            else:
                self._put_off(f"ended unexpectedly: {self.part.last_words()}")
        elif now >= self.due:
            try:
                self.part.start()
            except (StandaloneError, OSError) as error:
                self.failures += 1
                self._put_off(f"could not be started again: {error}")
            else:
                self.started = time.monotonic()
                self.asked = self.started + _STEADY
                self.due, self.silent = None, 0

    def _answers(self, now: float) -> bool:
        """False when it has been silent for too long; a part that nobody asks is told by its services."""
        if not isinstance(self.part, Service) or now < self.asked + _ASK:
            return True
        self.silent = 0 if self.part.answers() else self.silent + 1
        self.asked = time.monotonic()
        return self.silent < _SILENT

    def _put_off(self, what: str) -> None:
        pause = min(_LONGEST_WAIT, 0.5 * 2 ** min(self.failures, 10))
        self.due = time.monotonic() + pause
        sys.stderr.write(f"{self.part.name} {what}; starting it in {pause:.0f} s (its log: {self.part.log})\n")


def _python(name: str, log: Path, environment: Mapping[str, str], *arguments: str) -> Child:
    # From the project's folder, so that its packages are found also when it is not installed.
    return Child(name, [sys.executable, *arguments], log, environment=environment, folder=ROOT)


def _addresses(environment: Mapping[str, str], ports: Mapping[str, int]) -> dict[str, str]:
    """What others are told, behind a proxy that brings them here: SAMPAN_ENROLMENT_URL ..., or SAMPAN_PUBLIC_URL for all."""
    told: dict[str, str] = {}
    if start := environment.get("SAMPAN_PUBLIC_URL", "").rstrip("/"):
        told = {name: f"{start}:{ports[name]}" for name in SERVICES}
        own = all(environment.get(f"SAMPAN_{name.upper()}_URL") for name in SERVICES)
        if not own and (flaw := address_flaw(told["certification"])):
            raise StandaloneError(
                f"SAMPAN_PUBLIC_URL is {start!r}. Each service's port comes behind it: give it without one, such as "
                f"http://127.0.0.1, or give each service's whole address (SAMPAN_CERTIFICATION_URL and so on). "
                f"{told['certification']} {flaw}."
            )
    for name in SERVICES:
        variable = f"SAMPAN_{name.upper()}_URL"
        if given := environment.get(variable):
            if flaw := address_flaw(given):
                raise StandaloneError(f"{variable}: {given} {flaw}.")
            told[name] = given.rstrip("/")
    return told


def _ports(environment: Mapping[str, str]) -> dict[str, int]:
    ports: dict[str, int] = {}
    for name, (variable, usual) in PORTS.items():
        given = environment.get(variable, str(usual))
        if not given.isascii() or not given.isdigit() or not 0 < int(given) < 65536:
            raise StandaloneError(f"{variable} is {given!r}: give it a port number from 1 to 65535.")
        for other, port in ports.items():
            if port == int(given):
                raise StandaloneError(f"{other} and {name} cannot both have port {port}: change {variable}.")
        ports[name] = int(given)
    return ports
