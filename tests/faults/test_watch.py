"""A dead consumer, a deleted stream and a silent stall are noticed within 30 seconds, mended, and said."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from tests.faults.conftest import River, centre
from tests.faults.patience import eventually
from tests.faults.recoveries import Recoveries
from tests.servers import connect_with_every_right

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(180)]

WITHIN = 30


def on_the_broker(river: River, work: Callable[[Client, JetStreamContext], Awaitable[object]]) -> None:
    async def connected() -> None:
        server = river.sampan.nats
        connection = await connect_with_every_right(server.url, server.keys)
        try:
            await work(connection, connection.jetstream())
        finally:
            await connection.close()

    asyncio.run(connected())


def position(river: River) -> int:
    answer = river.http.get(f"{river.sampan.urls['reporting']}/v1/position")
    return int(answer.json()["position"]["ENROLMENT"])


def reported(river: River, number: str) -> Callable[[], bool]:
    """Post an event, and answer what tells whether reporting has heard of it."""
    upto = river.post(centre(number)).json()["position"]["ENROLMENT"]
    return lambda: position(river) >= upto


def restarts(river: River) -> float:
    return sum(river.metric(service, "sampan_bus_restarts_total") for service in river.sampan.urls)


@pytest.mark.long
def test_consumers_deleted(river: River, recoveries: Recoveries) -> None:
    before, began = restarts(river), time.monotonic()

    async def delete(_: Client, streams: JetStreamContext) -> None:
        for stream in ("INTAKE", "ENROLMENT", "CERTIFICATION"):
            for consumer in await streams.consumers_info(stream):
                await streams.delete_consumer(stream, consumer.name)

    with river.posting("consumers"):
        on_the_broker(river, delete)
        eventually(reported(river, "no-consumers"), river.say, WITHIN)
        eventually(river.all_ready, river.say, WITHIN)
        recoveries.tell("every consumer deleted", time.monotonic() - began)
    assert restarts(river) >= before + 5
    assert "ENROLMENT is not heard: stream or consumer is gone" in river.log("reporting")
    river.assert_nothing_lost([centre("no-consumers")])


@pytest.mark.long
def test_streams_deleted(river: River, recoveries: Recoveries) -> None:
    before, began = restarts(river), time.monotonic()

    async def delete(_: Client, streams: JetStreamContext) -> None:
        for stream in ("INTAKE", "ENROLMENT", "CERTIFICATION", "RECEIPTS", "DEADLETTERS"):
            await streams.delete_stream(stream)

    with river.posting("streams"):
        on_the_broker(river, delete)
        eventually(lambda: restarts(river) >= before + 5, river.say, WITHIN)
        eventually(reported(river, "no-streams"), river.say, WITHIN)
        eventually(river.all_ready, river.say, WITHIN)
        recoveries.tell("every stream deleted", time.monotonic() - began)
    assert "stream ENROLMENT is gone: it is made anew" in river.log("enrolment")
    river.assert_nothing_lost([centre("no-streams")])


@pytest.mark.long
def test_a_silent_stall(river: River, recoveries: Recoveries) -> None:
    """A consumer that somebody paused for a day: it is there, requests are taken, and nothing comes."""
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86400))
    before, began = river.metric("reporting", "sampan_bus_restarts_total"), time.monotonic()

    async def pause(connection: Client, _: JetStreamContext) -> None:
        subject = "$JS.API.CONSUMER.PAUSE.ENROLMENT.reporting"
        answer = await connection.request(subject, json.dumps({"pause_until": until}).encode())
        assert json.loads(answer.data)["paused"]

    on_the_broker(river, pause)
    eventually(reported(river, "stalled"), river.say, WITHIN)
    assert river.metric("reporting", "sampan_bus_restarts_total") > before
    assert "ENROLMENT is not heard: Stalled" in river.log("reporting")
    eventually(river.all_ready, river.say, WITHIN)
    recoveries.tell("a consumer paused", time.monotonic() - began)
    river.assert_nothing_lost([centre("stalled")])
