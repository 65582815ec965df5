"""The id of an event crosses outbox and bus, and the gauges tell what waits there."""

import asyncio

from nats.js.api import RawStreamMsg
from prometheus_client import REGISTRY

from shared import correlation
from shared.batches import STRIKES
from shared.bus import Bus, Delivery
from shared.correlation import Way
from shared.database import Database
from shared.depths import Depths
from shared.outbox import Notice, notify, publish
from shared.relay import Relay
from tests.integration.bus.house import OWNED, House, count, eventually, fact, reached, say, tell

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CAUSE = "/offices/kh/ntti/e1"
"""Of every fact of the house."""


def gauge(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


async def message(house: House, stream: str, sequence: int) -> RawStreamMsg:
    async with house.js() as js:
        await eventually(lambda: reached(js, sequence, stream))
        return await js.get_msg(stream, sequence)


async def test_the_way_crosses_the_outbox_though_the_relay_comes_later(house: House) -> None:
    database = await house.database("enrolment")
    bus = await house.run(house.bus("enrolment", database, OWNED))
    with correlation.on(Way("the-one", TRACE)):
        await say(database, fact("c1"))
        await tell(database, "receipts.kh.ntti")
    await say(database, fact("c2"))
    async with Relay(database, bus, service="enrolment", stream="ENROLMENT").running():
        first, second = [await message(house, "ENROLMENT", sequence) for sequence in (1, 2)]
        receipt = await message(house, "RECEIPTS", 1)
    for one in (first, receipt):
        assert {name: (one.headers or {}).get(name) for name in ("X-Correlation-Id", "traceparent")} == {
            "X-Correlation-Id": "the-one",
            "traceparent": TRACE,
        }
    assert "X-Correlation-Id" not in (second.headers or {}), "nothing was being handled"


async def test_of_many_in_one_transaction_each_goes_on_in_its_own_way(house: House) -> None:
    database, _, _ = await house.publisher()

    async def work(session: object) -> None:
        correlation.follow({CAUSE: Way("of-the-cause")})
        await publish(session, "enrolment", [fact("c1")])  # type: ignore[arg-type]
        await notify(session, [Notice("receipts.kh.ntti", {}, Way("of-the-message")), Notice("receipts.kh.ntti", {})])  # type: ignore[arg-type]

    with correlation.on(Way("of-the-batch")):
        await database.run(work)
    assert (await message(house, "ENROLMENT", 1)).headers["X-Correlation-Id"] == "of-the-cause"  # type: ignore[index]
    told = [(await message(house, "RECEIPTS", sequence)).headers["X-Correlation-Id"] for sequence in (1, 2)]  # type: ignore[index]
    assert told == ["of-the-message", "of-the-batch"]


async def test_an_offices_message_brings_its_id_or_is_given_one(house: House) -> None:
    database = await house.database("enrolment")
    ways: dict[bytes, Way] = {}

    async def handle(deliveries: list[Delivery]) -> None:
        ways.update({delivery.body: delivery.way for delivery in deliveries})

    bus = house.bus("enrolment", database, OWNED)
    bus.intake("intake.enrolment.>", handle)
    await house.run(bus)
    async with house.js() as js:
        for body, headers in (
            (b"with", {"X-Correlation-Id": "mine", "traceparent": TRACE}),
            (b"name", {"X-Correlation-Id": "Sokha Chan"}),
            (b"none", None),
        ):
            await js.publish("intake.enrolment.kh.ntti", body, headers=headers)
    await eventually(lambda: len(ways) == 3)
    assert ways[b"with"] == Way("mine", TRACE)
    assert len({way.correlation for way in ways.values()}) == 3
    assert "Sokha Chan" not in str(ways)


async def _gauges(database: Database, bus: Bus, stream: str | None) -> list[float | None]:
    await Depths(database, bus, stream).look()
    names = ("sampan_outbox_depth", "sampan_notices_depth", "sampan_dead_letters")
    return [gauge(name, service=bus.service) for name in names]


async def test_the_gauges_tell_what_waits(house: House) -> None:
    database = await house.database("enrolment")
    bus = house.bus("enrolment", database, OWNED)

    async def handle(deliveries: list[Delivery]) -> None:
        raise KeyError

    bus.intake("intake.enrolment.>", handle)
    await house.run(bus)
    await say(database, fact("c1"), fact("c2"))
    await tell(database, "receipts.kh.ntti", "receipts.kh.ntti", "receipts.kh.ntti")
    await house.intake("bad")
    await eventually(lambda: _dead(database))
    assert await _gauges(database, bus, "ENROLMENT") == [2, 4, 1], "the announcement of the dead letter waits too"
    labels = {"service": "enrolment", "stream": "INTAKE", "outcome": "failed"}
    assert (gauge("sampan_messages_total", **labels) or 0) >= STRIKES
    async with Relay(database, bus, service="enrolment", stream="ENROLMENT").running():
        async with house.js() as js:
            await eventually(lambda: reached(js, 2))
            await eventually(lambda: reached(js, 1, "DEADLETTERS"))
        await eventually(lambda: _published(database))
    assert await _gauges(database, bus, "ENROLMENT") == [0, 0, 1]


async def _dead(database: Database) -> bool:
    return await count(database, "dead_letters") == 1


async def _published(database: Database) -> bool:
    return await count(database, "notices") == 0


async def test_the_lag_of_a_consumer_is_told_by_whoever_hears(house: House) -> None:
    database, _, _ = await house.publisher()
    await say(database, *[fact(f"c{n}", n) for n in range(7)])
    go_on = asyncio.Event()

    async def hold(_: object, _deliveries: list[Delivery]) -> None:
        await go_on.wait()

    listener = await house.database("reporting")
    bus = house.bus("reporting", listener)
    bus.facts("ENROLMENT", hold)
    labels = {"service": "reporting", "stream": "ENROLMENT"}
    async with bus.running():
        await eventually(lambda: gauge("sampan_consumer_lag", **labels) == 7)
        go_on.set()
        await eventually(lambda: gauge("sampan_consumer_lag", **labels) == 0)
    assert gauge("sampan_consumer_lag", **labels) is None, "whoever does not hear does not know"
