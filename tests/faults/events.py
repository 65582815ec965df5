"""Events on their way: over NATS, while something else happens, and what came of them."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import httpx
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from tests.faults.cohorts import owner
from tests.faults.conftest import River
from tests.faults.moments import Superuser
from tests.servers import connect_with_every_right

T = TypeVar("T")


def over_nats(river: River, *events: dict[str, Any]) -> None:
    """As their offices send them; each acknowledged by the broker."""

    async def send() -> None:
        connection = await connect_with_every_right(river.sampan.nats.url, river.sampan.nats.keys)
        try:
            for event in events:
                subject = f"intake.{owner(event)}.{event['source'].removeprefix('/offices/').replace('/', '.')}"
                await connection.jetstream(timeout=10).publish(subject, json.dumps(event).encode())
        finally:
            await connection.close()

    asyncio.run(send())


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Something that may be broken off in the middle."""

    def attempt() -> None:
        with suppress(httpx.TransportError):
            work()

    thread = threading.Thread(target=attempt)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def effects(session: Superuser, event: dict[str, Any]) -> int:
    """Facts of the service that owns it which the event has caused."""
    cause = f"{event['source']}/{event['id']}"
    query = f"SELECT count(*) FROM {owner(event)}.outbox WHERE CAST(body AS jsonb) ->> 'cause' = $1"  # noqa: S608
    (number,) = session.ask(query, cause)
    return int(number)


def in_the_intake(river: River) -> int:
    """Messages that are not settled yet."""

    async def look(streams: JetStreamContext) -> int:
        return int((await streams.stream_info("INTAKE")).state.messages)

    return _ask(river, look)


def lacking(river: River, stream: str, upto: int) -> list[int]:
    """Which messages of a stream the broker cannot give; all of them, if it does not have the stream."""

    async def look(streams: JetStreamContext) -> list[int]:
        async def there(sequence: int) -> bool:
            try:
                await streams.get_msg(stream, sequence)
            except NotFoundError:
                return False
            return True

        return [sequence for sequence in range(1, upto + 1) if not await there(sequence)]

    return _ask(river, look)


def deliveries(river: River, service: str) -> int:
    """How often the broker has delivered a message of the intake to the service, again or not."""

    async def look(streams: JetStreamContext) -> int:
        delivered = (await streams.consumer_info("INTAKE", service)).delivered
        return delivered.consumer_seq if delivered else 0

    return _ask(river, look)


def _ask(river: River, look: Callable[[JetStreamContext], Awaitable[T]]) -> T:
    async def connected() -> T:
        connection = await connect_with_every_right(river.sampan.nats.url, river.sampan.nats.keys)
        try:
            return await look(connection.jetstream(timeout=10))
        finally:
            await connection.close()

    return asyncio.run(connected())
