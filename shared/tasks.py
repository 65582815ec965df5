"""Background tasks that really end."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def background(work: Coroutine[Any, Any, None], patience: float = 2.0) -> AsyncIterator[None]:
    """Do the work in the background until the block ends."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await end([task], patience)


async def end(tasks: Iterable[asyncio.Task[Any]], patience: float) -> None:
    """Cancel tasks, again after each `patience` seconds, and wait until they are over, whatever they end with.

    Once is not enough: up to Python 3.11 `asyncio.wait_for`, which nats-py uses throughout, swallows a cancellation that comes in
    the very moment when what it waits for is done.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        done, pending = await asyncio.wait(pending, timeout=patience)
        for task in done:
            if not task.cancelled():
                task.exception()  # looked at, so that asyncio does not complain of it
