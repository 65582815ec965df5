"""`sampan` commands, each a process of its own, forked from one that has loaded the program: most take less time than loading it.

That a process which loads it itself says the same is seen where the program is started, and in the demo.
"""

import json
import os
import select
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120


def run(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What `python -m services` does with these arguments, in the project's folder."""
    with tempfile.TemporaryDirectory() as folder:
        said = {name: str(Path(folder, name)) for name in ("stdout", "stderr")}
        loaded = _loaded()
        assert loaded.stdin is not None
        assert loaded.stdout is not None
        loaded.stdin.write(json.dumps({"arguments": arguments, "environment": environment, **said}) + "\n")
        loaded.stdin.flush()
        if not select.select([loaded.stdout], [], [], SECONDS)[0]:
            raise subprocess.TimeoutExpired(arguments, SECONDS)
        status = int(loaded.stdout.readline())
        texts = {name: Path(file).read_text() for name, file in said.items()}
    return subprocess.CompletedProcess(arguments, status, **texts)


@cache
def _loaded() -> subprocess.Popen[str]:
    """Ends when this process does, which closes its input."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.commands"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _fork_for_each() -> dict[str, str]:
    """In a forked process, what is asked of it; the process that forks never comes back."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            asked: dict[str, str] = json.loads(line)
            return asked
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()
    sys.exit(0)


def _main() -> None:
    from services.cli import main

    asked = _fork_for_each()
    for number, file in enumerate((os.devnull, asked["stdout"], asked["stderr"])):
        os.dup2(os.open(file, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["sampan", *asked["arguments"]]
    main()


if __name__ == "__main__":
    _main()
