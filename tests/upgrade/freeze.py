"""Freezes what an earlier version of Sampan keeps, so that an upgrade of its data can be tried for ever.

    git worktree add --detach /tmp/earlier 46451eb
    .venv/bin/python -m tests.upgrade.freeze /tmp/earlier

46451eb was the last version before people, rosters, safeguards and certificates: between its tables and today's lie all
migrations but the first ones. It runs from its worktree with this environment, takes the example, is stopped, and what is in its
databases and its folder of secrets is written here. No data of anybody are in it: the example's persons are invented.
"""

import json
import sys
import tempfile
from pathlib import Path

from services.backups import served
from services.embedded import SERVICES
from tests.e2e.conftest import EXAMPLE, Program, environment
from tests.e2e.test_program import eventually, totals

HERE = Path(__file__).parent
DUMP, SECRETS = HERE / "earlier.dump", HERE / "earlier.json"


def freeze(earlier: Path) -> None:
    """Run the version in a worktree with the example, and write its dump and secrets here."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o711)
        program = Program(Path(place) / "data", environment())
        program.start(earlier)
        try:
            posted = program.run("post", EXAMPLE)
            assert posted.returncode == 0, posted.stdout + posted.stderr
            eventually(lambda: totals(program)["certified"] == 9, "the report never showed nine certificates")
        finally:
            program.stop()
        with served(program.folder) as server:
            server.run("pg_dump", "--format=custom", "--compress=9", f"--file={DUMP}", "sampan")
        kept = {name: (program.folder / "secrets" / name).read_text().strip() for name in (*SERVICES, "nats-keys")}
        SECRETS.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    freeze(Path(sys.argv[1]))
