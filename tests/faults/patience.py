"""Waiting with a deadline."""

import time
from collections.abc import Callable

BACK_SECONDS = 45


def eventually(holds: Callable[[], bool], what: Callable[[], object] | str, seconds: float = BACK_SECONDS) -> float:
    """Wait until it holds; how long that took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + seconds, what if isinstance(what, str) else what()
        time.sleep(0.05)  # polls with a deadline
    return time.monotonic() - began
