"""The stream equals the journal, whatever dies when."""

import asyncio
import hashlib
import json
from collections.abc import Sequence

import pytest
from sqlalchemy import event, text

from shared import relay as relays
from shared.database import Database
from shared.outbox import Notice, notify
from shared.relay import BATCH_MESSAGES, Relay, Row
from tests.integration.bus.house import House, count, eventually, fact, journal, none, reached, say, stream, tell


async def test_facts_reach_the_stream_at_their_positions(house: House) -> None:
    database, _, relay = await house.publisher()
    assert await say(database, fact("a"), fact("b")) == (1, 2)
    assert await say(database, fact("a")) == (1, 2), "nothing new, nothing said"
    assert await say(database, fact("a", 5), fact("a", 6)) == (1, 3), "the last word on a thing counts"
    assert await say(database) == (1, 3)
    async with house.js() as js:
        await eventually(lambda: house.same(database))
        said = [json.loads(body) for _, _, body in await stream(js)]
    assert [(one["id"], one["subject"], one["revision"], one["epoch"], one["data"]["n"]) for one in said] == [
        ("1-1", "a", 1, 1, 1),
        ("1-2", "b", 1, 1, 1),
        ("1-3", "a", 2, 1, 6),
    ]
    assert said[0]["source"] == "/services/enrolment"
    assert said[0]["type"] == "cohort.v1"
    assert said[0]["cause"] == "/offices/kh/ntti/e1"
    assert relay.health() == []


async def test_more_than_a_batch_and_more_than_its_bytes(house: House) -> None:
    database, _, _ = await house.publisher()
    await say(database, *[fact(f"c{n}") for n in range(2 * BATCH_MESSAGES + 300)])
    await say(database, *[fact(f"big{n}", padding="x" * 900_000) for n in range(8)])
    async with house.js() as js:
        await eventually(lambda: reached(js, 2 * BATCH_MESSAGES + 308))
    assert await house.same(database)


async def test_a_stream_made_anew_is_filled_from_the_journal(house: House) -> None:
    database, bus, relay = await house.publisher()
    await say(database, *[fact(f"c{n}") for n in range(20)])
    await eventually(lambda: house.same(database))
    async with house.js() as js:
        await js.delete_stream("ENROLMENT")
    await say(database, fact("afterwards"))
    await eventually(lambda: house.same(database))
    await eventually(lambda: not bus.health() and not relay.health())


async def test_a_stream_ahead_of_the_journal_is_left_alone_and_said(house: House) -> None:
    database, _, relay = await house.publisher()
    async with house.js() as js:
        await js.publish("enrolment.cohort.kh.foreign", b"{}")
        await eventually(lambda: any("journal" in problem for problem in relay.health()))
        await say(database, fact("a"), fact("b"))
        assert any("journal" in problem and "do not delete the stream" in problem for problem in relay.health())
        await js.delete_stream("ENROLMENT")
        await eventually(lambda: house.same(database))
    await eventually(lambda: not relay.health())


async def test_a_stream_that_diverged_is_never_written_on_however_long_the_journal_grows(house: House) -> None:
    # A database restored from a backup: the stream holds what the journal has forgotten, and the journal goes on from there.
    database, _, relay = await house.publisher()
    async with house.js() as js:
        await js.publish("enrolment.cohort.kh.forgotten", b"{}")
        await eventually(lambda: any("journal" in problem for problem in relay.health()))
        await say(database, *[fact(f"c{n}") for n in range(5)])
        async with Relay(database, house.buses[0], service="enrolment", stream="ENROLMENT").running():
            await eventually(lambda: any("differ" in problem for problem in relay.health()))
        assert (await js.stream_info("ENROLMENT")).state.last_seq == 1


class _Dies(Exception):
    """Stands for kill -9 at that very place."""


async def test_killed_between_commit_and_publish(house: House) -> None:
    database = await house.database("enrolment")
    bus = await house.run(house.bus("enrolment", database, ("ENROLMENT",)))
    await say(database, fact("a"), fact("b"))  # and no relay runs
    async with Relay(database, bus, service="enrolment", stream="ENROLMENT").running():
        await eventually(lambda: house.same(database))


async def test_killed_between_publishing_and_knowing_it(house: House) -> None:
    database = await house.database("enrolment")
    bus = await house.run(house.bus("enrolment", database, ("ENROLMENT", "RECEIPTS")))
    published = asyncio.Event()

    class DiesAfterPublishing(Relay):
        async def _send_batch(
            self, stream: str, rows: Sequence[Row], first: dict[str, str], *, message_ids: bool = False
        ) -> None:
            await super()._send_batch(stream, rows, first, message_ids=message_ids)
            published.set()
            await asyncio.Event().wait()

    await say(database, fact("a"), fact("b"))
    async with DiesAfterPublishing(database, bus, service="enrolment", stream="ENROLMENT").running():
        await asyncio.wait_for(published.wait(), 10)
    await say(database, fact("c"))
    async with Relay(database, bus, service="enrolment", stream="ENROLMENT").running():
        await eventually(lambda: house.same(database))
        async with house.js() as js:
            assert len(await stream(js)) == 3


async def test_a_paused_relay_that_wakes_up_late_is_fenced(house: House) -> None:
    database = await house.database("enrolment")
    bus = await house.run(house.bus("enrolment", database, ("ENROLMENT",)))
    about_to_publish, woken = asyncio.Event(), asyncio.Event()
    outcomes: list[str] = []

    class Paused(Relay):
        async def _send_batch(
            self, stream: str, rows: Sequence[Row], first: dict[str, str], *, message_ids: bool = False
        ) -> None:
            about_to_publish.set()
            await woken.wait()
            try:
                await super()._send_batch(stream, rows, first, message_ids=message_ids)
                outcomes.append("published")
            except Exception as error:
                outcomes.append(str(error))
                raise

    await say(database, fact("a"), fact("b"))
    async with Paused(database, bus, service="enrolment", stream="ENROLMENT").running():
        await asyncio.wait_for(about_to_publish.wait(), 10)
        # Its session with the database is lost while it is paused, so another relay takes over.
        house.end_lock_sessions()
        async with Relay(database, bus, service="enrolment", stream="ENROLMENT").running():
            await eventually(lambda: house.same(database))
            await say(database, fact("c"))
            await eventually(lambda: house.same(database))
            woken.set()
            await eventually(lambda: outcomes)
            await say(database, fact("d"))
            await eventually(lambda: house.same(database))
    assert outcomes[0].startswith("10071")


async def test_one_relay_works_at_a_time(house: House) -> None:
    database, bus, _ = await house.publisher()
    async with Relay(database, bus, service="enrolment", stream="ENROLMENT").running():
        await say(database, *[fact(f"c{n}") for n in range(50)])
        await eventually(lambda: house.same(database))
        locks = house.postgres.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted", house.name
        )
        assert locks == "1"


async def test_a_relay_that_lost_its_place_leaves_its_troubles_to_the_one_that_took_it(house: House) -> None:
    database, bus, relay = await house.publisher()
    async with house.js() as js:
        await js.publish("enrolment.cohort.kh.foreign", b"{}")
        await eventually(lambda: any("journal" in problem for problem in relay.health()))
        house.end_lock_sessions()
        other = Relay(database, bus, service="enrolment", stream="ENROLMENT")
        async with other.running():
            await eventually(other.health)
            await js.delete_stream("ENROLMENT")
            await say(database, fact("a"))
            await eventually(lambda: house.same(database))
            await eventually(lambda: not other.health())
            await eventually(lambda: not relay.health())


async def test_notices_are_published_and_forgotten(house: House) -> None:
    database, _, relay = await house.publisher()
    await tell(database, "receipts.kh.ntti", "deadletter.enrolment", "receipts.cn.wit")
    await eventually(lambda: none(database, "notices"))
    async with house.js() as js:
        assert [subject for _, subject, _ in await stream(js, "RECEIPTS")] == ["receipts.kh.ntti", "receipts.cn.wit"]
        assert len(await stream(js, "DEADLETTERS")) == 1
    assert relay.health() == []


async def test_notices_published_before_a_crash_are_not_doubled(house: House) -> None:
    database, _, _ = await house.publisher()
    async with house.js() as js:
        async with database.transaction() as session:  # published, and killed before they were forgotten
            await js.publish("receipts.kh.ntti", b"1", headers={"Nats-Msg-Id": _message_id("1")})
            await session.execute(
                text("INSERT INTO notices (subject, body) SELECT 'receipts.kh.ntti', n FROM generate_series(1, 3) n")
            )
        await eventually(lambda: none(database, "notices"))
        assert [body for _, _, body in await stream(js, "RECEIPTS")] == ["1", "2", "3"]


async def test_a_missing_stream_holds_up_nobody_else(house: House) -> None:
    database = await house.database("enrolment")
    bus = await house.run(house.bus("enrolment", database, ("RECEIPTS", "ENROLMENT")))
    async with Relay(database, bus, service="enrolment", stream="ENROLMENT").running() as _:
        await tell(database, "deadletter.enrolment", "receipts.kh.ntti")
        await say(database, fact("a"))
        await eventually(lambda: house.same(database))
        async with house.js() as js:
            await eventually(lambda: reached(js, 1, "RECEIPTS"))
        await eventually(lambda: _one_left(database))


async def test_while_the_broker_is_away_waiting_notices_are_not_all_read_at_each_attempt(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "BATCH_MESSAGES", 10)
    database = await house.database("enrolment")
    bus = house.bus("enrolment", database, ("RECEIPTS", "DEADLETTERS"))
    await tell(database, *["receipts.kh.ntti"] * 200, "deadletter.enrolment")
    read: list[str] = []
    event.listen(database.engine.sync_engine, "after_cursor_execute", lambda *said: read.append(said[2]))
    relay = Relay(database, bus, service="enrolment", stream=None)
    async with relay.running():
        await eventually(lambda: len(relay.health()) == 2, seconds=5)
        assert len([statement for statement in read if "FROM notices" in statement]) < 10
        async with bus.running():
            await eventually(lambda: none(database, "notices"))


async def test_notices_of_a_database_that_went_back_are_not_taken_for_those_of_before(house: House) -> None:
    """Their ids are the same, and within two minutes the stream would take them for doubles."""
    database, _, _ = await house.publisher()
    await tell(database, "receipts.kh.ntti")
    await eventually(lambda: none(database, "notices"))
    async with database.transaction() as session:
        await session.execute(text("SELECT setval(pg_get_serial_sequence('notices', 'id'), 1, false)"))
    await database.run(lambda session: notify(session, [Notice("receipts.kh.ntti", {"code": "other"})]))
    await eventually(lambda: none(database, "notices"))
    async with house.js() as js:
        assert [body for _, _, body in await stream(js, "RECEIPTS")] == ['{"code":"ok"}', '{"code":"other"}']


async def test_what_could_not_be_published_is_refused_at_once(house: House) -> None:
    database = await house.database("enrolment")
    with pytest.raises(ValueError, match="bytes"):
        await say(database, fact("a", padding="x" * 1_000_000))
    with pytest.raises(ValueError, match="subject"):
        await say(database, fact("with space"))
    with pytest.raises(ValueError, match="subject"):
        await tell(database, "receipts.kh.*")
    assert await journal(database) == []


async def test_broker_killed_under_the_relay(own_house: House) -> None:
    house = own_house
    database, bus, relay = await house.publisher()
    await say(database, *[fact(f"a{n}") for n in range(100)])
    house.server.kill()
    await say(database, *[fact(f"b{n}") for n in range(100)])
    await tell(database, "receipts.kh.ntti")
    await eventually(lambda: bus.health() and relay.health())
    house.server.start()
    await eventually(lambda: house.same(database))
    await eventually(lambda: none(database, "notices"))
    await eventually(lambda: not bus.health() and not relay.health())


async def test_positions_have_no_gaps_under_concurrent_publishers(house: House) -> None:
    database, _, _ = await house.publisher()
    await asyncio.gather(*[say(database, *[fact(f"c{n}", k) for n in range(5)]) for k in range(20)])
    rows = await journal(database)
    assert [position for position, _, _ in rows] == list(range(1, len(rows) + 1))
    await eventually(lambda: house.same(database))
    revisions: dict[str, list[int]] = {}
    for _, _, body in rows:
        said = json.loads(body)
        revisions.setdefault(said["subject"], []).append(said["revision"])
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in revisions.values())


def _message_id(body: str) -> str:
    """Of the first notice."""
    return f"enrolment-notice-1-{hashlib.sha256(body.encode()).hexdigest()[:16]}"


async def _one_left(database: Database) -> bool:
    return await count(database, "notices") == 1
