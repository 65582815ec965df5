"""The bus keeps itself going: whatever is deleted, killed, paused or changed under it."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from time import process_time

import nats.errors
import pytest
from faststream.middlewares import AckPolicy
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared import bus as bus_module
from shared import subscriptions
from shared.bus import Bus, Delivery
from shared.credentials import Keys
from shared.database import Database
from shared.deadletters import DeadLetters
from shared.subscriptions import Fetch
from shared.tasks import end
from tests.integration.bus.house import OWNED, House, applied, apply, count, eventually, fact, none, say
from tests.servers import NatsForTests


async def _office(house: House) -> tuple[Database, Bus]:
    database = await house.database("enrolment")
    bus = house.bus("enrolment", database, OWNED)

    async def take(deliveries: list[Delivery]) -> None:
        await database.run(lambda session: apply(session, deliveries))

    bus.intake("intake.enrolment.>", take)
    return database, bus


async def _listener(house: House) -> tuple[Database, Bus]:
    database = await house.database("reporting")
    bus = house.bus("reporting", database)
    bus.facts("ENROLMENT", apply)
    return database, bus


async def test_no_subscriber_acks_by_itself(house: House) -> None:
    _, office = await _office(house)
    _, listener = await _listener(house)
    subscribers = [*office.broker.subscribers, *listener.broker.subscribers]
    assert len(subscribers) == 2
    assert {subscriber.ack_policy for subscriber in subscribers} == {AckPolicy.MANUAL}


async def test_streams_are_as_declared_after_the_start(house: House) -> None:
    async with house.js() as js:
        poorer = StreamConfig(name="ENROLMENT", subjects=["enrolment.>"], storage=StorageType.FILE, max_msgs=10)
        await js.add_stream(poorer)
        _, bus = await _office(house)
        await house.run(bus)
        configs = {info.config.name: info.config for info in await js.streams_info()}
    assert sorted(name or "" for name in configs) == sorted(OWNED)
    assert configs["INTAKE"].retention == RetentionPolicy.WORK_QUEUE
    assert configs["RECEIPTS"].max_age == 90 * 24 * 3600
    for name in ("RECEIPTS", "ENROLMENT", "DEADLETTERS"):
        assert configs[name].allow_atomic
        assert configs[name].retention == RetentionPolicy.LIMITS
    for name, config in configs.items():
        assert config.storage == StorageType.FILE
        assert (config.max_msgs, config.max_bytes) == (-1, -1)
        # One office that floods its own subject is told so, and no message of anybody is pushed out.
        limited = (5_000, DiscardPolicy.NEW) if name == "INTAKE" else (-1, config.discard)
        assert (config.max_msgs_per_subject, config.discard) == limited
    assert configs["ENROLMENT"].max_age == 0
    assert "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>" in (configs["DEADLETTERS"].subjects or [])


@pytest.mark.parametrize(
    "old",
    [
        ConsumerConfig(durable_name="enrolment", filter_subject="intake.enrolment.>", ack_wait=600, max_deliver=3),
        ConsumerConfig(durable_name="enrolment", deliver_subject="elsewhere"),  # cannot be changed into ours
    ],
)
async def test_a_durable_of_another_kind_is_brought_up_to_date(house: House, old: ConsumerConfig) -> None:
    database, bus = await _office(house)
    async with house.js() as js:
        await js.add_stream(name="INTAKE", subjects=["intake.>"], retention=RetentionPolicy.WORK_QUEUE)
        await js.add_consumer("INTAKE", old)
        await house.intake("a")
        await house.run(bus)
        await eventually(lambda: _applied(database, 1))
        config = (await js.consumer_info("INTAKE", "enrolment")).config
    assert 10 <= (config.ack_wait or 0) <= 20
    assert config.max_deliver == -1
    assert config.max_ack_pending == bus_module.INTAKE_BATCH.batch_size
    assert config.filter_subject == "intake.enrolment.>"


async def test_consumer_deleted(house: House) -> None:
    database, bus = await _office(house)
    await house.run(bus)
    async with house.js() as js:
        await js.delete_consumer("INTAKE", "enrolment")
        await house.intake("a")
        await eventually(lambda: _applied(database, 1), seconds=5)
    await eventually(lambda: not bus.health())


async def test_stream_deleted(house: House) -> None:
    database, bus = await _office(house)
    await house.run(bus)
    async with house.js() as js:
        await js.delete_stream("INTAKE")
        await eventually(bus.health, seconds=5)
        await eventually(lambda: not bus.health())
        await house.intake("a")
        await eventually(lambda: _applied(database, 1))


async def test_no_spin_while_a_stream_is_gone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream's owner is not running, so it stays away; and the watch, which would end a spin, looks late."""
    monkeypatch.setattr(subscriptions, "WATCH_SECONDS", 3.0)
    database, bus = await _listener(house)
    async with house.js() as js:
        await js.add_stream(name="ENROLMENT", subjects=["enrolment.>"], allow_atomic=True)
        await house.run(bus)
        await js.delete_stream("ENROLMENT")
        before = process_time()
        await eventually(lambda: any("gone" in problem for problem in bus.health()), seconds=5)
        with pytest.raises(AssertionError, match="not within"):
            await eventually(lambda: not bus.health(), seconds=2)
        assert process_time() - before < 0.7
        await js.add_stream(name="ENROLMENT", subjects=["enrolment.>"], allow_atomic=True)
        await js.publish("enrolment.a", b"{}")
        await eventually(lambda: _applied(database, 1))
    await eventually(lambda: not bus.health())


async def test_broker_killed_and_back(own_house: House) -> None:
    house = own_house
    database, bus = await _office(house)
    enrolment, _, _ = await house.publisher()
    reporting, listener = await _listener(house)
    await house.run(bus)
    await house.run(listener)
    for n in range(3):
        await house.intake(*[f"{n}/{k}" for k in range(100)])
        await say(enrolment, *[fact(f"c{n}-{k}") for k in range(100)])
        house.server.kill()
        await eventually(lambda: bus.health() and listener.health())
        house.server.start()
    await eventually(lambda: _applied(reporting, 300), seconds=30)
    await eventually(lambda: _settled(database), seconds=30)
    assert set(await applied(database)) == {f"{n}/{k}" for n in range(3) for k in range(100)}
    await eventually(lambda: not bus.health() and not listener.health())


async def test_every_connection_reconnects_for_ever(house: House) -> None:
    _, bus = await _office(house)
    await house.run(bus)
    assert bus.connection.options["max_reconnect_attempts"] == -1
    assert bus.connection.options["allow_reconnect"]


async def test_broker_away_at_the_start(own_house: House) -> None:
    house = own_house
    house.server.stop()
    database, bus = await _office(house)
    async with bus.running():
        before = process_time()
        await eventually(lambda: any("broker" in problem for problem in bus.health()))
        with pytest.raises(AssertionError, match="not within"):
            await eventually(lambda: not bus.health(), seconds=1)
        assert process_time() - before < 0.7
        house.server.start()
        await eventually(lambda: not bus.health())
        await house.intake("a")
        await eventually(lambda: _applied(database, 1))


async def test_while_the_broker_is_away_what_was_kept_long_enough_is_deleted(house: House) -> None:
    """Given one of those works fails, then it keeps no other from being done."""
    database = await house.database("enrolment")
    bus = Bus(
        "enrolment",
        database,
        DeadLetters("enrolment", b"s" * 32),
        url="nats://127.0.0.1:1",
        credentials=house.server.keys.service_credentials("enrolment"),
    )
    async with database.transaction() as session:
        letter = "('INTAKE', 1, 'x', 'x', 'x', now(), now() - interval '1 day')"
        columns = "stream, sequence, subject, error, body, recordedtime, expires"
        await session.execute(text(f"INSERT INTO dead_letters ({columns}) VALUES {letter}"))  # noqa: S608
        await session.execute(text("INSERT INTO applied (body) VALUES ('old')"))

    async def fails(_: AsyncSession) -> None:
        raise LookupError

    async def deletes(session: AsyncSession) -> None:
        await session.execute(text("DELETE FROM applied"))

    bus.sweep(fails)
    bus.sweep(deletes)
    async with bus.running():
        await eventually(lambda: none(database, "dead_letters"))
        await eventually(lambda: none(database, "applied"))
        assert not bus.connected


async def test_broker_that_only_stops_answering(own_house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-open connection is noticed by its unanswered pings; what keeps it from connecting again has a name."""
    monkeypatch.setattr(bus_module, "PING_SECONDS", 0.2)
    monkeypatch.setattr(bus_module, "CONNECT_SECONDS", 0.5)
    house = own_house
    database, bus = await _office(house)
    await house.run(bus)
    os.kill(house.server.pid, signal.SIGSTOP)
    try:
        await eventually(bus.health)
        await eventually(lambda: any("(TimeoutError)" in problem for problem in bus.health()))
    finally:
        os.kill(house.server.pid, signal.SIGCONT)
    await eventually(lambda: not bus.health())
    await house.intake("a")
    await eventually(lambda: _applied(database, 1))


async def test_an_outage_is_said_and_not_repeated(own_house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Logs are kept up to a size: those of an outage of a night must not push out what was before it."""
    house = own_house
    _, bus = await _office(house)
    await house.run(bus)
    house.server.kill()
    await eventually(lambda: sum(line.startswith("broker: ConnectionRefused") for line in caplog.messages) >= 3)

    for stream in OWNED:
        assert sum(line.startswith(f"stream {stream}:") for line in caplog.messages) <= 2
    house.server.start()
    await eventually(lambda: not bus.health())


async def test_refused_by_the_broker(house: House) -> None:
    """Credentials of another operator are said, tried again and burn no processor time."""
    database, _ = await _office(house)
    strange = Keys.new().service_credentials("enrolment")
    bus = Bus("enrolment", database, DeadLetters("enrolment", b"s" * 32), url=house.server.url, credentials=strange)
    async with bus.running():
        before = process_time()
        await eventually(lambda: any("Authorization" in problem for problem in bus.health()))
        with pytest.raises(AssertionError, match="not within"):
            await eventually(lambda: not bus.health(), seconds=1)
        assert process_time() - before < 0.7


async def test_refused_for_a_while(own_house: House, tmp_path: Path) -> None:
    """FastStream's own error callback raises here, within nats-py's loop: that would be the end of reconnecting."""
    house = own_house
    database, bus = await _office(house)
    await house.run(bus)
    another = NatsForTests(tmp_path / "another", house.server.port)
    house.server.kill()
    with another:
        await eventually(lambda: any("Authorization" in problem for problem in bus.health()))
    house.server.start()
    await eventually(lambda: not bus.health())
    await house.intake("a")
    await eventually(lambda: _applied(database, 1))


async def test_connection_closed_for_good_is_made_anew(house: House) -> None:
    database, bus = await _office(house)
    await house.run(bus)
    await bus.connection.close()
    await eventually(bus.health)
    await eventually(lambda: not bus.health())
    await house.intake("a")
    await eventually(lambda: _applied(database, 1))


async def test_a_silent_stall_is_noticed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "STALL_SECONDS", 0.5)
    database, bus = await _office(house)
    await house.run(bus)
    (subscriber,) = bus.broker.subscribers

    async def hangs(**_: object) -> list[object]:
        await asyncio.Event().wait()
        return []

    vars(subscriber.subscription)["fetch"] = hangs  # type: ignore[attr-defined]
    async with house.js() as js:
        await eventually(lambda: _nobody_waits(js))
        await house.intake("a")
        await eventually(lambda: _applied(database, 1), seconds=8)


async def test_bare_timeouts_do_not_leave_the_fetch(house: House) -> None:
    _, bus = await _office(house)
    await house.run(bus)

    class Reader:
        async def fetch(self, **_: object) -> list[object]:
            raise TimeoutError

    fetch = Fetch(Reader(), lambda: True, asyncio.Event())  # type: ignore[arg-type]
    with pytest.raises(nats.errors.TimeoutError):
        await fetch(batch=1, timeout=0.05)


async def test_where_nothing_came_one_message_is_waited_for_and_what_comes_with_it_is_collected(house: House) -> None:
    _, bus = await _office(house)
    await house.run(bus)
    asked: list[int] = []
    answers: list[list[str] | Exception] = [
        TimeoutError(),
        ["first"],
        ["second"],
        ["third"],
        TimeoutError(),
        ["fourth"],
    ]
    answers += [nats.errors.ConnectionClosedError(), ["fifth"]]

    class Reader:
        async def fetch(self, batch: int, timeout: float) -> list[str]:  # noqa: ASYNC109 - nats-py's signature
            asked.append(batch)
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

    fetch = Fetch(Reader(), lambda: True, asyncio.Event())  # type: ignore[arg-type]
    got: list[object] = []
    while answers:
        with suppress(nats.errors.TimeoutError):
            got.append(await fetch(batch=50, timeout=0.02))
    assert got == [["first", "second"], ["third"], ["fourth"], ["fifth"]], "one was lost with the rest that failed"
    assert asked == [50, 1, 49, 50, 50, 1, 49, 50]


async def test_database_away(house: House) -> None:
    """Its sessions are killed and it takes no new ones: nothing is lost, and the bus says so."""
    database, bus = await _office(house)
    await house.run(bus)
    house.postgres.execute(f"ALTER DATABASE {house.name} ALLOW_CONNECTIONS false")
    try:
        house.postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{house.name}'")  # noqa: S608
        await house.intake("a", "b")
        await eventually(lambda: any("waits" in problem for problem in bus.health()))
    finally:
        house.postgres.execute(f"ALTER DATABASE {house.name} ALLOW_CONNECTIONS true")
    await eventually(lambda: _applied(database, 2))
    assert await count(database, "dead_letters") == 0
    await eventually(lambda: not bus.health())


async def test_what_the_broker_says_is_on_the_disk(own_server: NatsForTests, tmp_path: Path) -> None:
    """`sync_interval: always`, or a power cut takes what was acknowledged in the last two minutes."""
    (config,) = (tmp_path / "nats").glob("*.conf")
    assert '"sync_interval": "always"' in config.read_text()


async def test_nothing_is_left_running_after_the_end(house: House) -> None:
    before = asyncio.all_tasks()
    _, bus = await _office(house)
    async with bus.running():
        await eventually(lambda: not bus.health())
    await eventually(lambda: asyncio.all_tasks() <= before)
    async with house.js() as js:
        with pytest.raises(NotFoundError):
            await js.stream_info("CERTIFICATION")  # not ours to make


async def test_a_task_that_misses_its_cancellation_ends_all_the_same() -> None:
    """As asyncio.wait_for does up to Python 3.11, now and then."""
    missed: list[bool] = []

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if missed:
                    raise
                missed.append(True)

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await end([task], 0.05)
    assert missed
    assert task.cancelled()


async def _applied(database: Database, messages: int) -> bool:
    return await count(database, "applied") >= messages


async def _settled(database: Database) -> bool:
    return len(set(await applied(database))) == 300


async def _nobody_waits(js: JetStreamContext) -> bool:
    return not (await js.consumer_info("INTAKE", "enrolment")).num_waiting
