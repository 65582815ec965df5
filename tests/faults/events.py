"""Events on their way: over NATS, while something else happens, and what came of them."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx

from tests.faults.conftest import River
from tests.faults.moments import Superuser
from tests.servers import connect_with_every_right


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


def owner(event: dict[str, Any]) -> str:
    return "certification" if event["type"].startswith("certificate.") else "enrolment"


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

    async def look() -> int:
        connection = await connect_with_every_right(river.sampan.nats.url, river.sampan.nats.keys)
        try:
            return int((await connection.jetstream(timeout=10).stream_info("INTAKE")).state.messages)
        finally:
            await connection.close()

    return asyncio.run(look())
