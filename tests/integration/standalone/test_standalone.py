"""The program as one: starts, faults and ends, with small services and a small alembic in the places of the real ones."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from services.embedded import SERVICES
from services.processes import free_port
from services.standalone import PORTS

ROOT = Path(__file__).parents[3]

SERVICE = """
import os, pathlib
async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        return await send({"type": "lifespan.shutdown.complete"})
    names = sorted(name for name in os.environ if name.startswith("SAMPAN_"))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": " ".join(names).encode()})

def from_environment():
    assert len(pathlib.Path(os.environ["SAMPAN_SECRET_FILE"]).read_text().strip()) == 64
    return application
"""
ALEMBIC = {
    "__init__": "",
    "config": """
class Config:
    def __init__(self, file, ini_section):
        self.service = ini_section
""",
    "command": """
import runpy
def upgrade(config, to):
    runpy.run_path(f"services/{config.service}/migrations/env.py")
""",
}
PROGRAM = """
import json, sys
from pathlib import Path
from services import standalone
from services.processes import StandaloneError

standalone.ROOT = Path(sys.argv[1])
standalone._ASK = standalone._ANSWER = 0.5
try:
    with standalone.Standalone(Path(sys.argv[2])) as sampan:
        parts = (sampan.nats, sampan.postgres, *sampan.services)
        print(json.dumps({"token": sampan.admin_token, "urls": sampan.urls, "pids": {part.name: part.pid for part in parts}}))
        sys.stdout.flush()
        sampan.wait()
except StandaloneError as error:
    sys.exit(str(error))
except KeyboardInterrupt:
    pass  # between the start and the wait
"""


@dataclass
class Running:
    """A program that has said that it is ready."""

    process: subprocess.Popen[str]
    token: str
    urls: dict[str, str]
    pids: dict[str, int]
    children: list[psutil.Process] = field(default_factory=list)

    def end(self, number: signal.Signals) -> str:
        """End it with a signal; what it wrote to standard error."""
        self.children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(number)
        return self.process.communicate(timeout=60)[1]

    def nothing_is_left(self) -> bool:
        return bool(self.children) and not psutil.wait_procs(self.children, timeout=20)[1]


@dataclass
class Place:
    """A tree with small services, a data folder and free ports."""

    root: Path
    data: Path
    ports: dict[str, str]

    def run(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(self.root), str(self.data)],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.startswith("SAMPAN_")} | self.ports,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start(self) -> Running:
        process = self.run()
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said, process.communicate(timeout=60)[1]
        return Running(process, **json.loads(said))

    def refuses(self) -> str:
        """What it says when it does not start; by then nothing of it may run."""
        process = self.run()
        said = process.communicate(timeout=60)[1]
        assert process.returncode == 1, said
        assert said.count("\n") == 1, said
        assert not [one for one in psutil.process_iter(["cmdline"]) if str(self.data) in str(one.info["cmdline"])]
        return said


@pytest.fixture
def place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="sampan-test-"))
    folder.chmod(0o711)
    root = folder / "root"
    for service in SERVICES:
        migrations = root / "services" / service / "migrations"
        migrations.mkdir(parents=True)
        migrations.joinpath("env.py").touch()
        migrations.parent.joinpath("app.py").write_text(SERVICE)
        migrations.parent.joinpath("__init__.py").touch()
    root.joinpath("services", "__init__.py").touch()
    root.joinpath("alembic").mkdir()
    for name, text in ALEMBIC.items():
        root.joinpath("alembic", f"{name}.py").write_text(text)
    shutil.copy(ROOT / "services" / "migrating.py", root / "services")
    yield Place(root, folder / "data", {variable: str(free_port()) for variable, _ in PORTS.values()})
    shutil.rmtree(folder)


def poll(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)  # poll


def answers(url: str) -> bool:
    try:
        return httpx.get(url + "/readyz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.long
def test_a_second_start_carries_on_and_ctrl_c_leaves_nothing_and_a_lost_secret_is_said(place: Place) -> None:
    first = place.start()
    assert httpx.get(first.urls["reporting"]).text.split() == [
        "SAMPAN_ADMIN_TOKEN_FILE",
        "SAMPAN_CERTIFICATION_PORT",
        "SAMPAN_CERTIFICATION_URL",
        "SAMPAN_DATABASE_URL",
        "SAMPAN_ENROLMENT_PORT",
        "SAMPAN_ENROLMENT_URL",
        "SAMPAN_NATS_CREDENTIALS_FILE",
        "SAMPAN_NATS_PORT",
        "SAMPAN_NATS_URL",
        "SAMPAN_PUBLIC_URL",
        "SAMPAN_REPORTING_PORT",
        "SAMPAN_REPORTING_URL",
        "SAMPAN_SECRET_FILE",
    ]
    assert first.end(signal.SIGINT) == ""
    assert first.process.returncode == 0
    assert first.nothing_is_left()
    second = place.start()
    assert second.token == first.token
    second.end(signal.SIGTERM)
    assert second.process.returncode == 0
    assert second.nothing_is_left()

    assert len(first.token) == len("sampan_admin_") + 43
    assert (place.data / "admin-token").read_text() == first.token + "\n"
    made = {path.name for path in (place.data / "secrets").iterdir()}
    assert made == {*SERVICES, *(f"{service}.creds" for service in SERVICES), "nats-keys", "nats-authority"}
    for secret in ("admin-token", *(f"secrets/{name}" for name in made)):
        assert stat.S_IMODE((place.data / secret).stat().st_mode) == 0o600
    logs = {log.stem for log in (place.data / "logs").iterdir()}
    assert logs == {*SERVICES, "migrations", "nats-server", "postgresql"}
    everything_said = "".join(log.read_text() for log in (place.data / "logs").iterdir())
    assert first.token not in everything_said

    (place.data / "secrets" / "enrolment").unlink()
    assert "secrets/enrolment is missing, and the data cannot be read without it" in place.refuses()


@pytest.mark.long
def test_what_dies_is_brought_back_and_said(place: Place) -> None:
    running = place.start()
    for name in ("certification", "nats-server", "PostgreSQL"):
        psutil.Process(running.pids[name]).kill()
    poll(lambda: not answers(running.urls["certification"]), "the killed service still answers")
    poll(lambda: answers(running.urls["certification"]), "the killed service was not brought back")
    children = psutil.Process(running.process.pid).children
    poll(lambda: len(children()) == 5, "not every part was brought back")
    said = running.end(signal.SIGTERM)
    assert running.nothing_is_left()
    for name in ("certification", "nats-server", "PostgreSQL"):
        assert f"{name} ended unexpectedly: it was killed by SIGKILL; starting it in 1 s" in said
    assert said.count("\n") == 3


@pytest.mark.long
def test_a_service_that_lives_and_does_not_answer_is_started_again_and_that_is_said(place: Place) -> None:
    running = place.start()
    silent = psutil.Process(running.pids["certification"])
    silent.suspend()
    poll(lambda: not silent.is_running() or silent.status() == psutil.STATUS_ZOMBIE, "it still lives")
    poll(lambda: answers(running.urls["certification"]), "the silent service was not brought back")
    said = running.end(signal.SIGTERM)
    assert running.nothing_is_left()
    assert "certification lived but has not answered for 3 s, and was killed; starting it in 1 s" in said
    assert said.count("\n") == 1


def test_a_service_that_cannot_start_is_said_with_its_reason(place: Place) -> None:
    app = place.root / "services" / "reporting" / "app.py"
    app.write_text("def from_environment():\n    raise ValueError('no cube here')\n")
    said = place.refuses()
    assert "reporting ended at its start: ValueError: no cube here" in said
    assert str(place.data / "logs" / "reporting.log") in said


def test_tables_that_cannot_be_brought_up_to_date_are_said_with_the_reason(place: Place) -> None:
    migrations = place.root / "services" / "certification" / "migrations"
    migrations.joinpath("env.py").write_text("raise RuntimeError('a column too many')\n")
    assert "tables could not be brought up to date: certification: RuntimeError: a column too many" in place.refuses()


def test_a_port_that_is_none_is_said_in_one_sentence(place: Place) -> None:
    for wrong in ("eighty", "0", "65536", "-1", ""):
        place.ports["SAMPAN_NATS_PORT"] = wrong
        assert f"SAMPAN_NATS_PORT is {wrong!r}: give it a port number from 1 to 65535." in place.refuses()
    place.ports["SAMPAN_NATS_PORT"] = place.ports["SAMPAN_REPORTING_PORT"]
    assert "cannot both have port" in place.refuses()


def test_a_folder_that_is_a_file_is_said_in_one_sentence(place: Place) -> None:
    place.data.write_text("not a folder")
    assert f"The data folder {place.data} cannot be used: " in place.refuses()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_as_root_nothing_is_made_in_a_closed_folder(place: Place) -> None:
    place.data.parent.chmod(0o700)
    assert "cannot enter" in place.refuses()
    assert not place.data.exists()


@pytest.mark.long
def test_ctrl_c_during_the_start_leaves_nothing(place: Place) -> None:
    process = place.run()
    program = psutil.Process(process.pid)
    poll(lambda: len(program.children()) > 2, "it did not start")
    children = program.children(recursive=True)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert not psutil.wait_procs(children, timeout=5)[1]


def test_ctrl_c_while_a_process_is_forked_is_not_lost(tmp_path: Path) -> None:
    # What is raised in the hooks of a fork goes nowhere, so the signal comes there.
    program = """
import os, signal, sys
from pathlib import Path
from services.standalone import Standalone
sampan = Standalone(Path(sys.argv[1]))
sampan._listen_for_signals()
os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGINT))
os.waitpid(os.fork() or os._exit(0), 0)
sampan.wait()
"""
    command = [sys.executable, "-c", program, tmp_path]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0
    assert "Exception ignored" in ended.stderr
