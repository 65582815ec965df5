"""The whole program as a user starts it: `sampan up` in a process of its own, on free ports.

With SAMPAN_E2E_SERVER (the address of a service) and SAMPAN_E2E_TOKEN (the administrator's) the same tests run against a
program that runs already and is empty, such as the containers of docker-compose.yml.
"""

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import httpx
import psutil
import pytest

from services.processes import free_port
from tests.e2e import commands

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("enrolment", "certification", "reporting")
EXAMPLE = ROOT / "examples" / "wuxi-2025" / "events.ndjson"
START_SECONDS = 90
ELSEWHERE = os.environ.get("SAMPAN_E2E_SERVER")

on_this_machine = pytest.mark.skipif(ELSEWHERE is not None, reason="concerns `sampan up`")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Against one program for all, those of the containers come last: others do not count the hundreds that they post."""
    items.sort(key=lambda item: item.path.name == "test_compose.py")


def environment() -> dict[str, str]:
    own = {key: value for key, value in os.environ.items() if not key.startswith("SAMPAN_")}
    return own | {
        f"SAMPAN_{name}_PORT": str(free_port()) for name in ("ENROLMENT", "CERTIFICATION", "REPORTING", "NATS")
    }


def sampan(*arguments: str | Path, **options: object) -> list[str]:
    return [sys.executable, "-m", "services", *(str(argument) for argument in arguments)]


def kill_service(program: subprocess.Popen[str], service: str) -> None:
    """SIGKILL for one of the services that a program runs, as the kernel sends it when memory is short."""
    # Its own children only: those of PostgreSQL come and go while one looks at them.
    (process,) = [
        one for one in psutil.Process(program.pid).children() if f"services.{service}.app" in str(one.cmdline())
    ]
    process.kill()


@dataclass
class Program:
    """A running `sampan up`, or one that can be started again on its folder."""

    folder: Path
    env: dict[str, str] = field(default_factory=environment)
    process: subprocess.Popen[str] | None = None

    def start(self, version: Path = ROOT) -> None:
        """Start it; of another version, from where that is checked out."""
        self.process = subprocess.Popen(
            sampan("up", "--data", self.folder), cwd=version, env=self.env, text=True, stderr=subprocess.PIPE
        )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            assert self.process.poll() is None, self.process.communicate()[1]
            assert time.monotonic() < deadline, "sampan up did not become ready"
            time.sleep(0.1)  # polls with a deadline

    def answers(self) -> bool:
        try:
            return all(httpx.get(f"{self.url(name)}/readyz").status_code == 200 for name in SERVICES)
        except httpx.TransportError:
            return False

    def stop(self, with_signal: signal.Signals = signal.SIGINT) -> int:
        assert self.process is not None
        self.process.send_signal(with_signal)
        self.process.communicate(timeout=60)
        return self.process.returncode

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.env[f'SAMPAN_{service.upper()}_PORT']}"

    @property
    def token(self) -> str:
        return (self.folder / "admin-token").read_text().strip()

    @property
    def admin(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """A `sampan` command against this program, as its administrator."""
        env = self.env | {"SAMPAN_TOKEN": self.token, "SAMPAN_SERVER": self.url("enrolment")}
        return commands.run([str(argument) for argument in arguments], env)

    def post(self, events: Path) -> str:
        """Post a file of events that all are taken; what the command says."""
        posted = self.run("post", events)
        assert posted.returncode == 0, posted.stdout + posted.stderr
        return posted.stdout


class RunningElsewhere(Program):
    """A program that somebody else starts and stops."""

    @cached_property
    def addresses(self) -> dict[str, str]:
        told: dict[str, str] = httpx.get(f"{ELSEWHERE}/v1/services", headers=self.admin).raise_for_status().json()
        return told

    def url(self, service: str) -> str:
        return self.addresses[service]

    @property
    def token(self) -> str:
        return os.environ["SAMPAN_E2E_TOKEN"]


@pytest.fixture(scope="module")
def data_folder() -> Iterator[Path]:
    with _folder() as folder:
        yield folder


@pytest.fixture(scope="package")
def program() -> Iterator[Program]:
    """One for all who can live with what the others said: each start costs seconds, and so does each that idles.

    It issues certificates, because its public address is set.
    """
    env = environment()
    address = {"SAMPAN_CERTIFICATION_URL": f"http://127.0.0.1:{env['SAMPAN_CERTIFICATION_PORT']}"}
    with _folder() as folder, _running(folder, env | address) as running:
        yield running


@pytest.fixture(scope="package")
def example(program: Program) -> Program:
    """The same, once it has taken the example."""
    said = program.post(EXAMPLE)
    assert re.search(r"86 events: 86 (accepted|duplicate)\n", said), said
    return program


@pytest.fixture(scope="module")
def own_program(data_folder: Path) -> Iterator[Program]:
    """One that is empty, for whoever counts all that there is or changes it for good."""
    with _running(data_folder) as running:
        if ELSEWHERE is not None:
            cohorts = httpx.get(f"{running.url('enrolment')}/v1/cohorts", headers=running.admin).raise_for_status()
            if cohorts.json()["items"]:
                pytest.skip("needs a program that is empty: docker compose down -v, and up again")
        yield running


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.gettempdir()) / f"sampan-e2e-{secrets.token_hex(4)}"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(folder: Path, env: dict[str, str] | None = None) -> Iterator[Program]:
    if ELSEWHERE is not None:
        yield RunningElsewhere(folder)
        return
    running = Program(folder, env or environment())
    running.start()
    yield running
    if running.process is not None and running.process.poll() is None:
        children = psutil.Process(running.process.pid).children(recursive=True)
        assert running.stop() == 0
        _, left = psutil.wait_procs(children, timeout=20)
        assert not left, left
