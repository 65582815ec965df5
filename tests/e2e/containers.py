"""The stack of docker-compose.yml, as tests reach into it."""

import json
import os
import shutil
import signal
import subprocess
from typing import Any

from tests.e2e.conftest import ROOT

DOCKER = shutil.which("docker")


def docker(*arguments: str, given: str | None = None) -> str:
    assert DOCKER is not None
    ended = subprocess.run(
        [DOCKER, *arguments], cwd=ROOT, text=True, input=given, capture_output=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def compose(*arguments: str, given: str | None = None) -> str:
    return docker("compose", *arguments, given=given)


def psql(*arguments: str, given: str | None = None) -> str:
    """What psql says as the superuser, unaligned; the first error ends it."""
    settings = ("--username=postgres", "-XtA", "-v", "ON_ERROR_STOP=1", "--dbname=sampan")
    return compose("exec", "-T", "postgres", "psql", *settings, *arguments, given=given).strip()


def sql(statements: str) -> str:
    return psql("-q", "-c", statements)


def containers(service: str = "") -> list[dict[str, Any]]:
    names = compose("ps", "--all", "--quiet", *([service] if service else [])).split()
    found: list[dict[str, Any]] = json.loads(docker("inspect", *names))
    return found


def kill(service: str) -> None:
    """As a crash: `docker kill` would be an order to stay down."""
    for container in containers(service):
        os.kill(container["State"]["Pid"], signal.SIGKILL)
