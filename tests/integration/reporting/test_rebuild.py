"""A rebuild: the read side made anew from the streams, while figures are read and kept up."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlencode

import httpx
import pytest
from sqlalchemy import text

from services.reporting import coarse, explain, ledger, rebuild
from services.reporting.comparing import Comparison
from services.reporting.domain import Known
from services.reporting.explain import Sight
from services.reporting.ledger import Asked
from services.reporting.questions import Question
from services.reporting.rebuild import Rebuilding
from shared.batches import advance_heard
from shared.bus import Extent
from shared.database import Database
from shared.delivery import Delivery
from tests.integration.reporting.conftest import KEY, Streams
from tests.integration.reporting.test_aggregates import a_history, ask
from tests.integration.reporting.test_projection import hear, kept, recounted, told
from tests.unit.reporting.facts import a_trainee, known, wire


class Told:
    """Both streams as they are told, for a rebuild to read; the same facts are heard by reporting."""

    def __init__(self, database: Database, meanwhile: Callable[[], Awaitable[None]] | None = None) -> None:
        self._database = database
        self._meanwhile = meanwhile
        self.facts: dict[str, list[bytes]] = {stream: [] for stream in ledger.STREAMS}

    async def tell(self, facts: Sequence[Known]) -> None:
        for fact in facts:
            stream = self.facts[ledger.STREAMS[fact.kind == "certificate"]]
            stream.append(wire(fact))
            await hear(self._database, [fact], len(stream))
        async with self._database.transaction() as session:
            for name, stream in self.facts.items():
                await advance_heard(session, name, len(stream))

    async def read(self, stream: str, first: int, last: int) -> list[Delivery]:
        if self._meanwhile is not None:
            meanwhile, self._meanwhile = self._meanwhile, None
            await meanwhile()
        found = enumerate(self.facts[stream][first - 1 : last], start=first)
        return [Delivery("x", body, stream, sequence, 1, {}) for sequence, body in found]


async def damage(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text("UPDATE cube SET value = value + 5 WHERE measure = 'certified'"))
        await session.execute(text("DELETE FROM cube WHERE measure = 'completed' AND value <> 0"))
        await session.execute(text("DELETE FROM cohorts WHERE cohort = 'vientiane'"))
        await session.execute(
            text("UPDATE enrolments SET data = data || '{\"sex\": \"U\"}' WHERE data->>'number' = '02'")
        )


async def test_what_was_otherwise_is_put_right_and_what_was_known_stays(
    client: httpx.AsyncClient, database: Database
) -> None:
    streams = Told(database)
    await streams.tell(a_history())
    wanted = await kept(database)
    await damage(database)
    assert (await ask(client, "/v1/aggregates?measure=certified&by=cohort"))["totals"]["certified"] > 9
    earlier = await ask(client, "/v1/aggregates?measure=certified&as_of=2026-01")

    started = await client.post("/v1/rebuild")
    assert (started.status_code, started.json()["read"]) == (202, {"ENROLMENT": 0, "CERTIFICATION": 0})
    again = await client.post("/v1/rebuild")
    assert (again.status_code, again.json()["code"]) == (409, "under_way")
    assert await Rebuilding(database, streams).look()

    assert await kept(database) == wanted == await recounted(database) == told(a_history())
    state = await ask(client, "/v1/rebuild")
    assert (state["read"], state["problem"], state["facts"]) == (None, None, len(a_history()))
    assert state["corrected"] > 3
    async with database.transaction() as session:
        assert await coarse.unlike(session) == await ledger.unlike(session) == []
        why = "SELECT count(*) FROM cube_steps WHERE why = 'rebuilt'"
        assert (await session.execute(text(why))).scalar_one() == 1
        changes = "SELECT count(*) FROM cube_changes JOIN cube_steps USING (step) WHERE why IS NULL"
        assert (await session.execute(text(changes))).scalar_one() > 0, "what was known earlier is kept"
    assert (earlier["as_of"]["step"], earlier["totals"]) == (21, {"certified": 9})
    for by in ("", "&by=cohort"):
        then = await ask(client, f"/v1/aggregates?measure=certified&as_of=2026-01{by}")
        assert (then["as_of"], then["totals"]) == (earlier["as_of"], earlier["totals"])
    assert not await Rebuilding(database, streams).look()


async def test_what_a_rebuild_finds_is_known_since_then_and_explains_the_difference(
    client: httpx.AsyncClient, database: Database
) -> None:
    streams = Told(database)
    await streams.tell(a_history())
    missed = [known(a_trainee("55")), known(a_trainee("02", trade="welding"), 2)]
    streams.facts["ENROLMENT"] += map(wire, missed)
    async with database.transaction() as session:
        await advance_heard(session, "ENROLMENT", len(streams.facts["ENROLMENT"]))
        before = Asked("before", step=(await ledger.last_step(session)).number)
    await client.post("/v1/rebuild")
    assert await Rebuilding(database, streams).look()

    async def since(**where: str) -> Comparison:
        question = Question(("enrolled",), where=tuple((name, (value,)) for name, value in where.items()))
        async with database.snapshot() as session:
            then = await explain.explain(
                session, replace(question, as_of=before), None, Sight(everything=True), key=KEY
            )
            found = await explain.explain(session, question, before, Sight(everything=True), key=KEY)
        assert found.compared is not None
        assert then.value == then.explained == found.compared.value
        assert found.compared.value + found.compared.difference == found.value
        return found.compared

    assert (await since()).sentence == "11, not 10: 1 enrolment of ntti reached us after before."
    assert (await since(trade="welding")).sentence == "1, not 0: 1 enrolment of ntti was changed after before."


async def test_what_a_rebuild_puts_right_is_known_since_the_day_of_the_rebuild(
    client: httpx.AsyncClient, database: Database
) -> None:
    """Given a fact that was missed and facts that come after the rebuild, when a reader asks for the days before it, then the
    answer is what it was before the rebuild."""
    streams = Told(database)
    await streams.tell(a_history())  # all recorded in 2025
    streams.facts["ENROLMENT"].append(wire(known(a_trainee("55"))))
    async with database.transaction() as session:
        await advance_heard(session, "ENROLMENT", len(streams.facts["ENROLMENT"]))
    question, began = "/v1/aggregates?measure=enrolled", datetime.now(UTC)
    before = await ask(client, f"{question}&as_of=2026-01")
    await client.post("/v1/rebuild")
    assert await Rebuilding(database, streams).look()
    await streams.tell([known(a_trainee("56"))])

    assert await ask(client, f"{question}&as_of=2026-01") == before
    asked = urlencode({"as_of": began.isoformat()})
    assert (await ask(client, f"{question}&{asked}"))["totals"] == {"enrolled": 10}
    assert (await ask(client, question))["totals"] == {"enrolled": 12}


async def test_facts_that_come_meanwhile_are_in_it_and_readers_see_no_gap(
    client: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "LAST", 2)  # or all of so few facts would be read while everybody else waits

    async def meanwhile() -> None:
        seen = await ask(client, "/v1/aggregates?measure=enrolled")
        assert seen["totals"] == {"enrolled": 10}
        await streams.tell([known(a_trainee("77"))])

    streams = Told(database, meanwhile)
    await streams.tell(a_history())
    await client.post("/v1/rebuild")
    assert await Rebuilding(database, streams).look()
    state = await ask(client, "/v1/rebuild")
    assert (state["corrected"], state["facts"]) == (0, len(a_history()) + 1)
    assert (await ask(client, "/v1/aggregates?measure=enrolled"))["totals"] == {"enrolled": 11}


async def test_a_rebuild_that_fails_changes_nothing_and_says_why(client: httpx.AsyncClient, database: Database) -> None:
    async def broken() -> None:
        raise ConnectionError("the broker is away")

    streams = Told(database, broken)
    await streams.tell(a_history())
    before = await kept(database)
    await client.post("/v1/rebuild")
    with pytest.raises(ConnectionError):
        await Rebuilding(database, streams).look()
    assert await kept(database) == before
    assert "ConnectionError" in (await ask(client, "/v1/rebuild"))["problem"]
    assert (await client.post("/v1/rebuild")).status_code == 202, "it can be asked for again"


async def test_of_two_replicas_one_does_it(client: httpx.AsyncClient, database: Database) -> None:
    streams = Told(database)
    await streams.tell(a_history())
    await client.post("/v1/rebuild")
    done = await asyncio.gather(*(Rebuilding(database, streams).look() for _ in range(2)))
    assert sorted(done) == [False, True]


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (Extent(5, 40, 36), "ENROLMENT no longer holds all that was heard of it: it begins at 5."),
        (Extent(1, 40, 39), "1 of its messages are deleted."),
        (Extent(1, 29, 29), "it ends at 29, and 30 was heard."),
        (Extent(41, 40, 0), "it begins at 41."),
        (Extent(0, 0, 0), "it ends at 0, and 30 was heard."),
    ],
)
async def test_a_rebuild_that_could_not_be_done_is_not_begun(
    client: httpx.AsyncClient, database: Database, streams: Streams, there: Extent, said: str
) -> None:
    await hear(database, a_history())
    async with database.transaction() as session:
        await session.execute(text("INSERT INTO heard VALUES ('ENROLMENT', 30)"))
    before = await ask(client, "/v1/aggregates")
    streams.there["ENROLMENT"] = there

    refused = await client.post("/v1/rebuild")

    assert (refused.status_code, refused.json()["code"]) == (409, "stream_not_whole")
    assert said in refused.json()["message"]
    assert "Delete the stream" in refused.json()["message"]
    assert await ask(client, "/v1/aggregates") == before
