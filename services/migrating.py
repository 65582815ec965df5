"""The tables of several services brought up to date by one process: one for each would load everything anew.

``python -m services.migrating enrolment certification reporting``, with SAMPAN_ENROLMENT_DATABASE_URL and its like in the
environment.
"""

import os
import sys
import traceback

from alembic.command import upgrade
from alembic.config import Config


def main(services: list[str]) -> int:
    """Bring each up to date, or say with the last line which could not be and why; the exit status."""
    for service in services:
        os.environ["SAMPAN_DATABASE_URL"] = os.environ[f"SAMPAN_{service.upper()}_DATABASE_URL"]
        try:
            upgrade(Config("alembic.ini", ini_section=service), "head")
        except Exception as error:
            traceback.print_exc()
            said = str(error).partition("\n")[0]
            sys.stderr.write(f"{service}: {type(error).__name__}: {said}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
