"""The page that shows an event's way is what the services say today, and all of it is as their documents describe it."""

import re

import pytest

from tests.contract.documents import today, validator
from tests.e2e.an_events_way import PAGE, example, go, page
from tests.servers import NatsForTests, PostgresForTests


@pytest.mark.long
async def test_the_page_is_what_the_services_say_and_every_message_is_as_documented(
    postgres: PostgresForTests, nats_server: NatsForTests
) -> None:
    way = await go(postgres, nats_server)
    assert PAGE.read_text(encoding="utf-8") == page(way), "run `make docs`"

    for subject, messages in way.told.items():
        document = today("asyncapi", "certification" if subject.startswith("certification.") else "enrolment")
        channel = next(
            one
            for one in document["channels"].values()
            if re.fullmatch(re.sub(r"{\w+}", "[a-z0-9-]+", one["address"]), subject)
        )
        (payload,) = (message["payload"] for message in channel["messages"].values())
        for message in messages:
            validator(document, payload).validate(message)

    person = example()["enrolled-001"]["data"]["person"]
    details = [person["names"]["original"], person["names"]["romanised"], person["birth_date"]]
    for detail in (*details, *(one["number"] for one in person["identifiers"])):
        assert detail not in str(way.told)
