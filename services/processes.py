"""Child processes that end with this one, and what the embedded servers need of the machine: folders, ports, secrets.

Start children from a thread that lives as long as the program (the main thread): Linux ties a child's life to the
thread that started it.
"""

import contextlib
import ctypes
import errno
import fcntl
import functools
import itertools
import json
import os
import platform
import pwd
import random
import re
import signal
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import IO, Self

LOOPBACK = "127.0.0.1"

# The lines that say why a program ended: PostgreSQL's and nats-server's last ones, the end of a traceback, uvicorn's.
_TELLING = (
    re.compile(r"FATAL|PANIC|\[FTL\]"),
    re.compile(r"^(?!INFO|WARNING|ERROR)[A-Za-z][\w.]*: "),
    re.compile(r"^ERROR"),
)
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class StandaloneError(Exception):
    """Something the user can mend; its text is one plain sentence that says how."""


class Child:
    """A process of ours: in a session of its own, so that Ctrl-C reaches only us, and gone when we are.

    `account` is the user to run as (None: ourselves); `dies_by` is the signal that the kernel sends it when we
    end without stopping it (Linux only; elsewhere a killed parent leaves it running).
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        account: pwd.struct_passwd | None = None,
        folder: Path | None = None,
        dies_by: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as output:
            self._log_start = output.tell()
            try:
                self._process = subprocess.Popen(  # noqa: S603 - our own programs, no shell
                    [str(word) for word in command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd=folder,
                    start_new_session=True,
                    preexec_fn=_die_with_parent(dies_by),  # noqa: PLW1509 - see there
                    user=None if account is None else account.pw_uid,
                    group=None if account is None else account.pw_gid,
                    extra_groups=None if account is None else [],
                )
            except OSError as error:
                raise cannot_run(name, command[0], error) from error

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait(self, deadline: float) -> int | None:
        """The exit status, or None if it still runs after `deadline` seconds."""
        try:
            return self._process.wait(deadline)
        except subprocess.TimeoutExpired:
            return None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens if it has ended."""
        self._process.send_signal(number)

    def end(self, politely: signal.Signals, patience: float) -> None:
        """Ask it to end, and kill it if it has not within `patience` seconds."""
        self.send(politely)
        if self.wait(patience) is None:
            self.send(signal.SIGKILL)
            self._process.wait()

    def last_words(self) -> str:
        """Why it ended: the signal that killed it, or the line of its log that most likely says it."""
        status = self._process.poll()
        if status is not None and status < 0:
            return f"it was killed by {signal.Signals(-status).name}"
        with open(self.log, "rb") as log:
            log.seek(max(self._log_start, os.fstat(log.fileno()).st_size - 65536))
            lines = [_said(line.strip()) for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        for telling in _TELLING:
            found = [line for line in lines if telling.search(line)]
            if found:
                return found[-1][:500]
        return lines[-1][:500] if lines else "it said nothing"


def _said(line: str) -> str:
    """A line of a log; of one in JSON, as the services write it, what it says."""
    if line.startswith("{"):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            told = json.loads(line)
            words = str(told["message"]).strip().splitlines()
            return f"{told['level']}: {words[-1] if words else told.get('error', '')}"
    return line


class Part(ABC):
    """A part of the program that is one long-lived process; it can be started again after it ended."""

    _ends_by = signal.SIGTERM
    _patience = 30.0  # seconds between the polite signal and the other one

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._child: Child | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def start(self) -> None:
        """Start it; raises StandaloneError when something the user can mend is in the way."""

    @property
    def alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child is not None and self._child.alive

    @property
    def pid(self) -> int:
        """Its process id; raises RuntimeError before the first start."""
        if self._child is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._child.pid

    def last_words(self) -> str:
        """Why it ended, in a few words."""
        return "it was not started" if self._child is None else self._child.last_words()

    def ask_to_stop(self) -> None:
        """Send the polite signal and do not wait."""
        if self._child is not None:
            self._child.send(self._ends_by)

    def stop(self) -> None:
        """End it in good order, or after a while by force: when this returns it is gone."""
        if self._child is not None:
            self._child.end(self._ends_by, self._patience)

    def kill(self) -> None:
        """`kill -9`, for tests."""
        if self._child is not None:
            self._child.end(signal.SIGKILL, self._patience)


def _die_with_parent(number: signal.Signals) -> Callable[[], None]:
    """What a child runs before its program: the kernel sends it `number` when we end."""
    parent = os.getpid()

    def ask() -> None:
        # After the change of user, which would clear the wish. Two system calls and no lock: safe after a fork.
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
            if os.getppid() != parent:  # it ended before the wish was made
                os._exit(1)

    return ask


def cannot_run(name: str, program: str | Path, error: OSError | str) -> StandaloneError:
    """The sentence for a program that this machine cannot execute."""
    reason = error if isinstance(error, str) else (error.strerror or str(error))
    return StandaloneError(
        f"{name} does not run on this machine ({platform.system()} {platform.machine()}): {program}: {reason}; "
        "remove the environment (.venv) and set it up again on this machine."
    )


def run(
    name: str,
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    account: pwd.struct_passwd | None = None,
    text: str = "",
) -> subprocess.CompletedProcess[str]:
    """Run a short program to its end, with `text` as its input; its output and errors together."""
    try:
        return subprocess.run(  # noqa: S603 - our own programs, no shell
            [str(word) for word in command],
            input=text,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd="/",
            preexec_fn=_die_with_parent(signal.SIGKILL),
            user=None if account is None else account.pw_uid,
            group=None if account is None else account.pw_gid,
            extra_groups=None if account is None else [],
            check=False,
        )
    except OSError as error:
        raise cannot_run(name, command[0], error) from error


@functools.cache
def installed(distribution: str, path: str) -> Path:
    """A file that the wheel `distribution` brought, found without importing it; `path` is as in its RECORD's end."""
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if f"/{file.as_posix()}".endswith(f"/{path}"):
            found = Path(str(file.locate())).resolve()
            if found.is_file():
                return found
    raise StandaloneError(
        f"The package {distribution} is not complete in this environment ({path} is missing): "
        "remove the environment (.venv) and set it up again."
    )


def free_port() -> int:
    """A loopback TCP port that is free now.

    Not one of those that the kernel lends to outgoing connections, which would sooner or later have it first; and another one at
    each call.
    """
    for port in itertools.islice(_unlent_ports(), 1000):
        try:
            with socket.create_server((LOOPBACK, port)):
                return port
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise StandaloneError("A thousand ports of this machine were tried and none is free: stop what uses them.")


@functools.cache
def _unlent_ports() -> Iterator[int]:
    ports = range(20_000, 32_768)
    return itertools.cycle(random.sample(ports, len(ports)))


def port_problem(port: int) -> str | None:
    """Why this process could not listen on a loopback TCP port now, or None if it could."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError as error:
            return "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        return None


def check_port(name: str, port: int, remedy: str = "stop what uses it and start again") -> None:
    """Raise StandaloneError, naming the port and the remedy, if this process could not listen on it now."""
    if problem := port_problem(port):
        raise StandaloneError(f"{name}'s port {port} {problem}: {remedy}.")


def lock_folder(folder: Path) -> IO[str]:
    """Take a data folder for ourselves; it is ours until the answer is closed or this process ends.

    Raises StandaloneError when another live process holds it.
    """
    lock = open(folder / "lock", "a+")  # noqa: SIM115 - open for as long as the folder is ours
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise StandaloneError(
            f"The data folder {folder} is in use by another Sampan (process {holder}): "
            "stop that one first, or choose another folder with --data."
        ) from error
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def write_whole(path: Path, content: str | bytes, mode: int) -> None:
    """Write a file so that a crash or a power loss leaves the old one or the new one, whole."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Let what was renamed in `folder` outlive a power loss."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_secret(path: Path) -> str:
    """The text of a secret file. Raises StandaloneError where it holds none, OSError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise StandaloneError(f"{path} is damaged: put it back from a backup.") from None


def keep_secret(path: Path, make: Callable[[], str], *, must_be_there: bool = False) -> str:
    """The text of a secret file (mode 600), made with `make` when it is not there yet.

    `must_be_there` says that data exist which are of no use without it: then it is never made anew.
    """
    with contextlib.suppress(FileNotFoundError):
        if secret := read_secret(path):
            return secret
        raise StandaloneError(f"{path} is empty: put it back from a backup, or delete it if there are no data yet.")
    if must_be_there:
        raise StandaloneError(f"{path} is missing, and the data cannot be read without it: put it back from a backup.")
    made = make()
    write_whole(path, made + "\n", 0o600)
    return made


def make_folder(folder: Path) -> None:
    """Make a folder, and the parents it lacks, so that PostgreSQL's user may pass through but not list them."""
    if folder.is_dir() and any(folder.iterdir()):
        return  # not made by us, or made before: its owner's wish stands
    if not folder.parent.is_dir():
        make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        folder.chmod(0o711)


def can_enter(folder: Path, account: pwd.struct_passwd) -> bool:
    """Whether a user may pass through a folder; asked as root, of the kernel, and of no program that a PATH would name."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(account.pw_gid)
            os.setuid(account.pw_uid)
            os.chdir(folder)
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def open_to_readers(folder: Path) -> None:
    """Let every user read what is in `folder`, and run what its owner may run."""
    for path in (folder, *folder.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))
