"""Facts are applied in order, without gaps and once, by whoever hears them."""

import asyncio
import json
from contextlib import suppress

import pytest
from sqlalchemy import text

from services.standalone import _READ_THROUGH
from shared import batches, scrubbing, subscriptions
from shared.batches import FactBatches
from shared.bus import Delivery
from shared.deadletters import DeadLetters
from shared.scrubbing import Scrubbing
from tests.integration.bus.house import House, applied, count, eventually, fact, none, numbers, say
from tests.integration.bus.projector import Projector, all_acked, listener


async def test_facts_are_applied_in_order_and_once(house: House) -> None:
    database, _, _ = await house.publisher()
    await say(database, *[fact(f"c{n}", n) for n in range(1200)])
    projector, bus = await listener(house)
    await house.run(bus)
    await eventually(lambda: projector.at(1200))
    await say(database, fact("c0", 1200))
    await eventually(lambda: projector.at(1201))
    assert numbers(await applied(projector.database)) == list(range(1201))


async def test_a_listener_waits_for_a_stream_that_is_not_there_yet(house: House) -> None:
    projector, bus = await listener(house)
    async with bus.running():
        await eventually(lambda: any("gone" in problem for problem in bus.health()))
        database, _, _ = await house.publisher()
        await say(database, fact("a"))
        await eventually(lambda: projector.at(1))
        assert bus.health() == []


async def test_poison_in_a_batch(house: House) -> None:
    database, _, _ = await house.publisher()
    await say(database, *[fact(f"c{n}", n) for n in range(1, 21)])
    projector, bus = await listener(house)
    projector.poison = {7, 8, 20}
    await house.run(bus)
    await eventually(lambda: projector.at(20), seconds=30)
    assert numbers(await applied(projector.database)) == [n for n in range(1, 21) if n not in projector.poison]
    letters = DeadLetters("reporting", b"s" * 32)
    async with projector.database.transaction() as session:
        assert [entry.sequence for entry in await letters.entries(session)] == [7, 8, 20]
        assert json.loads(await letters.body(session, 1) or b"")["data"]["n"] == 7
    await eventually(lambda: not bus.health())


async def test_a_failing_world_holds_the_facts_back_and_loses_none(house: House) -> None:
    database, _, _ = await house.publisher()
    await say(database, *[fact(f"c{n}", n) for n in range(5)])
    projector, bus = await listener(house)
    projector.world = TimeoutError()
    await house.run(bus)
    await eventually(lambda: len(projector.batches) > 1)
    assert await projector.at(0)
    projector.world = None
    await eventually(lambda: projector.at(5))
    assert numbers(await applied(projector.database)) == list(range(5))
    assert await count(projector.database, "dead_letters") == 0


async def test_crash_between_commit_and_ack(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "ACK_WAIT_SECONDS", 1.0)
    database, _, _ = await house.publisher()
    await say(database, *[fact(f"c{n}", n) for n in range(5)])
    projector, bus = await listener(house)
    settle = FactBatches.settle
    crashed: list[bool] = []

    async def crash_once(self: FactBatches, batch: list[Delivery]) -> dict[int, float]:
        later = await settle(self, batch)
        if not crashed:
            crashed.append(True)
            raise RuntimeError("before the acks")
        return later

    monkeypatch.setattr(FactBatches, "settle", crash_once)
    await house.run(bus)
    await eventually(lambda: projector.at(5))
    async with house.js() as js:
        await eventually(lambda: all_acked(js, 5))
    assert numbers(await applied(projector.database)) == list(range(5))
    assert crashed


async def test_a_fact_that_fails_as_if_it_were_the_world_holds_up_only_what_follows(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one that takes too long, or a batch that is too much for one transaction."""
    monkeypatch.setattr(batches, "LONGEST_WAIT_SECONDS", 0.1)
    database, _, _ = await house.publisher()
    await say(database, *[fact(f"c{n}", n) for n in range(9)])
    projector, bus = await listener(house)
    projector.slow = {5}
    async with bus.running():
        await eventually(lambda: projector.at(4))
        await eventually(lambda: any("ENROLMENT waits" in problem for problem in bus.health()))
        assert await none(projector.database, "dead_letters")
        projector.slow = set()
        await eventually(lambda: projector.at(9))


async def test_facts_beyond_a_gap_wait_for_it(house: House) -> None:
    """As when two replicas hear one stream: each gets some, and the later ones may be here first."""
    projector, _ = await listener(house)
    asked: list[int] = []

    async def being_delivered(sequence: int) -> int:
        asked.append(sequence)
        return sequence

    batches = FactBatches(
        projector.database, DeadLetters("reporting", b"s" * 32), "ENROLMENT", projector.project, being_delivered
    )
    assert await batches.settle([_delivery(2), _delivery(3)]) == {2: 0.2, 3: 0.2}
    assert await batches.settle([_delivery(2, deliveries=2)]) == {2: 0.2}
    assert asked == [1]
    assert await batches.settle([_delivery(4), _delivery(1)]) == {4: 0.2}
    assert await batches.settle([_delivery(3), _delivery(2), _delivery(1, deliveries=2), _delivery(4)]) == {}
    assert projector.batches == [[1], [2, 3, 4]]


async def test_what_another_replica_could_apply_is_no_dead_letter_of_this_one(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It failed here as often as it may, and meanwhile the position has passed it: nothing goes back, nothing is buried."""
    projector, _ = await listener(house)
    letters = DeadLetters("reporting", b"s" * 32)
    here = FactBatches(projector.database, letters, "ENROLMENT", projector.project, _being_delivered)
    other = Projector(projector.database)
    elsewhere = FactBatches(projector.database, letters, "ENROLMENT", other.project, _being_delivered)
    projector.poison = {1}
    bury = here._bury

    async def after_the_other(delivery: Delivery, error: Exception) -> int:
        assert await elsewhere.settle([_delivery(1), _delivery(2)]) == {}
        return await bury(delivery, error)

    monkeypatch.setattr(here, "_bury", after_the_other)
    monkeypatch.setattr(batches, "STRIKES", 1)
    assert await here.settle([_delivery(1)]) == {}
    assert await count(projector.database, "dead_letters") == 0
    assert await projector.position() == 2


async def test_facts_that_are_gone_for_good_are_skipped_with_a_warning(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "GONE_SECONDS", 0)
    database, _, _ = await house.publisher()
    await say(database, *[fact(f"c{n}", n) for n in range(1, 31)])
    await eventually(lambda: house.same(database))
    async with house.js() as js:
        await js.purge_stream("ENROLMENT", seq=5)  # 1 to 4 are gone
        await js.delete_msg("ENROLMENT", 10)
    projector, bus = await listener(house)
    await house.run(bus)
    await eventually(lambda: projector.at(30))
    assert numbers(await applied(projector.database)) == [n for n in range(5, 31) if n != 10]
    assert "messages 1 to 4 are no longer in the stream" in caplog.text
    assert "messages 10 to 10 are no longer in the stream" in caplog.text


async def test_given_facts_were_skipped_when_the_position_is_put_back_then_they_are_had(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/upkeep.md tells it: whoever applies facts by their revision loses nothing by hearing some twice."""
    monkeypatch.setattr(batches, "GONE_SECONDS", 0)
    database, _, _ = await house.publisher()
    await say(database, *[fact(f"c{n}", n) for n in range(1, 11)])
    await eventually(lambda: house.same(database))
    async with house.js() as js:
        await js.delete_msg("ENROLMENT", 4)
        projector, bus = await listener(house)
        await house.run(bus)
        await eventually(lambda: projector.at(10))
        await js.delete_stream("ENROLMENT")
    await eventually(lambda: house.same(database))
    assert 4 not in numbers(await applied(projector.database)), "the stream alone brings it to nobody"

    async with projector.database.transaction() as session:
        await session.execute(text("UPDATE heard SET position = 3, last = NULL WHERE stream = 'ENROLMENT'"))

    await eventually(lambda: projector.at(10))
    assert numbers(await applied(projector.database)) == [1, 2, 3, 5, 6, 7, 8, 9, 10, 4, 5, 6, 7, 8, 9, 10]


async def test_who_waits_for_a_fact_that_is_gone_says_so_all_the_while(house: House) -> None:
    projector, _ = await listener(house)

    async def gone(sequence: int) -> int:
        return sequence + 1

    waits = FactBatches(projector.database, DeadLetters("reporting", b"s" * 32), "ENROLMENT", projector.project, gone)
    assert await waits.settle([_delivery(2, deliveries=2)]) == {2: 0.2}
    for looks in range(2):
        waits.forget(waits.problem, waiting=True)
        assert "message 1 is gone" in str(waits.problem), looks
        assert _READ_THROUGH in str(waits.problem), "or `sampan up` would not wait for the owner"
    waits.forget(waits.problem, waiting=False)  # another replica has brought it behind itself
    assert waits.problem is None


def test_a_fact_that_is_gone_is_waited_for_longer_than_its_owner_takes_to_find_that() -> None:
    assert batches.GONE_SECONDS >= 2 * scrubbing.AGAIN_SECONDS


async def test_facts_that_are_gone_are_waited_for_until_their_owner_brings_them_back(house: House) -> None:
    database, owner, _ = await house.publisher()
    await say(database, *[fact(f"c{n}", n) for n in range(1, 11)])
    await eventually(lambda: house.same(database))
    async with house.js() as js:
        await js.delete_msg("ENROLMENT", 4)
    projector, bus = await listener(house)
    await house.run(bus)
    await eventually(lambda: any("message 4 is gone" in problem for problem in bus.health()))
    assert await projector.at(3)

    async with Scrubbing(database, owner, "ENROLMENT").running():
        await eventually(lambda: projector.at(10))
    assert numbers(await applied(projector.database)) == list(range(1, 11))
    assert await house.same(database)
    await eventually(lambda: not bus.health())


async def test_two_replicas_apply_each_fact_once(house: House) -> None:
    database, _, _ = await house.publisher()
    projector, first = await listener(house)
    _, second = await listener(house)
    await house.run(first)
    await house.run(second)
    for start in range(0, 600, 100):
        await say(database, *[fact(f"c{n}", n) for n in range(start, start + 100)])
    await eventually(lambda: projector.at(600))
    assert numbers(await applied(projector.database)) == list(range(600))


@pytest.mark.long  # who takes the lock is chance; test_intake has the same of what is taken in
async def test_what_another_replica_hears_is_no_longer_this_ones_trouble(house: House) -> None:
    database, _, _ = await house.publisher()
    sick, first = await listener(house)
    sick.world = ConnectionRefusedError()
    await house.run(first)
    await say(database, fact("a"))
    await eventually(lambda: any("waits" in problem for problem in first.health()))
    well, second = await listener(house)
    async with second.running():
        while not await well.at(1):  # whoever is the quicker takes the lock, and must have the time to hear
            house.end_lock_sessions()
            with suppress(TimeoutError):
                async with asyncio.timeout(4):
                    await eventually(lambda: well.at(1))
        await eventually(lambda: not first.health())


async def _being_delivered(sequence: int) -> int:
    return sequence


def _delivery(sequence: int, deliveries: int = 1) -> Delivery:
    return Delivery("enrolment.cohort.kh.a", b"{}", "ENROLMENT", sequence, deliveries, {})
