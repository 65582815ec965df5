"""PostgreSQL as the services use it: one schema each, one transaction per handler call."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg
from pydantic_core import from_json, to_json
from sqlalchemy import event, inspect, text
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlmodel import SQLModel

from shared import tracing
from shared.progress import moved

T = TypeVar("T")

# A dead database must give an error, not a hang: seconds to connect, and for one statement.
CONNECT_SECONDS = 5
STATEMENT_SECONDS = 30
# One that goes through all that there is, in the background or for an administrator, may take its time.
UNHURRIED_SECONDS = 3600
# How long a database may take to show that it answers at all.
PING_SECONDS = 3
# A process that is paused in the middle of a transaction must not hold its locks for ever.
IDLE_IN_TRANSACTION_SECONDS = 30
# Nor one that holds a lock of `alone`: longer than any holder lets its connection rest.
IDLE_HOLDER_SECONDS = 25
ATTEMPTS = 5

# SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html
_CONFLICTS = {"40001", "40P01"}  # serialization_failure, deadlock_detected
# Connection exception, invalid authorization, invalid catalog name, insufficient resources, operator intervention, system error.
_TRANSIENT_CLASSES = ("08", "28", "3D", "53", "57P", "58")
_TRANSIENT_STATES = {
    "25006",  # read_only_sql_transaction: a standby
    "25P03",  # idle_in_transaction_session_timeout
    "42501",  # insufficient_privilege, and the next two: the migrations have not run yet
    "42703",  # undefined_column
    "42P01",  # undefined_table
    "55P03",  # lock_not_available
    "57014",  # query_canceled: the statement timeout
}


class Database:
    """One service's database: an engine whose connections see the service's own schema only."""

    def __init__(self, url: str, schema: str) -> None:
        """`url` is `postgresql+asyncpg://...`; nothing is connected yet."""
        self.schema = schema
        self.engine = _engine(url, schema, connections=10, more=10, seconds=STATEMENT_SECONDS)
        # Of its own, so that a pool full of slow requests is not taken for a database that does not answer.
        self._probe = _engine(url, schema, connections=1, more=0, seconds=PING_SECONDS)
        self._unhurried = _engine(url, schema, connections=1, more=2, seconds=UNHURRIED_SECONDS)
        tracing.watch(self.engine.sync_engine)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        # Said with the BEGIN: a statement of its own takes a reader as long as half of the others.
        reading = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._snapshots = async_sessionmaker(reading)
        self._outbox_listeners: list[Callable[[], None]] = []

    def on_outbox(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each commit that put something into the outbox."""
        self._outbox_listeners.append(listener)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """One transaction: committed at the end of the block, rolled back when it raises."""
        async with self._sessions() as session:
            async with session.begin():
                yield session
            if session.info.get("outbox"):
                for listener in self._outbox_listeners:
                    listener()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncSession]:
        """A transaction that only reads, and in which all that it reads belongs together."""
        async with self._snapshots() as session, session.begin():
            yield session

    @asynccontextmanager
    async def unhurried(self) -> AsyncIterator[AsyncSession]:
        """A transaction whose statements may go through all that there is: nobody waits for them with a lock in hand."""
        async with self.unhurried_connection() as connection, AsyncSession(connection) as session, session.begin():
            yield session

    def unhurried_connection(self) -> AsyncConnection:
        """The same as a connection, to be entered, for more than one transaction."""
        return self._unhurried.connect()

    async def run(self, work: Callable[[AsyncSession], Awaitable[T]], *, unhurried: bool = False) -> T:
        """What `work(session)` returns, done in one transaction and committed; an `unhurried` one may take long.

        Deadlocks and serialization failures are answered by doing all of it again, so `work` must touch
        nothing but the session.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self.unhurried() if unhurried else self.transaction() as session:
                    return await work(session)
            except DBAPIError as error:
                if _sqlstate(error) not in _CONFLICTS or attempt == ATTEMPTS:
                    raise
            await asyncio.sleep(0.02 * attempt)
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def alone(self, what: str) -> AsyncIterator[AsyncConnection | None]:
        """A connection that holds the lock called `what`, in autocommit; None while another session holds it.

        The lock ends with the connection: who has it must use the connection now and then, to learn that it is lost and not to
        be taken for a process that is paused, which loses it after IDLE_HOLDER_SECONDS.
        """
        async with self.engine.connect() as plain:
            connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
            perhaps_locked = True
            try:
                # One statement: whoever is paused between two would hold the lock for as long as that lasts.
                lock = text(
                    """
                    SELECT CASE WHEN pg_try_advisory_lock(hashtext('sampan'), hashtext(:what))
                    THEN set_config('idle_session_timeout', :limit, false) END
                    """
                )
                asked = {"what": f"{self.schema} {what}", "limit": f"{IDLE_HOLDER_SECONDS}s"}
                perhaps_locked = (await connection.execute(lock, asked)).scalar_one() is not None
                yield connection if perhaps_locked else None
            finally:
                if perhaps_locked:  # closed, not given back to the pool
                    await connection.invalidate()

    async def ping(self) -> None:
        """Raise unless the database answers."""
        async with self.probe() as session:
            await session.execute(text("SELECT 1"))

    @asynccontextmanager
    async def probe(self) -> AsyncIterator[AsyncSession]:
        """A transaction to see how things are: on a connection that requests and handlers never take."""
        async with AsyncSession(self._probe) as session, session.begin():
            yield session

    async def close(self) -> None:
        await self.engine.dispose()
        await self._unhurried.dispose()
        await self._probe.dispose()


def _engine(url: str, schema: str, *, connections: int, more: int, seconds: int) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=connections,
        max_overflow=more,
        pool_timeout=CONNECT_SECONDS,
        json_deserializer=from_json,  # pydantic's: a multiple as fast as the standard one
        hide_parameters=True,  # a row may hold a name: it must not reach a log with an error
        connect_args={
            "timeout": min(CONNECT_SECONDS, seconds),
            # For the case that the server cannot even say that the statement took too long.
            "command_timeout": seconds + min(5, seconds),
            "server_settings": {
                "application_name": f"sampan-{schema}",
                "search_path": f'"{schema}"',
                "statement_timeout": f"{seconds}s",
                "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS}s",
                # A plan that was kept from when a table was small reads all of it once it is large, until statistics are taken.
                "plan_cache_mode": "force_custom_plan",
                # What is asked for is in memory or on a disk without a head: a few hundred rows are not worth reading all for.
                "random_page_cost": "1.1",
                # A lock is free within half a minute when its holder's machine is gone, or takes no answer.
                "tcp_keepalives_idle": "15",
                "tcp_keepalives_interval": "5",
                "tcp_keepalives_count": "3",
                "tcp_user_timeout": "30000",
            },
        },
    )
    event.listen(engine.sync_engine, "checkout", _still_there)
    event.listen(engine.sync_engine, "after_cursor_execute", lambda *_: moved())
    return engine


def _still_there(connection: Any, *_: object) -> None:
    """In the place of SQLAlchemy's own ping, which waits as long as any statement for a database that hangs."""

    async def ask(driver: asyncpg.Connection) -> None:
        await driver.fetchrow(";", timeout=PING_SECONDS)

    try:
        connection.run_async(ask)
    except Exception as error:
        raise InvalidatePoolError from error


async def write(
    session: AsyncSession, table: type[SQLModel], rows: Sequence[Mapping[str, Any]], changing: Sequence[str] = ()
) -> None:
    """Insert rows that have the same columns, as one statement; those whose primary key is there change these columns.

    Raises IntegrityError when a key is there and nothing is `changing`, or when `rows` has one key twice.
    """
    if not rows:
        return
    # One parameter with everything: a message to the server for each row took it longer than the row itself.
    name, columns = table.__tablename__, ", ".join(rows[0])
    keys = ", ".join(column.name for column in inspect(table).primary_key)
    new = ", ".join(f"excluded.{column}" for column in changing)
    conflict = f"ON CONFLICT ({keys}) DO UPDATE SET ({', '.join(changing)}) = ROW ({new})" if changing else ""
    statement = f"""
        INSERT INTO {name} ({columns})
        SELECT {columns} FROM jsonb_populate_recordset(CAST(NULL AS {name}), CAST(:rows AS jsonb)) {conflict}
    """  # noqa: S608 (the names of a table and its columns)
    await session.execute(text(statement), {"rows": as_json(rows)})


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of a table for ``jsonb_populate_recordset``; those with bytes have them in the same columns."""
    binary = [name for row in rows[:1] for name in row if any(isinstance(one[name], bytes) for one in rows)]
    if binary:
        rows = [{**row, **{name: _hexadecimal(row[name]) for name in binary}} for row in rows]
    return to_json(rows).decode()


def _hexadecimal(value: bytes | None) -> str | None:
    return None if value is None else f"\\x{value.hex()}"


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed later, because it was the world that failed and not the work.

    True for a lost, refused or exhausted database connection, a database that is not migrated yet, a conflict between
    transactions, a time-out and any other trouble of the operating system or the network.
    """
    if isinstance(error, DBAPIError):
        state = _sqlstate(error)
        if state is None:
            return error.connection_invalidated or _is_world(error.orig)
        return state in _CONFLICTS | _TRANSIENT_STATES or state.startswith(_TRANSIENT_CLASSES)
    return _is_world(error)


def is_crowded(error: BaseException) -> bool:
    """Whether the database may be well, and all connections to it were in use."""
    return isinstance(error, PoolTimeoutError)


def _is_world(error: BaseException | None) -> bool:
    # SQLAlchemy wraps what asyncpg raises, except when it could not even connect.
    connecting = (asyncpg.PostgresError, asyncpg.InterfaceError)
    while error is not None:
        if isinstance(error, (OSError, TimeoutError, PoolTimeoutError, *connecting)):
            return True
        error = error.__cause__
    return False


def _sqlstate(error: DBAPIError) -> str | None:
    state = getattr(error.orig, "sqlstate", None)
    return state if isinstance(state, str) else None
