"""What offices send is handled once, and what fails is neither lost nor in the way."""

import asyncio
import logging
from collections import Counter
from time import monotonic

import pytest
from nats.js import JetStreamContext
from nats.js.errors import NoStreamResponseError
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from shared import batches, progress, subscriptions
from shared import bus as bus_module
from shared.bus import Bus, Delivery
from shared.database import Database
from shared.deadletters import DeadLetters
from shared.relay import Relay
from shared.streams import ensure_stream
from tests.integration.bus.house import OWNED, House, applied, apply, count, eventually, none, reached, stream

TRICKLE_SECONDS = 10.0  # more than two waits for an ack, shortened to 4 s


class Office:
    """Enrolment's side of the intake, with a handler that fails as the test says."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.batches: list[list[str]] = []
        self.deliveries: Counter[str] = Counter()
        self.poison: set[str] = set()
        self.slow: set[str] = set()
        self.hangs: set[str] = set()
        self.statements = 0
        self.world: Exception | None = None

    async def take(self, deliveries: list[Delivery]) -> None:
        bodies = [delivery.body.decode() for delivery in deliveries]
        self.batches.append(bodies)
        self.deliveries.update(bodies)
        if self.world is not None:
            raise self.world
        if self.poison & set(bodies):
            raise ValueError("Sokha Chan")  # messages repeat their input
        if self.hangs & set(bodies):
            await asyncio.Event().wait()
        for _ in range(self.statements):
            async with self.database.transaction() as session:
                await session.execute(text("SELECT pg_sleep(0.1)"))
        if self.slow & set(bodies):
            raise TimeoutError
        await self.database.run(lambda session: apply(session, deliveries))


async def _intake(house: House, poison: str = "") -> tuple[Office, Bus]:
    database = await house.database("enrolment")
    office = Office(database)
    office.poison = {poison}
    bus = house.bus("enrolment", database, OWNED)
    bus.intake("intake.enrolment.>", office.take)
    return office, await house.run(bus)


async def test_messages_are_handled_once_and_leave_the_bus(house: House) -> None:
    office, _ = await _intake(house)
    await house.intake(*[str(n) for n in range(120)])
    await eventually(lambda: _handled(office, 120))
    assert await applied(office.database) == [str(n) for n in range(120)]
    async with house.js() as js:
        await eventually(lambda: _emptied(js))


async def test_a_message_that_claims_to_be_the_servers_own_word_is_handled_like_any_other(house: House) -> None:
    office, bus = await _intake(house)
    await eventually(lambda: not bus.health())
    async with house.js() as js:
        for status in ("503", "404", "408", "409", "100"):
            await js.publish("intake.enrolment.kh.ntti", status.encode(), headers={"Status": status})
        await js.publish("intake.enrolment.kh.ntti", b"plain")
    await eventually(lambda: _handled(office, 6))
    async with house.js() as js:
        await eventually(lambda: _emptied(js))


async def test_a_subject_that_no_service_hears_is_not_acknowledged(house: House) -> None:
    await _intake(house)
    async with house.js() as js:
        await eventually(lambda: reached(js, 0))
        for subject in ("intake.enrolmentx.kh.ntti", "intake.reporting.kh.ntti", "intake.enrolment"):
            with pytest.raises(NoStreamResponseError):
                await js.publish(subject, b"{}")


async def test_a_handler_that_raises_loses_nothing(house: House) -> None:
    office, bus = await _intake(house)
    office.world = ConnectionRefusedError()
    await house.intake("a", "b")
    await eventually(lambda: office.batches)
    await eventually(lambda: any("ConnectionRefusedError" in problem for problem in bus.health()))
    assert await count(office.database, "dead_letters") == 0
    office.world = None
    await eventually(lambda: _handled(office, 2))
    assert not bus.health()


async def test_redelivery_backs_off(house: House) -> None:
    office, _ = await _intake(house)
    office.world = OperationalError("SELECT 1", {}, ConnectionResetError(), connection_invalidated=True)
    await house.intake("a")
    started = monotonic()
    await eventually(lambda: len(office.batches) >= 3)
    assert monotonic() - started > 1.2, "0.5 s and 1 s, not thousands a second"
    assert await none(office.database, "dead_letters")


async def test_one_bad_message_among_good_ones(house: House) -> None:
    async with house.js() as js:
        await ensure_stream(js, "INTAKE")
    await house.intake("a", "bad", "b", "c")
    office, bus = await _intake(house, poison="bad")
    await eventually(lambda: _handled(office, 3))
    await eventually(lambda: _dead(office.database, 1))
    assert sorted(await applied(office.database)) == ["a", "b", "c"]
    async with house.js() as js:
        await eventually(lambda: _emptied(js))
    assert office.batches[0] == ["a", "bad", "b", "c"]
    assert office.deliveries["bad"] == 4, "once with the others, three times by itself"
    assert not bus.health()


async def test_a_message_that_fails_as_if_it_were_the_world_holds_up_nobody_and_ends(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one that takes the database longer than a statement may."""
    monkeypatch.setattr(batches, "LONGEST_WAIT_SECONDS", 0.2)
    async with house.js() as js:
        await ensure_stream(js, "INTAKE")
    await house.intake("slow", "a", "b", "c")
    office, bus = await _intake(house)
    office.slow = {"slow"}
    await eventually(lambda: _handled(office, 3))
    assert "slow" not in await applied(office.database)

    later = 0
    while not await _dead(office.database, 1):
        later += 1
        assert later < 50
        await house.intake(f"later {later}")
        await eventually(lambda: _handled(office, 3 + later))  # noqa: B023
    await eventually(lambda: not bus.health())
    async with house.js() as js:
        await eventually(lambda: _emptied(js))


async def test_a_handler_that_hangs_is_said_given_up_and_begun_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "STILL_SECONDS", 0.5)
    monkeypatch.setattr(progress, "HUNG_SECONDS", 1.5)
    office, bus = await _intake(house)
    office.hangs = {"a"}
    await house.intake("a")
    await eventually(lambda: any("has not moved" in problem for problem in bus.health()))
    await eventually(lambda: office.deliveries["a"] >= 2)
    office.hangs = set()
    await house.intake("b")
    await eventually(lambda: _handled(office, 2))
    await eventually(lambda: not bus.health())


async def test_a_handler_that_works_for_long_and_moves_is_left_to_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "STILL_SECONDS", 0.5)
    monkeypatch.setattr(progress, "HUNG_SECONDS", 1.0)
    office, bus = await _intake(house)
    office.statements = 20
    await house.intake("a")
    await eventually(lambda: _handled(office, 1))
    assert office.deliveries["a"] == 1
    assert not bus.health()


async def test_while_all_fail_as_the_world_does_nothing_is_given_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as tables that are not migrated yet: the database answers all the while."""
    monkeypatch.setattr(batches, "LONGEST_WAIT_SECONDS", 0.1)
    office, bus = await _intake(house)
    office.world = TimeoutError()
    await house.intake("a", "b")
    await eventually(lambda: office.deliveries["a"] > 16 and office.deliveries["b"] > 16)
    assert await none(office.database, "dead_letters")
    assert any("INTAKE waits" in problem for problem in bus.health())
    office.world = None
    await eventually(lambda: _handled(office, 2))


async def test_a_dead_letter_is_sealed_and_announced_without_its_body(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    office, bus = await _intake(house, poison="Sokha Chan, 12 March")
    await house.intake("Sokha Chan, 12 March")
    async with Relay(office.database, bus, service="enrolment", stream="ENROLMENT").running(), house.js() as js:
        await eventually(lambda: reached(js, 1, "DEADLETTERS"))
        ((_, subject, announced),) = await stream(js, "DEADLETTERS")
    assert subject == "deadletter.enrolment"
    assert "ValueError" in announced
    assert "Sokha" not in announced
    assert "Sokha" not in caplog.text
    assert "Sokha" not in house.postgres.execute("SELECT * FROM enrolment.dead_letters", house.name)
    letters = DeadLetters("enrolment", b"s" * 32)
    async with office.database.transaction() as session:
        (entry,) = await letters.entries(session)
        assert (entry.stream, entry.sequence, entry.subject) == ("INTAKE", 1, "intake.enrolment.kh.ntti")
        assert (entry.expires - entry.recordedtime).days == 90
        assert await letters.body(session, entry.id) == b"Sokha Chan, 12 March"


async def test_a_partial_batch_does_not_wait(house: House) -> None:
    office, _ = await _intake(house)
    async with house.js() as js:
        worst = 0.0
        for n in range(10):
            started = monotonic()
            await js.publish("intake.enrolment.kh.ntti", str(n).encode())
            await eventually(lambda n=n: office.deliveries[str(n)])  # type: ignore[misc]
            worst = max(worst, monotonic() - started)
    assert worst < 1.0  # 0.05 s to collect, on a busy machine


async def test_a_trickle_is_never_redelivered(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "ACK_WAIT_SECONDS", 4.0)
    office, _ = await _intake(house)
    slowest = 0.0
    sent: dict[str, float] = {}
    async with house.js() as js:
        ends = monotonic() + TRICKLE_SECONDS
        while monotonic() < ends:
            body = str(len(sent))
            sent[body] = monotonic()
            await js.publish("intake.enrolment.kh.ntti", body.encode())
            await asyncio.sleep(0.004)
        await eventually(lambda: _handled(office, len(sent)))
        slowest = monotonic() - sent[body]
        info = await js.consumer_info("INTAKE", "enrolment")
    assert max(office.deliveries.values()) == 1
    assert not info.num_redelivered
    assert slowest < 2


async def test_stopped_during_collection(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "ACK_WAIT_SECONDS", 2.0)
    monkeypatch.setattr(bus_module, "STOP_SECONDS", 0.2)
    database = await house.database("enrolment")
    office = Office(database)
    first = house.bus("enrolment", database, OWNED)
    stuck = asyncio.Event()

    async def never(deliveries: list[Delivery]) -> None:
        stuck.set()
        await asyncio.Event().wait()

    first.intake("intake.enrolment.>", never)
    async with first.running():
        await eventually(lambda: not first.health())
        await house.intake("a")
        await asyncio.wait_for(stuck.wait(), 5)
    second = house.bus("enrolment", database, OWNED)
    second.intake("intake.enrolment.>", office.take)
    await house.run(second)
    await eventually(lambda: _handled(office, 1))
    assert await applied(database) == ["a"]


async def test_what_another_replica_took_is_no_longer_this_ones_trouble(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "LONGEST_WAIT_SECONDS", 0.3)
    monkeypatch.setattr(batches, "OVERDUE_SECONDS", 1)
    sick, first = await _intake(house)
    sick.world = ConnectionRefusedError()
    well = Office(sick.database)
    second = house.bus("enrolment", sick.database, OWNED)
    second.intake("intake.enrolment.>", well.take)
    await house.intake("a")
    await eventually(lambda: any("waits" in problem for problem in first.health()))
    await house.run(second)
    await house.intake("b", "c")
    await eventually(lambda: _handled(well, 3))
    await eventually(lambda: not first.health())


async def _handled(office: Office, messages: int) -> bool:
    return await count(office.database, "applied") >= messages


async def _dead(database: Database, letters: int) -> bool:
    return await count(database, "dead_letters") == letters


async def _emptied(js: JetStreamContext) -> bool:
    return (await js.stream_info("INTAKE")).state.messages == 0
