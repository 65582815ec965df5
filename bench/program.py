"""The program under load: posts in, report out, and what it took."""

import asyncio
import json
import os
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import asyncpg
import httpx
import nats
import psutil
from nats.aio.client import RawCredentials

from bench.load import Load, Post
from services import upkeep
from services.client import Client
from services.processes import free_port
from services.standalone import PORTS, Standalone
from shared.events.identity import office_of
from shared.events.wire import NDJSON
from shared.rights import Rights

SETTLED_SECONDS = 600
READ = (200, 207, 422)
"""Answers to a body whose events were looked at one by one, even if none of them can be taken."""


def ports() -> dict[str, str]:
    """An environment in which the program takes free ports, so that a running one is left alone."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SAMPAN_")}
    return own | {variable: str(free_port()) for variable, _ in PORTS.values()}


COUNTED = {
    "enrolment": {"events", "things", "outbox"},
    "certification": {"events", "things", "outbox", "trainees", "cohorts"},
    "reporting": {"cohorts", "enrolments", "certificates"},
}
"""The tables with a row for each event or fact. All other rows that the program wrote are further ones: states and standings,
what is sealed and linked, certificates, the audit trail, the cube with its steps and the facts of the past."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a load made the program move, to give bare loops the same: (subject, body) of every fact by stream, and (key, content)
    of every further row by service."""

    facts: dict[str, list[tuple[str, str]]]
    further: dict[str, list[tuple[str, str]]]
    rows_written: int
    """Inserted and updated, in all tables of the services."""


class Looking(ABC):
    """Looks again and again in a thread of its own, every so many seconds, while the block runs."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        self.look()
        while not self._stop.wait(self._seconds):
            self.look()

    @abstractmethod
    def look(self) -> None:
        """Look once."""


class Watch(Looking):
    """The memory and processor time of the program's processes while the block runs."""

    def __init__(self, sampan: Standalone) -> None:
        super().__init__(0.25)
        parts = {part.name: part.pid for part in (*sampan.services, sampan.nats, sampan.postgres)}
        self._processes = {name: psutil.Process(pid) for name, pid in parts.items()}
        self.memory: dict[str, int] = dict.fromkeys(parts, 0)
        """Most bytes resident at a time, per part; PostgreSQL's own processes share most of theirs and are left out."""
        self.seconds: dict[str, float] = {}
        self._before = self._processor()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self.seconds = {name: spent - self._before[name] for name, spent in self._processor().items()}

    def look(self) -> None:
        """See who holds more than before."""
        for name, process in self._processes.items():
            self.memory[name] = max(self.memory[name], process.memory_info().rss)

    def _processor(self) -> dict[str, float]:
        spent = {}
        for name, process in self._processes.items():
            times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
            own = process.cpu_times()
            spent[name] = sum(each.user + each.system for each in times) + own.children_user + own.children_system
        return spent


class Program:
    """A running program, and the tokens of a load's offices."""

    def __init__(self, sampan: Standalone, load: Load | None = None) -> None:
        self.sampan = sampan
        self.client = Client(sampan.urls["enrolment"], sampan.admin_token)
        self.tokens = {}
        for source, roles in (load.offices if load else {}).items():
            office = {"office": source, "name": source, "roles": sorted(roles), "officer": "bench"}
            self.tokens[source] = self.client.add_office(office)["token"]
        self.client.wait_until_certification_heard()

    def take_over_http(self, load: Load) -> float:
        """Seconds from the first POST until the report holds everything; the offices of a month post side by side."""

        async def post() -> Counter[str]:
            counts: Counter[str] = Counter()
            async with poster() as http:
                for month in load.months:
                    of_office: dict[str, list[Post]] = {}
                    for one in month:
                        of_office.setdefault(one.source, []).append(one)
                    for answers in await asyncio.gather(*(self._post(http, own) for own in of_office.values())):
                        counts.update(answers)
            return counts

        start = time.perf_counter()
        counts = asyncio.run(post())
        self.client.wait_until_reported()
        seconds = time.perf_counter() - start
        data = load.data
        _expect(counts, taken=data.taken, duplicate=data.duplicates, rejected=data.invalid)
        return seconds

    def take_one_by_one(self, posts: Sequence[Post]) -> float:
        """Seconds for posts one after the other, until the report holds everything."""

        async def post() -> Counter[str]:
            async with poster() as http:
                return await self._post(http, posts)

        start = time.perf_counter()
        counts = asyncio.run(post())
        self.client.wait_until_reported()
        seconds = time.perf_counter() - start
        _expect(counts, taken=len(posts))
        return seconds

    def take_over_nats(self, load: Load) -> float:
        """The same as over HTTP, each post one message; from the first message until the report holds everything."""

        async def publish() -> None:
            connection = await connect(self.sampan)
            js = connection.jetstream(timeout=60)
            for post in load.posts:
                country, office = office_of(post.source)
                await js.publish(f"intake.{post.service}.{country}.{office}", b"[" + b",".join(post.events) + b"]")
            deadline = time.monotonic() + SETTLED_SECONDS
            while (await js.stream_info("INTAKE")).state.messages:
                if time.monotonic() > deadline:
                    raise TimeoutError("INTAKE does not run empty")
                await asyncio.sleep(0.05)
            await connection.close()

        start = time.perf_counter()
        asyncio.run(publish())
        self.client.wait_until_reported()
        return time.perf_counter() - start

    def check(self) -> None:
        """Raise unless every event that can be taken was accepted in the end, and `sampan check` finds nothing."""
        for service in ("enrolment", "certification"):
            for status in ("waiting", "conflict"):
                if found := self.client.get(service, "/v1/events", [("status", status)])["items"]:
                    raise AssertionError(f"{service}: {status}: {found[0]}")
        if found := upkeep.check(self.client, lambda _: None):
            raise AssertionError(f"a check finds {len(found)} differences: {found[0]}")

    def moved(self) -> Moved:
        """What it has moved so far."""
        return asyncio.run(self._moved())

    async def _moved(self) -> Moved:
        database = await asyncpg.connect(database_url(self.sampan))
        facts = {
            service.upper(): [
                (row["subject"], row["body"])
                for row in await database.fetch(f"SELECT subject, body FROM {service}.outbox ORDER BY position")  # noqa: S608
            ]
            for service in ("enrolment", "certification")
        }
        await asyncio.sleep(1.5)  # the statistics are a little behind
        further: dict[str, list[tuple[str, str]]] = {service: [] for service in COUNTED}
        written = 0
        for table in await database.fetch(
            "SELECT schemaname AS service, relname AS name, n_tup_ins + n_tup_upd AS written FROM pg_stat_user_tables"
        ):
            written += table["written"]
            if table["service"] in COUNTED and table["name"] not in COUNTED[table["service"]]:
                further[table["service"]] += await _rows(database, **table)
        await database.close()
        return Moved(facts, further, written)

    async def _post(self, http: httpx.AsyncClient, posts: Sequence[Post]) -> Counter[str]:
        counts: Counter[str] = Counter()
        for post in posts:
            headers = {"Authorization": f"Bearer {self.tokens[post.source]}", "Content-Type": NDJSON}
            url = f"{self.sampan.urls[post.service]}/v1/events"
            answer = await http.post(url, content=post.body, headers=headers)
            if answer.status_code not in READ:
                answer.raise_for_status()
            counts.update(receipt["status"] for receipt in answer.json()["receipts"])
        return counts


async def _rows(database: Any, service: str, name: str, written: int) -> list[tuple[str, str]]:
    """As many rows as were written into a table, with their keys: those there are, again and again. Nothing of an empty one."""
    found = await database.fetch(f'SELECT CAST(one AS text) AS body FROM {service}."{name}" AS one')  # noqa: S608
    return [(f"{name}/{n % len(found)}", found[n % len(found)]["body"]) for n in range(written)] if found else []


def poster() -> httpx.AsyncClient:
    """Whoever posts. Connections that were idle are not used again: a service closes them after five seconds, maybe just then."""
    return httpx.AsyncClient(timeout=120, limits=httpx.Limits(keepalive_expiry=1))


def _expect(counts: Counter[str], *, taken: int, duplicate: int = 0, rejected: int = 0) -> None:
    said = (counts["accepted"] + counts["waiting"] + counts["conflict"], counts["duplicate"], counts["rejected"])
    if said != (taken, duplicate, rejected):
        raise AssertionError(f"not every event was answered as it should be: {counts}")


def database_url(sampan: Standalone) -> str:
    """asyncpg's address of the program's database, as its superuser."""
    return sampan.postgres.url("postgres").replace("+asyncpg", "")


async def connect(sampan: Standalone) -> Any:
    """A connection to the program's broker that may do everything."""
    return await nats.connect(sampan.nats.url, user_credentials=RawCredentials(credentials(sampan)))


def credentials(sampan: Standalone) -> str:
    """Of a user in the services' account who may do everything: the program itself has none."""
    return sampan.nats.keys.credentials("bench", Rights((">",), (">",)))


def settings(sampan: Standalone) -> dict[str, Any]:
    """What of the database's settings decides whether a commit is on the disk, as the database itself tells it."""

    async def ask() -> dict[str, Any]:
        database = await asyncpg.connect(database_url(sampan))
        names = ("server_version", "fsync", "synchronous_commit", "full_page_writes")
        told = {name: await database.fetchval(f"SHOW {name}") for name in names}
        await database.close()
        return told

    jetstream = json.loads((sampan.folder / "nats" / "nats.conf").read_text())["jetstream"]
    return {"postgresql": asyncio.run(ask()), "jetstream": {"sync_interval": jetstream["sync_interval"]}}
