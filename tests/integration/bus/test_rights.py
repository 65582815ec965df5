"""Every user of the broker against what is not its own: what the server denies, on the real one."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from itertools import permutations

import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import NoStreamResponseError

from shared.admission import keep_durables, shut_out
from shared.bus import Bus
from shared.deadletters import DeadLetters
from shared.rights import HOLDER, SERVICE_RIGHTS, inbox_prefix, office_durable
from shared.streams import STREAMS, ensure_stream
from tests.integration.bus.house import House, eventually
from tests.servers import NatsForTests

# Names that begin or end alike, and one with every kind of character.
OFFICES = [("kh", "ntti"), ("kh", "ntti2"), ("la", "ntti"), ("mm", "a-1-b")]
FACTS = {"enrolment": "ENROLMENT", "certification": "CERTIFICATION"}
READ_BY = {
    "enrolment": ("INTAKE",),
    "certification": ("INTAKE", "ENROLMENT"),
    "reporting": ("ENROLMENT", "CERTIFICATION"),
}
OWNED_BY = {
    "enrolment": ("INTAKE", "RECEIPTS", "ENROLMENT", "DEADLETTERS"),
    "certification": ("CERTIFICATION",),
    "reporting": ("CHANGES",),
}


class Who:
    """A connected user, and what the server would not let it do."""

    def __init__(self, name: str, connection: Client, denied: list[str]) -> None:
        self.name = name
        self.connection = connection
        self.denied = denied

    async def tries(self, subjects: Sequence[str], reply: str = "") -> set[str]:
        """Publish on each subject; those that the server denied."""
        self.denied.clear()
        for subject in subjects:
            await self.connection.publish(subject, b"{}", reply=reply)
        await self.settled()
        return {subject for subject in subjects if any(f'"{subject.lower()}"' in said.lower() for said in self.denied)}

    async def listens(self, subjects: Sequence[str]) -> set[str]:
        """Subscribe to each subject; those that the server denied."""
        self.denied.clear()
        for subject in subjects:
            await self.connection.subscribe(subject)
        await self.settled()
        return {subject for subject in subjects if any(f'"{subject.lower()}"' in said.lower() for said in self.denied)}

    async def settled(self) -> None:
        """Wait until the server has judged all that was sent: it answers a ping after that."""
        await self.connection.flush()
        known = -1
        while known != len(self.denied):  # they are handled one after the other, on a busy machine slowly
            known = len(self.denied)
            await asyncio.sleep(0.05)


class Place:
    """The broker with all its streams, as they are while the program runs."""

    def __init__(self, server: NatsForTests, js: JetStreamContext, stack: AsyncExitStack) -> None:
        self.server = server
        self.js = js
        self._stack = stack

    async def service(self, name: str) -> Who:
        return await self._who(name, self.server.keys.service_credentials(name))

    async def office(self, country: str, code: str) -> Who:
        expires = datetime.now(UTC) + timedelta(days=1)
        credentials = self.server.authority.admit(country, code, expires).credentials
        return await self._who(office_durable(country, code), credentials)

    async def _who(self, name: str, credentials: str) -> Who:
        denied: list[str] = []

        async def on_error(error: Exception) -> None:
            denied.append(str(error))

        connection = await self.server.connect(
            credentials, inbox_prefix=inbox_prefix(name), error_cb=on_error, allow_reconnect=False
        )
        self._stack.push_async_callback(connection.close)
        return Who(name, connection, denied)

    async def counts(self) -> dict[str, int]:
        return {name: (await self.js.stream_info(name)).state.last_seq for name in STREAMS}


@pytest.fixture
async def place(nats_server: NatsForTests) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        connection = await nats_server.connect()
        stack.push_async_callback(connection.close)
        js = connection.jetstream(timeout=5)
        for info in await js.streams_info():
            await js.delete_stream(info.config.name or "")
        for name in STREAMS:
            await ensure_stream(js, name)
        await keep_durables(js, set(OFFICES), set())
        yield Place(nats_server, js, stack)


def of_office(country: str, code: str) -> list[str]:
    """All that an office may publish on."""
    durable = office_durable(country, code)
    return [
        f"intake.enrolment.{country}.{code}",
        f"intake.certification.{country}.{code}",
        f"$JS.API.CONSUMER.MSG.NEXT.RECEIPTS.{durable}",
        f"$JS.ACK.RECEIPTS.{durable}.1.1.1.1.1",
    ]


def interface(stream: str, durable: str) -> list[str]:
    """JetStream's interface to a stream and a durable, from its own documentation."""
    on_streams = [
        "INFO",
        "CREATE",
        "UPDATE",
        "DELETE",
        "PURGE",
        "MSG.GET",
        "MSG.DELETE",
        "SNAPSHOT",
        "RESTORE",
        "PEER.REMOVE",
        "LEADER.STEPDOWN",
    ]
    on_consumers = ["INFO", "CREATE", "DELETE", "MSG.NEXT", "RESET", "PAUSE", "UNPIN", "LEADER.STEPDOWN"]
    return [
        *(f"$JS.API.STREAM.{verb}.{stream}" for verb in on_streams),
        *(f"$JS.API.CONSUMER.{verb}.{stream}.{durable}" for verb in on_consumers),
        f"$JS.API.CONSUMER.CREATE.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}.{durable}.intake.enrolment.kh.ntti",
        f"$JS.API.CONSUMER.CREATE.{stream}.{durable}.receipts.kh.ntti",
        f"$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{durable}",
        f"$JS.API.CONSUMER.LIST.{stream}",
        f"$JS.API.CONSUMER.NAMES.{stream}",
        f"$JS.API.DIRECT.GET.{stream}",
        f"$JS.API.DIRECT.GET.{stream}.enrolment.x",
        f"$JS.ACK.{stream}.{durable}.1.1.1.1.1",
    ]


EVERYWHERE = ["$JS.API.INFO", "$JS.API.STREAM.LIST", "$JS.API.STREAM.NAMES", "$JS.API.ACCOUNT.PURGE.X"]
ELSEWHERE = [
    "register.holder",
    "$SYS.REQ.CLAIMS.UPDATE",
    "$SYS.REQ.CLAIMS.LIST",
    "$SYS.REQ.SERVER.PING",
    "$SYS.REQ.USER.INFO",
    "_INBOX.x",
    "whatever",
]


async def test_an_office_posts_and_reads_its_receipts_also_after_an_absence(place: Place) -> None:
    office = await place.office("kh", "ntti")
    posted = await office.connection.jetstream(timeout=5).publish("intake.enrolment.kh.ntti", b"{}")
    assert (posted.stream, posted.seq) == ("INTAKE", 1)
    await place.js.publish("receipts.kh.ntti", b"first")
    await place.js.publish("receipts.la.ntti", b"another's")

    assert await read(office, 1) == [b"first"]
    await office.connection.close()
    await place.js.publish("receipts.kh.ntti", b"second")
    await place.js.publish("receipts.kh.ntti", b"third")

    assert await read(await place.office("kh", "ntti"), 2) == [b"second", b"third"]


async def read(office: Who, count: int) -> list[bytes]:
    """What waits for the office, read and acked; so many, and then no more."""
    receipts = await office.connection.jetstream().pull_subscribe_bind(office.name, stream="RECEIPTS")
    found = []
    for _ in range(count):
        [message] = await receipts.fetch(1, timeout=10)
        found.append(message.data)
        await message.ack_sync()
    with pytest.raises(TimeoutError):
        await receipts.fetch(1, timeout=0.3)
    return found


async def test_no_office_reaches_anothers_subjects(place: Place) -> None:
    await place.js.publish("receipts.kh.ntti", b"for one")
    before = await place.counts()
    for own, other in permutations(OFFICES, 2):
        office = await place.office(*own)
        durable = office_durable(*other)
        subjects = [*of_office(*other), f"receipts.{'.'.join(other)}", f"{inbox_prefix(durable)}.x"]
        assert await office.tries(subjects) == set(subjects), (own, other)
        hidden = [f"receipts.{'.'.join(other)}", f"intake.enrolment.{'.'.join(other)}", f"{inbox_prefix(durable)}.>"]
        assert await office.listens(hidden) == set(hidden), (own, other)
    assert await place.counts() == before


async def test_an_office_does_nothing_but_post_read_and_ack(place: Place) -> None:
    for own in OFFICES:
        office = await place.office(*own)
        allowed = set(of_office(*own))
        subjects = [*EVERYWHERE, *ELSEWHERE, *(f"receipts.{'.'.join(own)}", "intake.enrolment", "enrolment.x.y")]
        for stream in STREAMS:
            for durable in (office.name, *SERVICE_RIGHTS):
                subjects += interface(stream, durable)
        assert await office.tries(subjects) == set(subjects) - allowed
        hidden = [
            ">",
            "*",
            "intake.>",
            "receipts.>",
            f"receipts.{'.'.join(own)}",
            "enrolment.>",
            "$JS.>",
            "$SYS.>",
            "_INBOX.>",
        ]
        assert await office.listens(hidden) == set(hidden)


async def test_every_office_hears_that_figures_moved_and_says_nothing_of_it(place: Place) -> None:
    reporting = await place.service("reporting")
    offices = [await place.office(*own) for own in OFFICES]
    heard = [await office.connection.subscribe("changes.>") for office in offices]
    assert await offices[0].tries(["changes.figures"]) == {"changes.figures"}
    await reporting.connection.jetstream(timeout=5).publish("changes.figures", b"{}", stream="CHANGES")
    for one in heard:
        assert (await one.next_msg(timeout=5)).data == b"{}"


async def test_what_the_server_answers_an_office_ends_in_no_stream(place: Place) -> None:
    """A message may name any subject for its answer, and the server answers there without asking for rights."""
    office = await place.office("kh", "ntti")
    await place.js.publish("receipts.kh.ntti", b"one")
    await place.js.publish("receipts.kh.ntti", b"two")
    before = await place.counts()
    targets = [
        "intake.enrolment.la.ntti",
        "receipts.la.ntti",
        "enrolment.cohort.kh.x",
        "certification.x",
        "deadletter.x",
    ]
    for target in targets:
        assert not await office.tries(["intake.enrolment.kh.ntti", *of_office("kh", "ntti")[2:]], reply=target)
    await office.connection.publish(
        "$JS.API.CONSUMER.MSG.NEXT.RECEIPTS.kh_ntti", b'{"batch": 9}', reply="receipts.la.ntti"
    )
    await office.settled()
    assert await place.counts() == before | {"INTAKE": before["INTAKE"] + len(targets)}


async def test_one_offices_message_ids_silence_no_other_office(place: Place) -> None:
    first, second = await place.office("kh", "ntti"), await place.office("la", "ntti")
    await first.connection.jetstream().publish("intake.enrolment.kh.ntti", b"{}", headers={"Nats-Msg-Id": "event-1"})
    await asyncio.sleep(0.3)  # longer than the stream remembers ids, which is as short as the server allows
    said = await second.connection.jetstream().publish(
        "intake.enrolment.la.ntti", b"{}", headers={"Nats-Msg-Id": "event-1"}
    )
    assert not said.duplicate
    assert (await place.counts())["INTAKE"] == 2


async def test_what_no_service_would_take_in_is_not_kept(place: Place) -> None:
    office = await place.office("kh", "ntti")
    with pytest.raises(NoStreamResponseError):
        await office.connection.jetstream(timeout=2).publish("intake.reporting.kh.ntti", b"{}")


@pytest.mark.parametrize("name", SERVICE_RIGHTS)
async def test_a_service_does_nothing_with_what_is_not_its_own(place: Place, name: str) -> None:
    service = await place.service(name)
    subjects = [*EVERYWHERE, *ELSEWHERE, "intake.enrolment.kh.ntti", "intake.certification.kh.ntti"]
    if name == "certification":
        subjects.remove(HOLDER)
    subjects += [f"{other}.thing.kh.x" for other in FACTS if other != name]
    subjects += [f"deadletter.{other}" for other in SERVICE_RIGHTS if other != name]
    if name == "reporting":
        subjects.append("receipts.kh.ntti")
    for stream in STREAMS:
        others = [other for other in SERVICE_RIGHTS if other != name]
        if stream not in (*OWNED_BY.get(name, ()), *READ_BY[name]):
            subjects += interface(stream, name)
        # Also where it reads: another's durable, and all that changes a stream.
        for other in others:
            subjects += [
                subject
                for subject in interface(stream, other)
                if f".{other}" in subject and ".RECEIPTS." not in subject
            ]
        if stream not in OWNED_BY.get(name, ()):
            subjects += [f"$JS.API.STREAM.{verb}.{stream}" for verb in ("CREATE", "UPDATE")]
        if stream not in (
            *FACTS.values(),
            "CHANGES" if name == "reporting" else "",
        ):  # also where it is the owner: INTAKE holds what is posted to the other service
            subjects += [f"$JS.API.STREAM.MSG.GET.{stream}", f"$JS.API.DIRECT.GET.{stream}"]
        subjects += [f"$JS.API.STREAM.{verb}.{stream}" for verb in ("PURGE", "MSG.DELETE", "SNAPSHOT")]
        if stream != FACTS.get(name):  # its own, when messages are gone, is made anew from the journal
            subjects.append(f"$JS.API.STREAM.DELETE.{stream}")
    assert set(subjects) - await service.tries(subjects) == set()
    hidden = [">", "*", "intake.>", "receipts.>", "enrolment.>", "certification.>", "$JS.>", "$SYS.>", "_INBOX.>"]
    hidden += [f"{inbox_prefix(other)}.>" for other in [*SERVICE_RIGHTS, "kh_ntti"] if other != name]
    assert await service.listens(hidden) == set(hidden)


async def test_certification_reads_no_intake_but_its_own(place: Place) -> None:
    """The subject that the consumer is to have is in the request's, and the server compares the two."""
    service = await place.service("certification")
    create = "$JS.API.CONSUMER.CREATE.INTAKE.certification"
    denied = [create, f"{create}.intake.enrolment.>", f"{create}.intake.>", "$JS.API.STREAM.MSG.GET.INTAKE"]
    assert await service.tries(denied) == set(denied)
    config = {"durable_name": "certification", "name": "certification", "ack_policy": "explicit"}

    def asking(filter_subject: str) -> bytes:
        whole = {"stream_name": "INTAKE", "config": config | {"filter_subject": filter_subject}}
        return json.dumps(whole).encode()

    subject = f"{create}.intake.certification.>"
    refused = await service.connection.request(subject, asking("intake.enrolment.>"), timeout=5)
    taken = await service.connection.request(subject, asking("intake.certification.>"), timeout=5)
    assert b'"error"' in refused.data
    assert b'"error"' not in taken.data


async def test_only_enrolment_hears_who_is_asked_for_and_only_certification_asks(place: Place) -> None:
    """Names and keys are in the answer: nobody else may ask, answer, or listen to either."""
    everybody = {name: await place.service(name) for name in SERVICE_RIGHTS} | {
        office: await place.office(*office.split("_")) for office in ("kh_ntti", "la_ntti")
    }
    for name, who in everybody.items():
        assert await who.tries([HOLDER]) == (set() if name == "certification" else {HOLDER}), name
        hidden = ["register.>", "register.*", f"{inbox_prefix('certification')}.>"]
        hidden = [subject for subject in hidden if name != "certification" or not subject.startswith("_INBOX")]
        assert await who.listens([HOLDER, *hidden]) == {*hidden, *(() if name == "enrolment" else (HOLDER,))}, name

    async def answer(message: Msg) -> None:
        await message.respond(b"known")

    answers = (await place.service("enrolment")).connection
    await answers.subscribe(HOLDER, queue="enrolment", cb=answer)
    await answers.flush()
    said = await everybody["certification"].connection.request(HOLDER, b"{}", timeout=5)
    assert said.data == b"known"
    assert await everybody["enrolment"].tries([f"{inbox_prefix('certification')}.x"]), "unasked"


async def test_request_subjects_are_in_no_stream(place: Place) -> None:
    """A stream's ack would be taken for the answer."""
    connection = await place.server.connect()
    for subject in ("register.holder", f"{inbox_prefix('enrolment')}.x", "_INBOX.x", "$JS.API.STREAM.NAMES"):
        with pytest.raises(NoStreamResponseError):
            await connection.jetstream(timeout=2).publish(subject.replace("$JS.API", "$JS-API"), b"{}")
    await connection.close()
    patterns = [pattern for stream in STREAMS.values() for pattern in stream.subjects or ()]
    assert not [
        pattern for pattern in patterns if pattern.startswith((">", "*", "register", "_INBOX", "$JS.API", "$SYS"))
    ]


async def test_the_bus_says_what_it_was_denied(house: House) -> None:
    """Reporting's credentials where certification's should be: publishing shows nothing but time-outs."""
    database = await house.database("certification")
    wrong = house.server.keys.service_credentials("reporting")
    dead_letters = DeadLetters("certification", b"s" * 32)
    bus = Bus("certification", database, dead_letters, url=house.server.url, credentials=wrong, owns=("CERTIFICATION",))
    async with bus.running():
        await eventually(
            lambda: any("denies certification the right to hear _inbox_certif" in it for it in bus.health())
        )


async def test_a_revoked_user_is_cut_off_and_stays_out(own_server: NatsForTests) -> None:
    authority, expires = own_server.authority, datetime.now(UTC) + timedelta(days=1)
    admitted, other = authority.admit("kh", "ntti", expires), authority.admit("kh", "ntti", expires)
    connection = await own_server.connect(admitted.credentials, inbox_prefix="_INBOX_kh_ntti", allow_reconnect=False)
    colleague = await own_server.connect(other.credentials, inbox_prefix="_INBOX_kh_ntti", allow_reconnect=False)
    service = await own_server.connect(own_server.keys.service_credentials("enrolment"), allow_reconnect=False)
    revoked = {admitted.key: datetime.now(UTC)}

    assert await shut_out(own_server.url, authority, revoked)

    await eventually(lambda: connection.is_closed)
    assert colleague.is_connected
    assert service.is_connected
    assert not await shut_out(own_server.url, authority, revoked)
    for restarted in (False, True):
        if restarted:  # with nobody there to tell it again
            own_server.kill()
            own_server.start()
        with pytest.raises(nats.errors.Error, match=r"(?i)authorization"):
            await own_server.connect(admitted.credentials, allow_reconnect=False)
    for open_one in (colleague, service):
        await open_one.close()


async def test_credentials_end_when_they_expire(place: Place) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=4)
    admitted = place.server.authority.admit("kh", "ntti", soon)
    connection = await place.server.connect(admitted.credentials, inbox_prefix="_INBOX_kh_ntti", allow_reconnect=False)
    await eventually(lambda: connection.is_closed, seconds=10)

    async def refused() -> bool:
        try:
            again = await place.server.connect(admitted.credentials, allow_reconnect=False)
        except nats.errors.Error as error:
            return "expired" in str(error).lower() or "authorization" in str(error).lower()
        await again.close()  # still inside the second with which they end: the server counts in whole ones
        return False

    await eventually(refused)


async def test_what_enrolment_holds_changes_only_the_offices_account(place: Place) -> None:
    """The authority's user of the system account may touch no other claims, whatever they are signed with."""
    authority = place.server.authority
    denied: list[str] = []

    async def on_error(error: Exception) -> None:
        denied.append(str(error))

    connection = await place.server.connect(
        authority.system, inbox_prefix=inbox_prefix("enrolment"), error_cb=on_error, allow_reconnect=False
    )
    who = Who("enrolment", connection, denied)
    accounts = (authority.services, place.server.keys.server_settings("")["system_account"])
    subjects = [
        f"$SYS.REQ.ACCOUNT.{account}.CLAIMS.{verb}" for account in accounts for verb in ("UPDATE", "DELETE", "LOOKUP")
    ]
    subjects += ["$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.CLAIMS.DELETE", "$SYS.REQ.SERVER.PING.CONNZ"]
    assert await who.tries(subjects) == set(subjects)
    assert await who.listens(["$SYS.>"]) == {"$SYS.>"}
    await connection.close()
