"""One office cannot fill the stream that all offices post on, and is told so when it tries."""

from copy import copy
from datetime import UTC, datetime, timedelta

import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig
from nats.js.errors import APIError

from shared.rights import inbox_prefix, office_durable
from shared.streams import INTAKE_LIMIT, MESSAGE_LIMIT, STREAMS, ensure_stream
from tests.integration.bus.house import House
from tests.servers import NatsForTests

NTTI, LAK = "intake.enrolment.kh.ntti", "intake.enrolment.la.lak"


async def as_office(server: NatsForTests, country: str, code: str) -> Client:
    credentials = server.authority.admit(country, code, datetime.now(UTC) + timedelta(days=1)).credentials
    return await server.connect(credentials, inbox_prefix=inbox_prefix(office_durable(country, code)))


async def test_an_office_whose_events_are_not_taken_in_is_refused_and_another_is_not(
    house: House, nats_server: NatsForTests
) -> None:
    async with house.js() as js:
        await ensure_stream(js, "INTAKE")
    ntti, lak = [await as_office(nats_server, *who) for who in (("kh", "ntti"), ("la", "lak"))]
    try:
        for _ in range(INTAKE_LIMIT):
            await ntti.publish(NTTI, b"{}")
        # The broker writes each of them to the disk before it answers the next: seconds, on a slow one.
        with pytest.raises(APIError, match="maximum messages per subject exceeded"):
            await ntti.jetstream().publish(NTTI, b"{}", timeout=60)
        assert (await lak.jetstream().publish(LAK, b"{}")).stream == "INTAKE"
        with pytest.raises(APIError, match="message size exceeds maximum allowed"):
            await lak.jetstream().publish(LAK, b"x" * (MESSAGE_LIMIT + 1))
        # Room again as soon as one is taken in.
        async with house.js() as js:
            consumer = await js.pull_subscribe(NTTI, durable="taking")
            for message in await consumer.fetch(1):
                await message.ack_sync()
        assert (await ntti.jetstream().publish(NTTI, b"{}")).stream == "INTAKE"
    finally:
        await ntti.close()
        await lak.close()


async def test_a_stream_without_the_limit_gets_it_and_keeps_what_it_has(house: House) -> None:
    wanted = STREAMS["INTAKE"]
    before = copy(wanted)
    before.max_msgs_per_subject = before.max_msg_size = before.discard = before.discard_new_per_subject = None
    assert isinstance(before, StreamConfig)
    async with house.js() as js:
        await js.add_stream(before)
        await js.publish(NTTI, b"{}")
        await ensure_stream(js, "INTAKE")
        info = await js.stream_info("INTAKE")
        assert (info.config.max_msgs_per_subject, info.config.discard) == (INTAKE_LIMIT, wanted.discard)
        assert info.state.messages == 1
