"""The whole service on the real nats-server: intake, receipts, facts, and a broker that comes late."""

import asyncio
import json
from time import monotonic
from typing import Any

import httpx
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from tests.integration.enrolment.house import REGISTRATIONS
from tests.integration.enrolment.test_http import BAD, ONE
from tests.unit.enrolment.story import SENDER, announced, programme, proposed


async def _messages(river: JetStreamContext, stream: str, count: int) -> list[tuple[str, dict[str, Any]]]:
    """The first messages of a stream, once there are so many."""
    deadline = monotonic() + 15
    while (info := await river.stream_info(stream)).state.messages < count:
        assert monotonic() < deadline, f"{stream} has {info.state.messages} of {count}"
        await asyncio.sleep(0.05)
    found = []
    for sequence in range(1, info.state.last_seq + 1):
        try:
            message = await river.get_msg(stream, sequence)
        except NotFoundError:
            continue
        found.append((message.subject or "", json.loads(message.data or b"")))
    return found


async def test_bad_and_good_messages_are_answered_and_nothing_is_lost(
    service: httpx.AsyncClient, river: JetStreamContext
) -> None:
    office = {"office": SENDER, "name": "NTTI", "roles": ["sending-office"], "officer": "dara"}
    assert (await service.post("/v1/offices", json=office)).status_code == 201
    bad = [body for name, (body, _) in BAD.items() if name != "a list"]  # over NATS that is an empty batch
    for body in [*bad, json.dumps([proposed(), proposed("02")]).encode(), b"", json.dumps(programme()).encode()]:
        await river.publish("intake.enrolment.kh.ntti", body)
    await river.publish("intake.enrolment.la.nobody", json.dumps(proposed()).encode())
    receipts = await _messages(river, "RECEIPTS", len(bad) + 5)
    codes = [said["receipt"]["code"] for _, said in receipts]
    assert {subject for subject, _ in receipts} == {"receipts.kh.ntti", "receipts.la.nobody"}
    assert codes.count("cohort_unknown") == 2
    assert "source_not_yours" in codes
    assert "office_unknown" in codes
    assert {said["receipt"]["status"] for _, said in receipts} == {"rejected", "waiting"}
    assert {said["service"] for _, said in receipts} == {"enrolment"}
    assert (await river.stream_info("DEADLETTERS")).state.messages == 0
    deadline = monotonic() + 10
    while (await river.stream_info("INTAKE")).state.messages:
        assert monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_facts_and_later_receipts_of_what_came_over_http(
    service: httpx.AsyncClient, river: JetStreamContext
) -> None:
    headers = {"Content-Type": ONE}
    await service.post("/v1/events", content=json.dumps(proposed()), headers=headers)
    for event in [*REGISTRATIONS, announced()]:
        answer = await service.post("/v1/events", content=json.dumps(event), headers=headers)
    position = answer.json()["position"]["ENROLMENT"]
    facts = await _messages(river, "ENROLMENT", position)
    assert [subject for subject, _ in facts] == [
        "enrolment.programme.partnership",
        "enrolment.centre.cn.wuxi-institute",
        "enrolment.centre.kh.ntti",
        "enrolment.cohort.cn.wuxi-2025",
        "enrolment.trainee.kh.wuxi-2025.01",
    ]
    assert facts[-1][1]["data"]["status"] == "proposed"
    [(subject, said)] = await _messages(river, "RECEIPTS", 1)
    assert (subject, said["receipt"]["number"], said["receipt"]["code"]) == ("receipts.kh.ntti", 2, "applied")
