"""Making the read side anew from the streams, while everybody goes on reading the old one and new facts are applied to it.

Both streams are read into temporary tables of the same names, which only the rebuilding connection sees in the place of the
real ones: so it is the projector's own code that fills them. Once they are as far as what is heard, the real rows are made like
them and the cube is corrected by the difference, as one step of its history, in one transaction. Earlier steps stay as they
were: they say what was known then. Offices and their tokens are not touched.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.reporting import coarse, ledger, projection
from services.reporting.domain import Cell, Known
from services.reporting.ledger import STREAMS
from shared.batches import lock_heard
from shared.bus import Extent
from shared.database import Database
from shared.deadletters import describe
from shared.delivery import Delivery
from shared.outbox import heard_positions
from shared.tasks import background

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
AT_A_TIME = 1000
"""Messages in memory."""
LAST = 500
"""So many facts may be left when everybody else is made to wait."""

_ROWS = {"cohorts": "cohort", "enrolments": "enrolment", "certificates": "certificate", "registered": "kind, key"}
"""Tables that are made anew, and their keys."""
_KINDS = {"cohorts": "cohort", "enrolments": "trainee", "certificates": "certificate"}
"""Those that are counted, whose past is kept."""
_OF_CUBE = ("cube", "cube_version", "cube_steps", "cube_changes", "cube_tail")
_SHADOWS = (*_ROWS, "past_facts", *_OF_CUBE)


class Rebuild(BaseModel):
    """The cube's fingerprint at a position, and how the last rebuild stands.

    While it is under way, how much of each stream is ``read``; then how many rows and cells were ``corrected``, after how many
    facts and seconds; and, if it failed, why.
    """

    until: dict[str, int]
    cube: str
    read: dict[str, int] | None = None
    corrected: int | None = None
    facts: int | None = None
    seconds: float | None = None
    problem: str | None = None


Look = Callable[[str], Awaitable[Extent]]
"""What a stream holds now."""


class Streams(Protocol):
    """What a rebuild needs of the bus."""

    async def read(self, stream: str, first: int, last: int) -> list[Delivery]: ...


class NotWhole(Exception):
    """A stream no longer holds all that was heard of it; the text says which one and what to do."""


class UnderWay(Exception):
    """The last rebuild is not done yet."""


async def rebuild(session: AsyncSession, look: Look) -> Rebuild:
    """Have the read side made anew, in the background. Raises UnderWay, and NotWhole when it could not be."""
    until = {stream: await lock_heard(session, stream) for stream in sorted(STREAMS)}
    if (await state(session)).read is not None:
        raise UnderWay
    for stream, position in until.items():
        if missing := _missing(await look(stream), position):
            raise NotWhole(
                f"{stream} no longer holds all that was heard of it: {missing}. Nothing was changed. "
                "Delete the stream, so that it is made anew from its journal, and then rebuild."
            )
    await session.execute(text("DELETE FROM remakings"))
    await session.execute(
        text("INSERT INTO remakings (id, state) VALUES (1, CAST(:state AS jsonb))"),
        {"state": json.dumps({"read": dict.fromkeys(until, 0)})},
    )
    log.warning("the read side is to be made anew up to %s", until)
    return await state(session)


def _missing(there: Extent, heard: int) -> str | None:
    if there.last < heard:
        return f"it ends at {there.last}, and {heard} was heard"
    if there.last and there.first > 1:
        return f"it begins at {there.first}"
    if gone := there.last - there.messages:
        return f"{gone} of its messages are deleted"
    return None


async def state(session: AsyncSession) -> Rebuild:
    """The cube's fingerprint and position, and how the last rebuild stands."""
    heard = await heard_positions(session)
    told = (await session.execute(text("SELECT state FROM remakings"))).scalar_one_or_none() or {}
    return Rebuild(
        until={stream: heard.get(stream, 0) for stream in sorted(STREAMS)}, cube=await fingerprint(session), **told
    )


async def lacking(session: AsyncSession) -> list[str]:
    """What is still to be heard after an update that emptied the read side, in plain words."""
    rows = await session.execute(
        text(
            """
            SELECT stream, position, until FROM rebuilds JOIN heard USING (stream)
            WHERE position < until ORDER BY stream
            """
        )
    )
    return [f"rebuilding: {row.stream} is heard up to {row.position} of {row.until}" for row in rows]


async def fingerprint(session: AsyncSession) -> str:
    """The same for equal cubes, and for others practically never."""
    row = (
        await session.execute(
            text(
                """
                SELECT count(*) AS cells, coalesce(sum(hashtextextended(encode(key, 'hex') || value, 0)::numeric), 0) AS hashes
                FROM cube WHERE value <> 0
                """
            )
        )
    ).one()
    return f"{row.cells} cells, {row.hashes}"


class Rebuilding:
    """Does what was asked for; of several replicas one."""

    def __init__(self, database: Database, streams: Streams) -> None:
        self._database = database
        self._streams = streams

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look now and then until the block ends."""
        async with background(self._run()):
            yield

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except Exception as error:
                log.warning("the rebuild waits: %s", describe(error))

    async def look(self) -> bool:
        """Do a rebuild if one was asked for and no other replica is at it; whether it was done."""
        async with self._database.transaction() as session:
            asked = await session.scalar(text("SELECT state -> 'read' IS NOT NULL FROM remakings"))
        if not asked:
            return False
        async with self._database.alone("rebuilds") as holder:
            if holder is None:
                return False
            work = asyncio.create_task(self._remake())
            while not work.done():  # a holder who rests is taken for one that is paused
                await holder.execute(text("SELECT 1"))
                await asyncio.wait([work], timeout=5)
            try:
                done = work.result()
            except Exception as error:
                await self._tell({"problem": describe(error)})
                raise
            await self._tell(done)
            return True

    async def _tell(self, told: dict[str, Any]) -> None:
        async with self._database.transaction() as session:
            await session.execute(
                text("UPDATE remakings SET state = CAST(:state AS jsonb)"), {"state": json.dumps(told)}
            )

    async def _remake(self) -> dict[str, Any]:
        began, facts = monotonic(), 0
        async with self._database.unhurried_connection() as connection, AsyncSession(connection) as session:
            try:
                schema = (await session.execute(text("SELECT current_schema()"))).scalar_one()
                await session.execute(text("SET idle_in_transaction_session_timeout = 0"))
                for table in _SHADOWS:
                    await session.execute(
                        text(f'CREATE TEMPORARY TABLE {table} (LIKE "{schema}".{table} INCLUDING ALL)')
                    )
                await session.commit()
                read = dict.fromkeys(STREAMS, 0)
                while (left := await self._left(session, read)) > LAST:
                    facts += await self._take(session, read)
                    await self._tell({"read": read})
                    log.info("the read side is made anew: %s, %d left", read, left)
                await projection.count_anew(session)
                await session.commit()
                while (left := await self._left(session, read)) > LAST:  # what came while it was counted
                    facts += await self._apply(session, read)
                for stream in sorted(STREAMS):
                    await lock_heard(session, stream)
                await projection.lock_projection(session)
                while await self._left(session, read):
                    facts += await self._apply(session, read, commit=False)
                corrected = await _put_right(session, f'"{schema}"')
                await session.commit()
                await self._database.run(coarse.put_right, unhurried=True)
            finally:
                await session.close()
                await connection.invalidate()  # the temporary tables go with it
        return {"corrected": corrected, "facts": facts, "seconds": round(monotonic() - began, 1)}

    async def _left(self, session: AsyncSession, read: dict[str, int]) -> int:
        heard = await heard_positions(session)
        return sum(max(heard.get(stream, 0) - read[stream], 0) for stream in STREAMS)

    async def _take(self, session: AsyncSession, read: dict[str, int]) -> int:
        """Read a part of each stream into the rows, uncounted."""
        facts = await self._next(session, read)
        await projection.take(session, facts)
        await session.commit()
        return len(facts)

    async def _apply(self, session: AsyncSession, read: dict[str, int], *, commit: bool = True) -> int:
        facts = await self._next(session, read)
        await projection.apply(session, [fact for fact in facts if fact.kind != "office"])
        if commit:
            await session.commit()
        return len(facts)

    async def _next(self, session: AsyncSession, read: dict[str, int]) -> list[Known]:
        found: list[Known] = []
        heard = await heard_positions(session)
        for stream in STREAMS:
            last = min(read[stream] + AT_A_TIME, heard.get(stream, 0))
            if last > read[stream]:
                found += _facts(await self._streams.read(stream, read[stream] + 1, last))
                read[stream] = last
        return found


def _facts(deliveries: Sequence[Delivery]) -> list[Known]:
    """Those that can be read; the others are dead letters, and stay so."""
    found = []
    for delivery in deliveries:
        try:
            found.append(projection.read(delivery.body, delivery.sequence))
        except (ValidationError, LookupError):
            continue
    return found


_KEEP = """
    INSERT INTO {schema}.past_facts AS kept (kind, key, epoch, revision, position, time, cause, data, step)
    SELECT :kind, {key}, held.epoch, held.revision, held.position, held.time, held.cause, held.data, held.step
    FROM {schema}.{table} AS held JOIN pg_temp.{table} AS made USING ({key})
    WHERE (held.epoch, held.revision) < (made.epoch, made.revision)
    ON CONFLICT (kind, key, epoch, revision) DO UPDATE SET step = excluded.step WHERE excluded.step < kept.step
"""


async def _put_right(session: AsyncSession, schema: str) -> int:
    """Make the real tables like the temporary ones; how many rows and cells were otherwise."""
    corrected = 0
    following = f"(SELECT coalesce(max(number), 0) + 1 FROM {schema}.cube_version)"  # noqa: S608
    for table, key in _ROWS.items():
        gone = await session.execute(
            text(
                f"DELETE FROM {schema}.{table} WHERE ({key}) NOT IN (SELECT {key} FROM pg_temp.{table}) RETURNING 1"  # noqa: S608
            )
        )
        columns = (
            await session.execute(
                text(
                    "SELECT column_name FROM information_schema.columns WHERE table_schema = :schema AND table_name = :table"
                ),
                {"schema": schema.strip('"'), "table": table},
            )
        ).scalars()
        names = sorted(columns)
        listed = ", ".join(names)
        made, said = f"pg_temp.{table}", listed
        if table in _KINDS:
            # What is held already is known since when it was; what is not, since the step that puts it right.
            await session.execute(text(_KEEP.format(schema=schema, table=table, key=key)), {"kind": _KINDS[table]})
            made = f"{made} AS made LEFT JOIN {schema}.{table} AS was USING ({key}, epoch, revision)"
            known = {key: key, "epoch": "epoch", "revision": "revision", "step": f"coalesce(was.step, {following})"}
            said = ", ".join(known.get(name, f"made.{name}") for name in names)
        others = ", ".join(f"{{row}}.{name}" for name in names if name != "data")
        put = await session.execute(
            text(
                f"""
                INSERT INTO {schema}.{table} AS held ({listed}) SELECT {said} FROM {made}
                ON CONFLICT ({key}) DO UPDATE SET ({listed}) = ROW ({", ".join(f"excluded.{name}" for name in names)})
                WHERE ({", ".join(f"held.{name}" for name in names)})
                    IS DISTINCT FROM ({", ".join(f"excluded.{name}" for name in names)})
                RETURNING old.data IS NULL OR NOT new.data @> old.data
                    OR ({others.format(row="old")}) IS DISTINCT FROM ({others.format(row="new")})
                """  # noqa: S608
            )
        )
        # A row of before a field was added to its facts has it now, and was not wrong.
        corrected += len(gone.all()) + sum(put.scalars())
    await session.execute(
        text(
            f"""
            INSERT INTO {schema}.past_facts (kind, key, epoch, revision, position, time, cause, data, step)
            SELECT kind, key, epoch, revision, position, time, cause, data, {following} FROM pg_temp.past_facts
            ON CONFLICT DO NOTHING
            """  # noqa: S608
        )
    )
    places = ", ".join(f"coalesce(new.{name}, old.{name}) AS {name}" for name in Cell._fields)
    cells = f"{schema}.cube AS old FULL JOIN pg_temp.cube AS new USING (key)"
    differ = "coalesce(new.value, 0) <> coalesce(old.value, 0)"
    wrong = int((await session.execute(text(f"SELECT count(*) FROM {cells} WHERE {differ}"))).scalar_one())  # noqa: S608
    differences: Counter[Cell] = Counter()
    if wrong:
        # A damaged cell goes back to what its changes add up to, or what was known earlier would be damaged in its place.
        await session.execute(
            text(
                f"""
                INSERT INTO {schema}.cube (key, {", ".join(Cell._fields)}, value)
                SELECT key, {places}, coalesce(added, 0)
                FROM {cells}
                LEFT JOIN (SELECT key, sum(delta) AS added FROM {schema}.cube_changes GROUP BY key) AS told USING (key)
                WHERE {differ} AND coalesce(old.value, 0) <> coalesce(added, 0)
                ON CONFLICT (key) DO UPDATE SET value = excluded.value
                """  # noqa: S608
            )
        )
        rows = await session.execute(
            text(
                f"""
                SELECT {places}, coalesce(new.value, 0) - coalesce(old.value, 0) AS difference FROM {cells} WHERE {differ}
                """  # noqa: S608
            )
        )
        differences.update({Cell(*place): int(value) for *place, value in rows})
    for table in _SHADOWS:
        await session.execute(text(f"DROP TABLE pg_temp.{table}"))
    corrected += wrong
    if corrected:  # also where no cell changes: whoever holds wrong figures or names is to ask again
        await ledger.change(session, differences, map(projection.key_of, differences), (), "rebuilt")
    return corrected
