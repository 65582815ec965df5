"""Work that may hang: what no longer moves is given up, so that it can be tried again."""

import asyncio
import logging
from collections.abc import Awaitable
from contextvars import ContextVar
from time import monotonic
from typing import TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

STILL_SECONDS = 20.0
"""Work that has not moved for so long is a problem, though perhaps one that ends by itself: a statement may take longer."""
HUNG_SECONDS = 45.0
"""Longer than any statement may take, and than the wait for the word that it took too long."""
PATIENCE_SECONDS = 5.0
"""How long what is given up may take to end."""


class Hung(TimeoutError):
    """Work did not move any more and was given up."""


class Work:
    """One piece of work at a time. It moves when it begins and with each answer of the database: nothing else tells much work
    from work that waits for what never comes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._moved: float | None = None

    def moved(self) -> None:
        if self._moved is not None:
            self._moved = monotonic()

    def still(self) -> float:
        """For how many seconds it has not moved; 0 when there is none."""
        return 0.0 if self._moved is None else monotonic() - self._moved

    def problem(self) -> str | None:
        """What is wrong with it, in plain words."""
        still = self.still()
        return f"{self._name}: what is being handled has not moved for {still:.0f} s" if still > STILL_SECONDS else None

    async def done(self, work: Awaitable[T]) -> T:
        """What `work` returns or raises. Raises Hung when it does not move any more: it is cancelled then."""
        self._moved = monotonic()
        token = _current.set(self)
        task = asyncio.ensure_future(work)
        _current.reset(token)
        try:
            while not task.done():
                await asyncio.wait([task], timeout=max(HUNG_SECONDS - self.still(), 0.05))
                if not task.done() and self.still() >= HUNG_SECONDS:
                    log.error("%s: what was being handled hung for %.0f s: given up", self._name, self.still())
                    raise Hung
            return task.result()
        finally:
            self._moved = None
            if not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=PATIENCE_SECONDS)


_current: ContextVar[Work | None] = ContextVar("work", default=None)


def moved() -> None:
    """Note that the work in whose course this is called moves, if it is any."""
    if work := _current.get():
        work.moved()
