"""Asking another service over the broker, on a subject that no stream captures: what is asked and answered is kept nowhere.

A request on a stream's subject would be answered by the stream. Who may ask and who may answer is in ``shared.rights``.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.bus import BrokerAway, Bus
from shared.deadletters import describe
from shared.tasks import background

log = logging.getLogger(__name__)

ANSWER_SECONDS = 10.0
LOOK_SECONDS = 0.5
Answering = Callable[[bytes], Awaitable[bytes]]


class NoAnswer(ConnectionError):
    """Nobody answers now, or not in time."""


async def ask(bus: Bus, subject: str, body: bytes) -> bytes:
    """What whoever hears the subject answers. Raises BrokerAway and NoAnswer, and nothing that holds what was asked."""
    try:
        answer = await bus.connection.request(subject, body, ANSWER_SECONDS)
    except BrokerAway:
        raise
    except (nats.errors.Error, TimeoutError, OSError) as error:
        raise NoAnswer(f"nobody answers on {subject}: {type(error).__name__}") from None
    if not answer.data:
        raise NoAnswer(f"what hears {subject} could not answer")
    return bytes(answer.data)


class Answers:
    """Hears one subject and answers on it, also after the connection was made anew. Copies of a service share the requests."""

    def __init__(self, bus: Bus, subject: str, answering: Answering) -> None:
        self._bus = bus
        self._subject = subject
        self._answering = answering

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer in the background until the block ends."""
        async with background(self._run()):
            yield

    async def _run(self) -> None:
        heard: Client | None = None
        while True:
            with suppress(BrokerAway):
                connection = self._bus.connection
                if connection is not heard:  # a connection that comes back by itself subscribes by itself
                    try:
                        await connection.subscribe(self._subject, queue=self._bus.service, cb=self._answer)
                        heard = connection
                    except Exception as error:
                        log.warning("%s is not heard yet: %s", self._subject, describe(error))
            await asyncio.sleep(LOOK_SECONDS)

    async def _answer(self, message: Msg) -> None:
        try:
            answer = await self._answering(message.data)
        except Exception as error:
            log.warning("a request on %s could not be answered: %s", self._subject, describe(error))
            answer = b""
        with suppress(Exception):  # who asked asks again
            await message.respond(answer)
