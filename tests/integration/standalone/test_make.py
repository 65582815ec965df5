"""What `make` says on a machine that cannot make the environment, and what it does after an interruption."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TOOLS = ("sh", "make", "rm", "touch", "chmod", "cat", "mkdir")

NO_ENSUREPIP = '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\n'
OLD = '#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit\nexit 1\n'
# Makes an environment whose Python answers everything, and whose installer fails while the file "offline" is there.
WORKS = """#!/bin/sh
if [ "$2" = venv ]; then mkdir -p .venv/bin .venv/lib/python3.12/site-packages; cat "$0" > .venv/bin/python
chmod +x .venv/bin/python; touch .venv/fresh; fi
if [ "$3" = install ] && [ -e offline ]; then exit 1; fi
exit 0
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The Makefile and the lock in a folder of their own, and a search path with nothing but the shell's tools."""
    for file in ("Makefile", "requirements.txt"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / "path").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None, f"these tests need {tool}"
        (tmp_path / "path" / tool).symlink_to(found)
    return tmp_path


def make(tree: Path, **programs: str) -> subprocess.CompletedProcess[str]:
    for name, script in programs.items():
        program = tree / "path" / name
        program.write_text(script)
        program.chmod(0o755)
    return subprocess.run(
        [tree / "path" / "make", ".venv/runtime"],
        cwd=tree,
        env={"PATH": str(tree / "path")},
        capture_output=True,
        text=True,
        check=False,
    )


def first_line(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode != 0
    sentence, rest = ended.stderr.split("\n", 1)
    assert rest.startswith("make: ***"), ended.stderr
    assert rest.count("\n") == 1, ended.stderr
    return sentence


def test_no_python_is_said_in_one_sentence(tree: Path) -> None:
    assert first_line(make(tree)).startswith("Sampan needs Python 3.11, 3.12 or 3.13 (python3 is missing): install")


def test_an_old_python_is_said_in_one_sentence(tree: Path) -> None:
    assert "needs Python 3.11, 3.12 or 3.13 (python3 is Python 3.9.2): install" in first_line(make(tree, python3=OLD))


def test_a_python_without_ensurepip_is_said_in_one_sentence(tree: Path) -> None:
    assert "python3 cannot make environments (it has no ensurepip): install its venv package" in first_line(
        make(tree, python3=NO_ENSUREPIP)
    )


def test_another_python_that_can_is_taken_instead(tree: Path) -> None:
    ended = make(tree, **{"python3.13": NO_ENSUREPIP, "python3.12": WORKS})
    assert ended.returncode == 0, ended.stderr
    assert (tree / ".venv" / "runtime").exists()


def test_a_set_up_that_was_cut_short_is_made_anew(tree: Path) -> None:
    (tree / "offline").touch()
    assert make(tree, python3=WORKS).returncode != 0
    assert not (tree / ".venv" / "runtime").exists()
    (tree / ".venv" / "half-unpacked").touch()
    (tree / "offline").unlink()
    assert make(tree).returncode == 0
    assert (tree / ".venv" / "runtime").exists()
    assert not (tree / ".venv" / "half-unpacked").exists()


def test_it_is_done_again_only_when_the_lock_changes(tree: Path) -> None:
    assert make(tree, python3=WORKS).returncode == 0
    assert "Installing" not in make(tree).stderr
    os.utime(tree / ".venv" / "runtime", (0, 0))  # older than the lock
    (tree / ".venv" / "fresh").unlink()
    assert "Installing requirements.txt" in make(tree).stderr
    assert not (tree / ".venv" / "fresh").exists()  # brought up to date, not made anew


def test_uv_is_used_when_there_is_one(tree: Path) -> None:
    uv = WORKS.replace('"$2" = venv', '"$1" = venv').replace('"$3" = install', '"$2" = install')
    assert make(tree, uv=uv).returncode == 0


@pytest.mark.parametrize(
    ("said", "environment", "folder"),
    [
        ([], {}, "data"),
        ([], {"SAMPAN_DATA": "/var/lib/sampan"}, "/var/lib/sampan"),
        (["DATA=/srv/two words"], {"SAMPAN_DATA": "/var/lib/sampan"}, "/srv/two words"),
    ],
)
def test_up_keeps_its_data_where_it_is_told_to(
    tree: Path, said: list[str], environment: dict[str, str], folder: str
) -> None:
    command = [tree / "path" / "make", "-n", "-o", ".venv/runtime", "up", *said]
    env = {"PATH": str(tree / "path")} | environment
    asked = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, check=True)
    assert asked.stdout.splitlines()[-1] == f'.venv/bin/sampan up --data "{folder}"'


def test_help_names_every_target() -> None:
    program = shutil.which("make")
    assert program is not None
    said = subprocess.run([program, "-C", ROOT], capture_output=True, text=True, check=True).stdout
    for target in ("help", "up", "demo", "test", "lint"):
        assert f"make {target} " in said
