"""Why a process ended, in the words of its log: of a service's, which is JSON, and of anybody's."""

import json
import sys
from pathlib import Path

import pytest

from services.processes import Child


def line(level: str, message: str, **more: str) -> str:
    return json.dumps(
        {"time": "2026-01-01T00:00:00Z", "level": level, "service": "enrolment", "message": message, **more}
    )


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ([line("INFO", "Started server process [7]"), line("ERROR", "[Errno 98] address already in use"),
          line("INFO", "Waiting for application shutdown.")], "ERROR: [Errno 98] address already in use"),
        ([line("ERROR", "Traceback (most recent call last):\n  File x\nOSError: no space"), "x"], "ERROR: OSError: no space"),
        (["Traceback (most recent call last):", "ValueError: SAMPAN_SECRET_FILE", line("INFO", "ends")],
         "ValueError: SAMPAN_SECRET_FILE"),
        ([line("INFO", "Started"), line("INFO", "Finished")], "INFO: Finished"),
        (["{no json", '{"message": 3}'], '{"message": 3}'),
    ],
)  # fmt: skip
def test_the_line_that_says_why(tmp_path: Path, log: list[str], words: str) -> None:
    text = "\n".join(log)
    child = Child("enrolment", [sys.executable, "-c", f"print({text!r}); raise SystemExit(1)"], tmp_path / "log")
    assert child.wait(30) == 1
    assert child.last_words() == words
