"""The relay: what the outbox holds goes to the broker, whatever dies in between: facts in order and once, notices at least once.

Nothing is noted about a published fact. A fact's position in the journal is its sequence in the stream, so the stream itself says
how far it has come, and every batch is fenced by that sequence: a relay that was paused and wakes up late cannot write.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from typing import NamedTuple
from uuid import uuid4

import nats.errors
from nats.js.api import Header
from nats.js.errors import NotFoundError
from prometheus_client import Counter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared import tracing
from shared.bus import Bus
from shared.correlation import Way
from shared.database import Database
from shared.deadletters import describe
from shared.streams import WAY_OUT, prefixes, stream_of
from shared.tasks import background

log = logging.getLogger(__name__)

BATCH_MESSAGES = 1000  # the server's limit for an atomic batch (ADR-50)
BATCH_BYTES = 4_000_000
PUBLISH_SECONDS = 10.0
POLL_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 5.0

_WRONG_LAST_SEQUENCE = 10071
_DUPLICATE_IN_BATCH = 10201

PUBLISHED = Counter("sampan_published", "Messages published from the outbox", ["service", "stream"])


class Row(NamedTuple):
    """A fact with its position, or a notice with its id."""

    number: int
    subject: str
    body: str
    way: Way | None = None


class Refused(Exception):
    """The server did not take a batch: nothing of it is in the stream."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(f"{code} {description}")
        self.code = code


class JournalDiffers(Exception):
    """The stream holds what the journal has not: the database was restored, or the stream is not ours."""


_BROKER_ERRORS = (nats.errors.Error, OSError, TimeoutError, Refused, JournalDiffers, ValueError)


class Relay:
    """One service's relay. Any number of processes may run one; an advisory lock lets one of them work."""

    def __init__(self, database: Database, bus: Bus, *, service: str, stream: str | None) -> None:
        """`stream` is where the service's facts go; None for a service that publishes notices only."""
        self._database = database
        self._bus = bus
        self._service = service
        self._stream = stream
        self._problems: dict[str, str] = {}
        self._woken = asyncio.Event()
        database.on_outbox(self.wake)

    def wake(self) -> None:
        """Look at the outbox now rather than at the next poll."""
        self._woken.set()

    def health(self) -> list[str]:
        """What keeps the relay from publishing, in plain words; empty when all is well."""
        return list(self._problems.values())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Publish in the background, for ever, until the block ends."""
        async with background(self._run()):
            yield

    async def _run(self) -> None:
        while True:
            try:
                # Everything is read over the connection that holds the lock: when it is lost, so is the right to publish.
                async with self._database.alone("relay") as connection:
                    if connection is not None:
                        await self._lead(connection)
                self._problems.clear()  # another process publishes, and says what keeps it from that
            except Exception as error:
                self._problems["database"] = f"the relay has no database: {describe(error)}"
                log.warning("relay of %s: %s", self._service, describe(error))
            await asyncio.sleep(1)

    async def _lead(self, connection: AsyncConnection) -> None:
        """Publish until the database fails."""
        log.info("the relay of %s is this process", self._service)
        self._problems.pop("database", None)
        last: int | None = None
        failures = 0
        while True:
            self._woken.clear()
            failed = False
            try:
                if self._stream is not None:
                    last = await self._publish_facts(connection, self._stream, last)
                self._problems.pop("facts", None)
            except _BROKER_ERRORS as error:
                last, failed = None, True
                self._trouble("facts", error)
            failed |= not await self._publish_notices(connection)
            failures = failures + 1 if failed else 0
            wait = min(LONGEST_WAIT_SECONDS, 0.1 * 2 ** min(failures, 10)) if failed else POLL_SECONDS
            if failed:
                await asyncio.sleep(wait)
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._woken.wait()

    def _trouble(self, what: str, error: BaseException) -> None:
        said = str(error) if isinstance(error, (JournalDiffers, Refused, ConnectionError)) else describe(error)
        problem = f"the relay cannot publish {what}: {said}"
        if self._problems.get(what) != problem:
            log.warning("%s: %s", self._service, problem)
        self._problems[what] = problem

    # --- facts

    async def _publish_facts(self, connection: AsyncConnection, stream: str, last: int | None) -> int:
        """Bring the stream up to the journal; the sequence it then ends with. `last` is that of the last time, if known.

        Raises JournalDiffers when the stream has what the journal has not.
        """
        # Asked each time round: a stream that was made anew in the meantime must be filled again.
        known = await self._last_sequence(stream)
        if last is not None and known < last:
            log.error("%s ends at %d, after %d: it was made anew and is filled from the journal", stream, known, last)
        while True:
            select = text("SELECT position FROM outbox_head WHERE id = 1")
            head = (await connection.execute(select)).scalar_one()  # read after the stream's end, so never behind it
            if known > head:
                raise JournalDiffers(f"{stream} ends at {known} but the journal at {head}: {WAY_OUT}")
            if known not in (0, last):  # not where this relay left it
                await self._compare(connection, stream, known)
            last = known
            rows = await self._next_facts(connection, known)
            if not rows:
                return known
            if rows[0].number != known + 1:
                raise JournalDiffers(f"the journal has no position {known + 1}: it was changed by hand")
            try:
                known = last = await self._send_facts(stream, rows, known)
                self._problems.pop("facts", None)  # not only at the end: of millions of facts, minutes from now
            except Refused as refused:
                if refused.code != _WRONG_LAST_SEQUENCE:
                    raise
                log.warning("%s was written to by another relay, or made anew: looking again", stream)
                known = await self._last_sequence(stream)

    async def _compare(self, connection: AsyncConnection, stream: str, sequence: int) -> None:
        """Raises JournalDiffers unless the stream's last message is what the journal has at that position.

        A journal that was restored from a backup grows past the stream's end again: numbers alone would not show it.
        """
        message = await self._bus.jetstream.get_msg(stream, sequence)
        select = text("SELECT body FROM outbox WHERE position = :position")
        body = (await connection.execute(select, {"position": sequence})).scalar_one_or_none()
        if body is None or message.data != body.encode():
            raise JournalDiffers(f"{stream} and the journal differ at {sequence}: {WAY_OUT}")

    async def _last_sequence(self, stream: str) -> int:
        try:
            return int((await self._bus.jetstream.stream_info(stream)).state.last_seq)
        except NotFoundError:
            raise ConnectionError(f"the stream {stream} is not there") from None

    async def _next_facts(self, connection: AsyncConnection, last: int) -> list[Row]:
        found = await connection.execute(
            text(
                """
                SELECT position, subject, body, correlation, traceparent FROM (
                    SELECT position, subject, body, correlation, traceparent,
                           sum(octet_length(body)) OVER (ORDER BY position) - octet_length(body) AS before
                    FROM (SELECT * FROM outbox WHERE position > :last ORDER BY position LIMIT :messages) AS next
                ) AS sized
                WHERE before < :bytes ORDER BY position
                """
            ),
            {"last": last, "messages": BATCH_MESSAGES, "bytes": BATCH_BYTES},
        )
        return [Row(row.position, row.subject, row.body, _way(row.correlation, row.traceparent)) for row in found]

    async def _send_facts(self, stream: str, rows: Sequence[Row], last: int) -> int:
        await self._send_batch(stream, rows, {Header.EXPECTED_LAST_SEQUENCE.value: str(last)})
        return rows[-1].number

    # --- notices

    async def _publish_notices(self, connection: AsyncConnection) -> bool:
        """Publish all that wait, and forget what was taken; False when some could not be published.

        What is forgotten goes by the ids that were sent: a slower transaction may still commit a lower one.
        """
        done = 0
        # One stream that is away must not hold up the others, nor be read through at each attempt.
        failed: list[str] = []
        while True:
            found = await connection.execute(
                text(
                    """
                    SELECT id, subject, body, correlation, traceparent FROM notices
                    WHERE id > :done AND NOT EXISTS (
                        SELECT 1 FROM unnest(CAST(:failed AS text[])) AS away (prefix) WHERE starts_with(subject, prefix)
                    )
                    ORDER BY id LIMIT :messages
                    """
                ),
                {"done": done, "failed": failed, "messages": BATCH_MESSAGES},
            )
            rows = [Row(row.id, row.subject, row.body, _way(row.correlation, row.traceparent)) for row in found]
            if not rows:
                return not failed
            done = rows[-1].number
            by_stream: dict[str, list[Row]] = {}
            for row in rows:
                by_stream.setdefault(stream_of(row.subject), []).append(row)
            for stream, its_rows in by_stream.items():
                if not await self._publish_notices_to(connection, stream, its_rows):
                    failed += prefixes(stream)

    async def _publish_notices_to(self, connection: AsyncConnection, stream: str, rows: Sequence[Row]) -> bool:
        what = f"notices to {stream}"
        try:
            for batch in _by_size(rows):
                await self._send_notices(connection, stream, batch)
                await connection.execute(
                    text("DELETE FROM notices WHERE id = ANY(CAST(:ids AS bigint[]))"),
                    {"ids": [row.number for row in batch]},
                )
        except _BROKER_ERRORS as error:
            self._trouble(what, error)
            return False
        self._problems.pop(what, None)
        return True

    async def _send_notices(self, connection: AsyncConnection, stream: str, rows: Sequence[Row]) -> None:
        try:
            await self._send_batch(stream, rows, {}, message_ids=True)
        except Refused as refused:
            if refused.code != _DUPLICATE_IN_BATCH:
                raise
            # Some were published before a crash: one by one, those are recognised and the others taken.
            js = self._bus.jetstream
            for row in rows:
                await connection.execute(text("SELECT 1"))  # it takes as long as it takes, and is not a pause
                headers = {Header.MSG_ID.value: self._message_id(row), **(row.way.headers if row.way else {})}
                await js.publish(
                    row.subject, row.body.encode(), stream=stream, headers=headers, timeout=PUBLISH_SECONDS
                )
            PUBLISHED.labels(self._service, stream).inc(len(rows))

    def _message_id(self, row: Row) -> str:
        # A database that went back gives numbers out again, for other notices.
        return f"{self._service}-notice-{row.number}-{sha256(row.body.encode()).hexdigest()[:16]}"

    # --- batches

    async def _send_batch(
        self, stream: str, rows: Sequence[Row], first: dict[str, str], *, message_ids: bool = False
    ) -> None:
        """Publish rows as one atomic batch (ADR-50): all of it is in the stream, or nothing.

        Raises Refused when the server says no, and an error of nats-py when it says nothing in time; then it may be either.
        """
        with tracing.publishing(stream, [row.way for row in rows]) as headers_of:
            ways = [headers_of(row.way) for row in rows]
        connection = self._bus.connection
        batch = uuid4().hex
        for place, row in enumerate(rows, 1):
            headers = {Header.BATCH_ID.value: batch, Header.BATCH_SEQUENCE.value: str(place), **ways[place - 1]}
            if place == 1:
                headers |= first
            if message_ids:
                headers[Header.MSG_ID.value] = self._message_id(row)
            if place < len(rows):
                await connection.publish(row.subject, row.body.encode(), headers=headers)
                continue
            headers[Header.BATCH_COMMIT.value] = "1"
            answer = await connection.request(row.subject, row.body.encode(), PUBLISH_SECONDS, headers=headers)
            said = json.loads(answer.data)
            if error := said.get("error"):
                raise Refused(error.get("err_code", 0), error.get("description", ""))
            if said.get("stream") != stream or said.get("count", 1) != len(rows):
                raise Refused(0, f"{row.subject} went to {said.get('stream')} and not to {stream}")
        PUBLISHED.labels(self._service, stream).inc(len(rows))


def _way(correlation: str | None, traceparent: str | None) -> Way | None:
    return Way(correlation, traceparent) if correlation else None


def _by_size(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Cut into batches of at most BATCH_BYTES, though never less than one row."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        if batch and size + len(row.body) > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += len(row.body)
    yield batch
