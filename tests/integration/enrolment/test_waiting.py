"""What waits is seen to wait: since when, for what, and every change of it is told to its office."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import httpx

from services.enrolment.handlers import Handlers
from tests.integration.enrolment.house import CERTIFICATION, REGISTRATIONS, House
from tests.unit.enrolment.story import announced, completed, proposed, trainee

Client = httpx.AsyncClient
NDJSON = {"Content-Type": "application/x-ndjson"}


async def post_at(house: House, day: int, *events: dict[str, Any]) -> None:
    """Posted on a day of January 2026."""
    there = House(house.database)
    there.handlers = Handlers(
        house.database,
        house.register,
        house.archive,
        house.audit,
        CERTIFICATION,
        clock=lambda: datetime(2026, 1, day, tzinfo=UTC),
    )
    await there.post(*events)


async def test_since_when_it_has_its_status_also_when_it_waits_for_something_else(house: House, client: Client) -> None:
    late = completed()
    await post_at(house, 2, late)
    await post_at(house, 3, *REGISTRATIONS, announced())
    await post_at(house, 4, proposed())
    (item,) = (await client.get("/v1/events?status=waiting")).json()["items"]
    assert (item["id"], item["current"]["code"], item["current"]["number"]) == (late["id"], "trainee_not_enrolled", 3)
    assert item["since"] == "2026-01-02T00:00:00Z"
    await post_at(house, 5, trainee("trainee.enrolled"))
    one = (await client.get("/v1/events/cn/wuxi/" + late["id"])).json()
    assert (one["current"]["code"], one["since"]) == ("cohort_not_started", "2026-01-02T00:00:00Z")
    first = (await client.get(f"/v1/events?id={proposed()['id']}")).json()["items"][0]
    assert first["since"] == "2026-01-04T00:00:00Z"


async def test_metrics_say_how_many_wait_for_what_and_how_long_the_oldest(house: House, client: Client) -> None:
    await post_at(house, 2, proposed("01"))
    await post_at(house, 3, proposed("02"))
    said = (await client.get("/metrics")).text
    assert 'sampan_waiting_events{code="cohort_unknown",service="enrolment"} 2.0' in said
    found = re.search(r'sampan_waiting_oldest_seconds{code="cohort_unknown",service="enrolment"} ([0-9.e+]+)', said)
    assert found
    age = (datetime.now(UTC) - datetime(2026, 1, 2, tzinfo=UTC)).total_seconds()
    assert abs(float(found[1]) - age) < 60
    await post_at(house, 4, *REGISTRATIONS, announced())
    assert 'code="cohort_unknown"' not in (await client.get("/metrics")).text


async def test_an_http_answer_is_the_first_receipt_and_every_change_is_announced(house: House, client: Client) -> None:
    content = json.dumps(proposed())
    answer = (await client.post("/v1/events", content=content, headers=NDJSON)).json()["receipts"][0]
    assert (answer["number"], answer["code"]) == (1, "cohort_unknown")
    assert await house.notices() == [], "who posts over HTTP has its first receipt in the answer"
    await house.post(*REGISTRATIONS, announced())
    assert [(subject, line["number"], line["code"]) for subject, line in await house.notices()] == [
        ("receipts.kh.ntti", 2, "applied")
    ]
