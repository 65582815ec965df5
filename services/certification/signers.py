"""Signing and verifying many documents on all processors: in processes of their own while there is much to do.

Few are signed in a thread of the service. For many, processes are spawned, each with the bundled contexts loaded once, and ended
again when nothing more is to be signed. Where none can be made (no shared memory), the thread does it all, at the speed of one.
"""

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime
from functools import partial
from time import monotonic, sleep
from typing import TypeVar

from services.certification import signing
from services.certification.issuer_keys import IssuerKey
from services.certification.operator import Operator
from services.certification.signing import Document, Job, Stored, Unsigned

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")
FEW = 16
"""So many are signed sooner than a process is spawned."""
PORTION = 32
"""Documents that are given to a process at a time."""
REST_SECONDS = 30.0
"""Without anything to sign for so long, the processes end."""


class Signers:
    """Signs and verifies for one service."""

    def __init__(self, processes: int | None = None) -> None:
        """``processes`` is one for each processor when it is not said."""
        self._processes = processes or len(os.sched_getaffinity(0))
        self._pool: ProcessPoolExecutor | None = None
        self._impossible = False
        self._used = monotonic()

    async def sign(
        self, operator: Operator, key: IssuerKey, now: datetime, jobs: Sequence[Job]
    ) -> list[Document | Unsigned]:
        """The signed documents, in order, and why one could not be."""
        return await self._spread(partial(signing.sign_all, operator, key, now), jobs)

    async def verify(self, operator: Operator, stored: Sequence[Stored]) -> list[bool]:
        """Whether each is what was signed, and verifies."""
        return await self._spread(partial(signing.verify_all, operator), stored)

    def rest(self) -> None:
        """End the processes if nothing was signed for a while."""
        if self._pool is not None and monotonic() - self._used > REST_SECONDS:
            self.close()

    def close(self) -> None:
        """End the processes."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    async def _spread(self, work: Callable[[Sequence[T]], list[R]], items: Sequence[T]) -> list[R]:
        self._used = monotonic()
        if len(items) > FEW and (pool := self._made()) is not None:
            portions = [items[first : first + PORTION] for first in range(0, len(items), PORTION)]
            try:
                futures: list[Future[list[R]]] = [pool.submit(work, portion) for portion in portions]
                done = await asyncio.gather(*map(asyncio.wrap_future, futures))
                return [one for portion in done for one in portion]
            except (BrokenProcessPool, OSError) as error:
                log.warning("processes for signing ended: %s; signing in this one", type(error).__name__)
                self.close()
        return await asyncio.to_thread(work, items)

    def _made(self) -> ProcessPoolExecutor | None:
        if self._pool is None and not self._impossible:
            try:
                self._pool = ProcessPoolExecutor(
                    self._processes, multiprocessing.get_context("spawn"), _ready, (os.getpid(),)
                )
            except (OSError, ImportError) as error:
                log.warning("no processes for signing can be made: %s", error)
                self._impossible = True
        return self._pool


def _ready(parent: int) -> None:
    """In a fresh process: leave signals to the parent, end with it however it ends, and load what every document needs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    signing.warm()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        sleep(1)
    os._exit(0)
