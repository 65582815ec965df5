"""A process that lives and does nothing any more ends, so that whoever started it can start it again."""

import asyncio
import faulthandler
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep

BEAT_SECONDS = 1.0
MISSED = 40
"""Beats. Counted and not timed, so that a process that was paused, or a machine that slept, is not taken for a dead one."""
EXIT_STATUS = 70  # EX_SOFTWARE of sysexits.h


@contextmanager
def heartbeat() -> Iterator[None]:
    """End this process when its event loop stands still inside the block."""
    ended = threading.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(target=_listen, args=(loop, ended), name="heartbeat", daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _listen(loop: asyncio.AbstractEventLoop, ended: threading.Event) -> None:
    beat = threading.Event()
    missed = 0
    while not ended.is_set():
        beat.clear()
        try:
            loop.call_soon_threadsafe(beat.set)
        except RuntimeError:  # the loop is closed
            return
        sleep(BEAT_SECONDS)
        missed = 0 if beat.is_set() else missed + 1
        if missed >= MISSED:
            sys.stderr.write(f"the event loop has stood still for {missed * BEAT_SECONDS:.0f} s: the process ends\n")
            faulthandler.dump_traceback(all_threads=True)  # places in the code, and nothing of what was handled
            os._exit(EXIT_STATUS)
