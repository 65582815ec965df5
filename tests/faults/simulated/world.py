"""Three services on the real PostgreSQL, with a clock, a broker and a network that do as they are told."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel

from services.certification import check as certifications_check
from services.certification import handlers as certification
from services.certification.subscribers import read
from services.certification.tables import Base as Certifications
from services.enrolment import check as enrolments_check
from services.enrolment.forgetting import Archive
from services.enrolment.handlers import Handlers
from services.enrolment.register import Register
from services.enrolment.tables import Base as Enrolments
from services.reporting import check as reportings_check
from services.reporting import coarse, projection
from services.reporting.tables import Base as Reportings
from shared.audit import Audit
from shared.batches import FactBatches, IntakeBatches
from shared.checking import Findings, one_snapshot
from shared.database import Database
from shared.deadletters import DeadLetters
from shared.delivery import Delivery
from shared.events.wire import Raw
from shared.offices import Caller
from shared.rejected import RejectedBodies
from shared.relay import Relay
from tests.emptying import clear
from tests.faults.simulated.broker import Broker, Fate
from tests.faults.simulated.story import ROLES, owner

SECRET = b"\x01" * 32
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
TABLES: dict[str, type[SQLModel]] = {"enrolment": Enrolments, "certification": Certifications, "reporting": Reportings}
STREAMS = {"enrolment": "ENROLMENT", "certification": "CERTIFICATION"}
HEARS = (("certification", "ENROLMENT"), ("reporting", "ENROLMENT"), ("reporting", "CERTIFICATION"))
Event = dict[str, Any]


class Crash(BaseException):
    """The process is gone: nothing in it may answer this."""


class Death(StrEnum):
    """When a process dies."""

    NEVER = "never"
    BEFORE = "before its commit"
    AFTER = "after its commit, before anybody knows"


class Mortal(Database):
    """A service's database; the process that uses it dies when it is told to."""

    death = Death.NEVER

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        death, self.death = self.death, Death.NEVER
        async with super().transaction() as session:
            yield session
            if death is Death.BEFORE:
                raise Crash
        if death is Death.AFTER:
            raise Crash


class End(NamedTuple):
    """All that is true in the end."""

    things: dict[str, Any]
    standings: dict[str, str]
    cube: dict[str, int]
    certificates: int


class Ear:
    """One service that hears one stream: what the broker's consumer knows, and the service's own side of it."""

    def __init__(self, world: "World", service: str, stream: str) -> None:
        self.service, self.stream = service, stream
        self._world = world
        self._delivered: Counter[int] = Counter()
        self._acked: set[int] = set()
        self.begin()

    def begin(self) -> None:
        """As a process that starts."""
        database = self._world.databases[self.service]
        letters = DeadLetters(self.service, SECRET)
        self._batches = FactBatches(database, letters, self.stream, self._hear, self._next)

    def forget(self) -> None:
        """A consumer that was made anew with its stream."""
        self._acked.clear()

    def waiting(self) -> list[int]:
        there = len(self._world.broker.streams.get(self.stream, []))
        return [sequence for sequence in range(1, there + 1) if sequence not in self._acked]

    async def deliver(self, sequences: Sequence[int], *, acked: bool = True) -> None:
        """One batch, in this order; what is in it twice was delivered twice."""
        batch = []
        for sequence in sequences:
            self._delivered[sequence] += 1
            batch.append(self._world.broker.delivery(self.stream, sequence, self._delivered[sequence]))
        later = await self._batches.settle(batch)
        if acked:
            self._acked |= set(sequences) - later.keys()

    async def _next(self, sequence: int) -> int:
        return sequence

    async def _hear(self, session: AsyncSession, deliveries: list[Delivery]) -> None:
        if self.service == "reporting":
            await projection.apply(session, [projection.read(one.body, one.sequence) for one in deliveries])
        else:
            told = [fact for one in deliveries if (fact := read(one.body))]
            await certification.hear(session, told, self._world.now)


class World:
    """What one schedule happens to."""

    def __init__(self, databases: Mapping[str, Mortal]) -> None:
        self.databases = databases
        self.broker = Broker()
        self.now = BEGIN
        self.ears = {(service, stream): Ear(self, service, stream) for service, stream in HEARS}
        self.acknowledged: set[str] = set()
        self._last: dict[str, int | None] = {}
        self._relays: dict[str, Relay] = {}
        self._takers: dict[str, Handlers | certification.Handlers] = {}
        self._intakes: dict[str, IntakeBatches] = {}
        for service in STREAMS:
            self.restart(service)

    async def begin(self) -> "World":
        for service, database in self.databases.items():
            async with database.transaction() as session:
                if service == "reporting":
                    await coarse.empty_tail(session)
                await clear(session, TABLES[service].metadata)
                if service in STREAMS:
                    await session.execute(text("INSERT INTO outbox_head (id, epoch, position) VALUES (1, 1, 0)"))
                    await session.execute(
                        text(
                            "INSERT INTO offices (office, name, roles, status, epoch, revision) "
                            "SELECT office, office, jsonb_build_array(role), 'active', 0, 0 "
                            "FROM unnest(CAST(:offices AS text[]), CAST(:roles AS text[])) AS one (office, role)"
                        ),
                        {"offices": list(ROLES), "roles": list(ROLES.values())},
                    )
        return self

    def restart(self, service: str) -> None:
        """A process that starts, and remembers nothing."""
        database = self.databases[service]
        for ear in self.ears.values():
            if ear.service == service:
                ear.begin()
        if service not in STREAMS:
            return
        letters = DeadLetters(service, SECRET)
        taker: Handlers | certification.Handlers
        if service == "enrolment":
            archive = Archive(RejectedBodies(service, SECRET), letters)
            audit = Audit(database, SECRET)
            taker = Handlers(database, Register(SECRET), archive, audit, "http://certification", lambda: self.now)
        else:
            taker = certification.Handlers(database, SECRET, "http://enrolment", lambda: self.now)
        self._takers[service] = taker
        self._relays[service] = Relay(database, self.broker, service=service, stream=STREAMS[service])  # type: ignore[arg-type]
        self._last[service] = None

        async def handle(deliveries: list[Delivery]) -> None:
            await self._takers[service].take_messages([(one.subject, one.body) for one in deliveries])

        self._intakes[service] = IntakeBatches(database, letters, "INTAKE", handle)

    async def mortal(self, service: str, death: Death, work: Callable[[], Awaitable[object]]) -> bool:
        """Work in a process that may die of it, and is started again; whether it lived."""
        self.databases[service].death = death
        try:
            await work()
        except Crash:
            self.restart(service)
            return False
        finally:
            self.databases[service].death = Death.NEVER
        return True

    # --- what happens

    async def post(self, service: str, events: Sequence[Event], death: Death = Death.NEVER) -> bool:
        """Over HTTP, as the offices; whether an answer came."""
        caller = Caller(None, frozenset(), "administrator", administrator=True)
        raws = [Raw(place, event) for place, event in enumerate(events, 1)]
        answered = []

        async def work() -> None:
            answered.append(await self._takers[service].take(raws, caller))

        if not await self.mortal(service, death, work):
            return False
        (answer,) = answered
        assert not [one for one in answer.receipts if one.status == "rejected"], answer
        self.acknowledged |= {f"{event['source']}/{event['id']}" for event in events}
        return True

    def send(self, service: str, events: Sequence[Event]) -> None:
        """Over NATS: acknowledged by the broker, which keeps it."""
        source = events[0]["source"].removeprefix("/offices").replace("/", ".")
        self.broker.accept(f"intake.{service}{source}", json.dumps(events).encode())
        self.acknowledged |= {f"{event['source']}/{event['id']}" for event in events}

    def sent(self, service: str) -> list[int]:
        """Messages that wait for the service."""
        return [one for one, (subject, _) in self.broker.intake.items() if subject.split(".")[1] == service]

    async def take_in(
        self, service: str, sequences: Sequence[int], death: Death = Death.NEVER, *, acked: bool = True
    ) -> None:
        batch = [Delivery(*self.broker.intake[one], "INTAKE", one, 1, {}) for one in sequences]
        later: dict[int, float] = {}

        async def work() -> None:
            later.update(await self._intakes[service].settle(batch))

        if await self.mortal(service, death, work) and acked:
            for one in set(sequences) - later.keys():
                del self.broker.intake[one]

    async def publish(self, service: str, fate: Fate = Fate.ARRIVES, *, dies: bool = False) -> None:
        """The relay looks at the outbox once; whoever dies has no memory of it."""
        relay, self.broker.fate = self._relays[service], fate
        async with self.databases[service].engine.connect() as plain:
            connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
            try:
                self._last[service] = await relay._publish_facts(connection, STREAMS[service], self._last[service])
            except TimeoutError:
                self._last[service] = None
            await relay._publish_notices(connection)
        self.broker.fate = Fate.ARRIVES
        if dies:
            self.restart(service)

    def lose(self, stream: str) -> None:
        self.broker.lose(stream)
        for ear in self.ears.values():
            if ear.stream == stream:
                ear.forget()

    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    # --- the end

    async def finish(self, story: Iterable[Event], *, thorough: bool = True) -> End:
        """Nothing fails any more: offices send what was not acknowledged, and all is delivered; then what must hold."""
        for service in STREAMS:
            left = [
                one
                for one in story
                if owner(one) == service and f"{one['source']}/{one['id']}" not in self.acknowledged
            ]
            if left:
                await self.post(service, left)
        for service in STREAMS:
            await self.publish(service)
        while self.broker.late:
            self.broker.take(self.broker.late.pop())
        for service in STREAMS:
            if waiting := self.sent(service):
                await self.take_in(service, waiting)
            assert not self.sent(service), "a message is not settled"
        for service in STREAMS:
            await self._deliver_all()
            await self.publish(service)
        await self._deliver_all()
        await self.publish("certification")
        await self._deliver_all()
        if thorough:
            await self._agree()
        return await self._end()

    async def _deliver_all(self) -> None:
        for ear in self.ears.values():
            for _ in range(3):
                if waiting := ear.waiting():
                    await ear.deliver(waiting)
            assert not ear.waiting(), f"{ear.service} does not settle {ear.stream}"

    async def _agree(self) -> None:
        """What `sampan check` compares, in each service."""
        checks: dict[str, Callable[[AsyncSession, Findings], Awaitable[None]]] = {
            "enrolment": partial(enrolments_check.check, bus=self.broker, register=Register(SECRET)),  # type: ignore[arg-type]
            "certification": partial(certifications_check.check, bus=self.broker),  # type: ignore[arg-type]
            "reporting": partial(reportings_check.check, bus=self.broker),  # type: ignore[arg-type]
        }
        for service, check in checks.items():
            findings = Findings()
            async with self.databases[service].transaction() as session:
                await one_snapshot(session)
                await check(session, findings)
            # The offices of a schedule are registered behind everybody's back.
            differences = [one for one in findings.result().differences if one.what not in ("office", "offices")]
            assert not differences, (service, differences)

    async def _end(self) -> End:
        things: dict[str, Any] = {}
        standings: dict[str, str] = {}
        for service in STREAMS:
            async with self.databases[service].transaction() as session:
                rows = await session.execute(text("SELECT position, subject, body FROM outbox ORDER BY position"))
                journal = [(row.position, row.subject, row.body) for row in rows]
                stream = enumerate(self.broker.streams[STREAMS[service]], 1)
                assert journal == [(place, subject, body.decode()) for place, (subject, body, _) in stream]
                rows = await session.execute(text("SELECT subject, body FROM things"))
                things |= {row.subject: row.body for row in rows}
                rows = await session.execute(
                    text("SELECT source || '/' || id AS id, status || ' ' || code AS standing FROM events")
                )
                standings |= {row.id: row.standing for row in rows}
                if service == "certification":
                    number = (await session.execute(text("SELECT count(*) FROM certificates"))).scalar_one()
        async with self.databases["reporting"].transaction() as session:
            rows = await session.execute(text("SELECT encode(key, 'hex') AS key, value FROM cube WHERE value <> 0"))
            cube = {row.key: row.value for row in rows}
        for service, database in self.databases.items():
            async with database.transaction() as session:
                letters = (await session.execute(text("SELECT count(*) FROM dead_letters"))).scalar_one()
            assert letters == 0, f"{service} has dead letters"
        assert self.acknowledged <= standings.keys(), "something acknowledged is lost"
        return End(things, standings, cube, number)
