"""The moment in the middle of a service's commit, held still: PostgreSQL itself waits there, and no code of the product knows.

A deferred trigger runs within COMMIT. It wants a lock that the test holds, so the service's transaction stands with all its
work done and nothing of it true. Killed there, the service has not committed; when the lock is then given, PostgreSQL commits for
the dead: killed after the commit, before it knew.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg

from services.embedded import EmbeddedPostgres
from services.processes import LOOPBACK
from tests.faults.patience import eventually

LOCK = 7_007


class Superuser:
    """A session of PostgreSQL's superuser, for tests that are not asynchronous."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._runner = asyncio.Runner()
        self._session: asyncpg.Connection = self._runner.run(
            asyncpg.connect(
                host=LOOPBACK,
                port=server.port,
                user="postgres",
                password=server.password("postgres"),
                database="sampan",
            )
        )

    def do(self, statements: str) -> None:
        self._runner.run(self._session.execute(statements))

    def ask(self, query: str, *values: Any) -> list[Any]:
        """The first column of every row."""
        return [row[0] for row in self._runner.run(self._session.fetch(query, *values))]

    def close(self) -> None:
        self._session.terminate()
        self._runner.close()


@contextmanager
def superuser(server: EmbeddedPostgres) -> Iterator[Superuser]:
    session = Superuser(server)
    try:
        yield session
    finally:
        session.close()


class Moment:
    """Sessions that stand in the middle of their commit."""

    def __init__(self, session: Superuser) -> None:
        self._session = session

    def waiting(self) -> list[int]:
        """The processes of PostgreSQL that stand there."""
        query = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted"
        return self._session.ask(query, LOCK)

    def reached(self) -> None:
        eventually(lambda: bool(self.waiting()), "no transaction came so far", 60)

    def pass_by(self) -> None:
        """Nobody waits any longer; what waited is committed."""
        self._session.do("SELECT pg_advisory_unlock_all()")

    def undo(self) -> None:
        """End these sessions; what they did is rolled back."""
        self._session.ask("SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS one (pid)", self.waiting())
        eventually(lambda: not self.waiting(), "a session does not end")


@contextmanager
def in_the_commit(session: Superuser, service: str, table: str, *, patience: str = "1s") -> Iterator[Moment]:
    """Transactions of a service that change the table wait in their commit, until this ends; then they are committed.

    ``patience`` is how long such a session waits before it looks whether it is in a deadlock.
    """
    session.do(f"SELECT pg_advisory_lock({LOCK})")
    session.do(
        f"""
        CREATE FUNCTION public.stand_still() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
        $$ BEGIN
            PERFORM set_config('deadlock_timeout', '{patience}', true);
            PERFORM pg_advisory_xact_lock_shared({LOCK});
            RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER stand_still AFTER INSERT OR UPDATE ON {service}.{table}
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.stand_still();
        """
    )
    try:
        yield Moment(session)
    finally:
        session.do("SELECT pg_advisory_unlock_all()")
        session.do(f"DROP TRIGGER stand_still ON {service}.{table}; DROP FUNCTION public.stand_still()")


@contextmanager
def raising(session: Superuser, service: str, table: str, condition: str, state: str, times: int = 0) -> Iterator[None]:
    """Statements that change such a row fail with this SQLSTATE: so often, or (0) always."""
    session.do(
        f"""
        CREATE SEQUENCE public.raised;
        CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
            IF nextval('public.raised') <= {times} OR {times} = 0 THEN
                RAISE EXCEPTION 'injected' USING ERRCODE = '{state}';
            END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON {service}.{table} FOR EACH ROW WHEN ({condition})
        EXECUTE FUNCTION public.fail();
        """
    )
    try:
        yield
    finally:
        session.do(f"DROP TRIGGER fail ON {service}.{table}; DROP FUNCTION public.fail(); DROP SEQUENCE public.raised")
