"""A process whose event loop stands still ends by itself; one that was only paused does not."""

import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[3]
PROGRAM = """
import asyncio, sys, time
from shared import heartbeat

heartbeat.BEAT_SECONDS, heartbeat.MISSED = 0.1, 10

async def main():
    with heartbeat.heartbeat():
        print("beating", flush=True)
        sys.stdin.readline() if sys.argv[1] == "stands still" else await asyncio.sleep(4)

asyncio.run(main())
"""


def start(how: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, how],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "beating\n"
    return process


def test_a_process_that_stands_still_ends_and_says_where() -> None:
    process = start("stands still")
    status = process.wait(20)  # nobody writes to it
    assert process.stderr is not None
    said = process.stderr.read()
    assert status == 70
    assert said.startswith("the event loop has stood still for 1 s: the process ends\n")
    assert "in main" in said


def test_a_process_that_was_paused_goes_on() -> None:
    process = start("goes on")
    psutil.Process(process.pid).suspend()
    time.sleep(2)  # it is the pause itself that is being tried
    psutil.Process(process.pid).resume()
    said = process.communicate(timeout=20)[1]
    assert (process.returncode, said) == (0, "")
