"""The house: rooms have the same names in every service, and names that say what is in them."""

import shutil
import subprocess
from pathlib import PurePosixPath

import pytest

from tests.architecture.planting import ROOT

NO_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "shared_utils", "lib", "core", "base", "tools"}
ALL = {"__init__.py", "app.py", "settings.py", "api.py", "subscribers.py", "queries.py", "tables.py", "domain.py"}
DECIDES = {"handlers.py", "store.py"}
ROOMS = {"enrolment": ALL | DECIDES, "certification": ALL | DECIDES, "reporting": ALL | {"projection.py"}}
LONGEST = 450


def tracked() -> list[PurePosixPath]:
    git = shutil.which("git") or pytest.skip("no git here")
    command = [git, "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [PurePosixPath(line) for line in listed.stdout.splitlines() if (ROOT / line).exists()]


@pytest.mark.parametrize("service", ROOMS)
def test_every_service_has_the_same_rooms(service: str) -> None:
    folder = ROOT / "services" / service
    assert {path.name for path in folder.glob("*.py")} >= ROOMS[service]
    assert (folder / "migrations" / "env.py").is_file()
    assert list((folder / "migrations" / "versions").glob("0001_*.py"))


def test_no_room_is_named_for_nothing() -> None:
    assert [str(path) for path in tracked() if NO_NAMES & {path.stem, *path.parent.parts}] == []


def test_no_file_is_too_long_to_read_at_once() -> None:
    long = {
        str(path): lines
        for path in tracked()
        if path.suffix == ".py" and (lines := len((ROOT / path).read_text(encoding="utf-8").splitlines())) > LONGEST
    }
    assert long == {}


def test_a_service_is_the_only_one_to_know_its_tables() -> None:
    for service in ROOMS:
        for path in (ROOT / "services" / service).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            for other in ROOMS.keys() - {service}:
                assert f"services.{other}" not in text, path
