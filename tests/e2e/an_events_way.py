"""An event's whole way through the services, as a page: ``python -m tests.e2e.an_events_way`` (``make docs``) writes it.

The three services run on the real broker and the real database and take events of the example from Wuxi. What went over HTTP and
NATS is shown as it was; only what differs from run to run (times of the clock, pseudonyms) has another word in its place.
"""

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
from nats.js import JetStreamContext

from shared.events.identity import enrolment_id
from tests.contract.answers import as_documented
from tests.contract.documents import APPS
from tests.servers import NatsForTests, PostgresForTests, broker_files

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "an-events-way.md"
EXAMPLE = ROOT / "examples" / "wuxi-2025" / "events.ndjson"
ADMINISTRATOR = "the-administrators-token"
BATCH, ONE = "application/cloudevents-batch+json", "application/cloudevents+json"
COORDINATOR, SENDING = "cn/ilo-china", "kh/dgtvet"
HOST, AWARDING = "cn/wuxi-institute", "cn/wuxi-appraisal"
ROLES = {COORDINATOR: "coordinator", SENDING: "sending-office", HOST: "host-centre", AWARDING: "awarding-body"}
DEADLINE_SECONDS = 60

Message = dict[str, Any]


@dataclass
class Way:
    """What went over the wires."""

    posted: dict[str, tuple[Message, Message]] = field(default_factory=dict)
    """Event and answer, by the event's id."""
    told: dict[str, list[Message]] = field(default_factory=dict)
    """The messages on NATS by subject, in order."""
    figures: dict[str, Message] = field(default_factory=dict)
    """Reporting's answers by address."""


FIGURES = {
    "enrolled": "/v1/aggregates?measure=enrolled&by=sex,trade",
    "certified": "/v1/aggregates?measure=enrolled,completed,certified&by=sex,trade",
}


def example() -> dict[str, Message]:
    """The example's events by id; trainee 001 is enrolled without having been proposed, so the event says all of it."""
    events: dict[str, Message] = {}
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        events[event["id"]] = event
    enrolled = events["enrolled-001"]
    enrolled["data"] = events["proposed-001"]["data"] | enrolled["data"]
    return events


class River:
    """The services, and everything that is said to them and by them."""

    def __init__(self, clients: dict[str, httpx.AsyncClient], streams: JetStreamContext) -> None:
        self.way = Way()
        self._clients = clients
        self._streams = streams
        self._tokens: dict[str, str] = {}

    async def register(self, office: str, role: str) -> None:
        new = {"office": f"/offices/{office}", "name": office, "roles": [role], "officer": "officer"}
        answer = await self._clients["enrolment"].post("/v1/offices", json=new)
        self._tokens[office] = answer.json()["token"]

    async def post(self, service: str, office: str, *events: Message) -> None:
        """Post as the office, and wait until everything that follows has reached reporting."""
        one = len(events) == 1
        answer = await self._clients[service].post(
            "/v1/events",
            content=json.dumps(events[0] if one else events),
            headers={"Authorization": f"Bearer {self._tokens[office]}", "Content-Type": ONE if one else BATCH},
        )
        assert answer.status_code == 200, answer.text
        for event in events:
            self.way.posted[event["id"]] = (event, answer.json())
        await self.settle()

    async def settle(self) -> None:
        told = await self._position("enrolment")
        await self._until("certification", lambda at: at["heard"] == told["position"])
        both = told["position"] | (await self._position("certification"))["position"]
        await self._until("reporting", lambda at: all(at["position"].get(name) == both[name] for name in both))

    async def ask(self, address: str) -> None:
        self.way.figures[address] = (await self._clients["reporting"].get(address)).json()

    async def listen(self) -> None:
        """Read everything that is in the streams."""
        for stream in ("RECEIPTS", "ENROLMENT", "CERTIFICATION"):
            last = (await self._streams.stream_info(stream)).state.last_seq
            for sequence in range(1, last + 1):
                message = await self._streams.get_msg(stream, sequence)
                assert message.subject
                assert message.data
                self.way.told.setdefault(message.subject, []).append(json.loads(message.data))

    async def _position(self, service: str) -> Message:
        answer: Message = (await self._clients[service].get("/v1/position")).json()
        return answer

    async def _until(self, service: str, holds: Callable[[Message], bool]) -> None:
        deadline = monotonic() + DEADLINE_SECONDS
        while not holds(there := await self._position(service)):
            assert monotonic() < deadline, (service, there)
            await asyncio.sleep(0.05)


async def go(postgres: PostgresForTests, nats_server: NatsForTests) -> Way:
    """Take the events their way through services on these servers."""
    events = example()
    async with running(postgres, nats_server) as river:
        for office, role in ROLES.items():
            await river.register(office, role)
        await river.settle()
        await river.post(
            "enrolment", COORDINATOR, *(events[name] for name in ("programme", "centre-wuxi", "centre-ntti"))
        )
        await river.post("certification", AWARDING, events["scheme"])
        await river.post("enrolment", SENDING, events["enrolled-001"])
        await river.post("enrolment", COORDINATOR, events["announced"])
        await river.ask(FIGURES["enrolled"])
        await river.post("enrolment", HOST, events["started"])
        await river.post("certification", AWARDING, events["assessed-001"])
        await river.post("enrolment", HOST, events["completed-001"])
        await river.post("certification", AWARDING, events["awarded-001"])
        await river.ask(FIGURES["certified"])
        await river.listen()
        return river.way


@asynccontextmanager
async def running(postgres: PostgresForTests, nats_server: NatsForTests) -> AsyncIterator[River]:
    """The three services on a fresh database and empty streams."""
    async with AsyncExitStack() as stack:
        connection = await nats_server.connect()
        stack.push_async_callback(connection.close)
        streams = connection.jetstream(timeout=5)
        for info in await streams.streams_info():
            await streams.delete_stream(info.config.name or "")
        database = postgres.create_migrated_database()
        stack.callback(postgres.drop_database, database)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clients = {}
        for number, (service, (create, settings)) in enumerate(APPS.items()):
            url = postgres.url(service, database)
            (folder / service).write_text(f"{number:02x}" * 32)
            (folder / "admin").write_text(ADMINISTRATOR)
            app = create(
                settings(
                    database_url=url,
                    nats_url=nats_server.url,
                    **broker_files(folder, service, nats_server.keys),
                    secret_file=folder / service,
                    admin_token_file=folder / "admin",
                )
            )
            await stack.enter_async_context(app.router.lifespan_context(app))
            clients[service] = await stack.enter_async_context(
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(app),
                    base_url=f"http://{service}",
                    headers={"Authorization": f"Bearer {ADMINISTRATOR}"},
                    event_hooks=as_documented(service),
                )
            )
        yield River(clients, streams)


# --- the page


def page(way: Way) -> str:
    """The page that tells the way."""
    enrolment = enrolment_id("wuxi-2025-spring", "001")
    receipts, trainee = f"receipts.{SENDING.replace('/', '.')}", "enrolment.trainee.kh.wuxi-2025-spring.001"
    certificates = next(subject for subject in way.told if subject.startswith("certification.certificate."))
    changed = [one for one in way.told[receipts] if one["receipt"].get("number", 0) > 1]
    parts = [
        "# An event's way",
        "<!-- Written by `make docs`: tests/e2e/an_events_way.py runs the services and writes down what they say. -->",
        "From what an office posts to a figure that everyone sees: real messages of the example from Wuxi, taken from three "
        "running services, their broker and their database. Times of the clock and the pseudonym are replaced by words, and "
        "nothing else; the person is invented. Every address and message is described by each service itself: `/docs` (HTTP) "
        "and `/asyncapi` (NATS).",
        "## 1. An office posts what happened",
        "The sending office says that a place was accepted: `POST /v1/events` at enrolment, "
        f"`Content-Type: {ONE}`, with its token. (Over NATS it would be the same message on `intake.enrolment.kh.dgtvet`.) "
        "The programme, the centres and the scheme were registered before.",
        _shown(way.posted["enrolled-001"][0]),
        "## 2. It gets a receipt",
        "Nobody has announced the cohort yet. Nothing is lost: the event is kept and waits, and that is what the receipt says.",
        _shown(way.posted["enrolled-001"][1]),
        "## 3. What it waited for comes",
        "The coordinator posts `cohort.announced.v1`. Its own receipt says that it applied; so does the one that waited, under "
        f"its next number. The sending office reads it on `{receipts}` (and at `GET /v1/events/kh/dgtvet/enrolled-001`).",
        _shown(way.posted["announced"][1]),
        _shown(changed[0]),
        "## 4. Enrolment tells what it now holds to be true",
        f"One fact for each thing that changed, on the stream ENROLMENT: the cohort's, and the trainee's on `{trainee}`. It has "
        "no name, no identifier and no birth date; those stay in enrolment's register. `cause` is the event behind it.",
        _shown(way.told[trainee][0]),
        "## 5. Reporting counts it",
        f"`GET {FIGURES['enrolled']}` at reporting. `position` says up to which fact of each stream the figures are true.",
        _shown(way.figures[FIGURES["enrolled"]]),
        "## 6. On to a certificate",
        "The cohort started, the trainee was assessed and completed the course; then the awarding body posts to certification:",
        _shown(way.posted["awarded-001"][0]),
        _shown(way.posted["awarded-001"][1]),
        f"Certification has heard of the enrolment (`{enrolment}`) from enrolment's facts alone. It tells what it holds to be "
        f"true on `{certificates}`, each time it changes; this is the last time:",
        _shown(way.told[certificates][-1]),
        f"And `GET {FIGURES['certified']}` answers:",
        _shown(way.figures[FIGURES["certified"]]),
    ]
    return "\n\n".join(parts) + "\n"


def _shown(message: Message) -> str:
    return f"```json\n{json.dumps(_without_chance(message), ensure_ascii=False, indent=2)}\n```"


def _without_chance(part: Any) -> Any:
    """With words in the place of what differs from run to run."""
    if isinstance(part, list):
        return [_without_chance(one) for one in part]
    if not isinstance(part, dict):
        return part
    posted = str(part.get("source", "")).startswith("/offices/") and "data" in part
    words = {"recordedtime": "(when it was recorded)", "person": "(a pseudonym)"}
    if not posted:
        words["time"] = "(when it was told)"
    return {
        key: words[key] if key in words and isinstance(value, str) else _without_chance(value)
        for key, value in part.items()
    }


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="sampan-docs-"))
    folder.chmod(0o711)  # PostgreSQL's user must be able to enter when root runs this
    try:
        with PostgresForTests(folder / "postgres") as postgres, NatsForTests(folder / "nats") as nats_server:
            PAGE.write_text(page(asyncio.run(go(postgres, nats_server))), encoding="utf-8")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
