"""Messages of NATS through the real handlers on the real PostgreSQL."""

import json
import logging

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.correlation import Way
from shared.telemetry import JsonLines
from tests.integration.enrolment.house import House
from tests.unit.enrolment.story import HOST, SENDER, person, programme, proposed

NAMED = {**person("3"), "names": {"original": "Chanthavong", "romanised": "Chanthavong"}}


async def test_messages_are_answered_on_the_subject_of_their_office(house: House) -> None:
    async with house.database.transaction() as transaction:
        await _office(transaction, SENDER, "sending-office")
        await _office(transaction, HOST, "host-centre")
    intake = "intake.enrolment"
    await house.handlers.take_messages(
        [
            (f"{intake}.kh.ntti", json.dumps([proposed(), programme(), proposed()]).encode()),
            (f"{intake}.kh.ntti", b'{"specversion": NaN'),
            (f"{intake}.cn.wuxi", json.dumps({**proposed("02"), "id": "x"}).encode()),
            (f"{intake}.la.nobody", json.dumps({**proposed(), "source": "/offices/la/nobody"}).encode()),
        ]
    )
    notices = [(subject, receipt["code"]) for subject, receipt in await house.notices()]
    assert sorted(notices) == sorted(
        [
            ("receipts.kh.ntti", "cohort_unknown"),
            ("receipts.kh.ntti", "source_not_yours"),
            ("receipts.kh.ntti", "duplicate"),
            ("receipts.kh.ntti", "invalid_json"),
            ("receipts.cn.wuxi", "source_not_yours"),
            ("receipts.la.nobody", "office_unknown"),
        ]
    )


async def test_many_large_messages_are_several_transactions(house: House) -> None:
    async with house.database.transaction() as transaction:
        await _office(transaction, SENDER, "sending-office")
    events = [proposed(f"{n}", id_=f"p{n}") for n in range(600)]
    body = json.dumps([{} for _ in range(4500)] + events[:300]).encode()
    other = json.dumps(events[300:]).encode()
    await house.handlers.take_messages([("intake.enrolment.kh.ntti", body), ("intake.enrolment.kh.ntti", other)])
    assert len(await house.rows("SELECT DISTINCT xmin::text FROM events")) == 2
    assert len(await house.notices()) == 4500 + 600


async def test_a_subject_that_names_no_office_is_for_the_dead_letters(house: House) -> None:
    for subject in ("intake.enrolment", "intake.enrolment.kh", "intake.enrolment.KH.x", "intake.enrolment.kh.x.y"):
        with pytest.raises(ValueError, match="names no office"):
            await house.handlers.take_messages([(subject, b"{}")])


async def test_a_message_is_followed_counted_and_told_by_its_id(house: House, caplog: pytest.LogCaptureFixture) -> None:
    async with house.database.transaction() as transaction:
        await _office(transaction, SENDER, "sending-office")
    caplog.set_level(logging.INFO, "shared.metrics")
    before = _waiting()
    messages = [
        ("intake.enrolment.kh.ntti", json.dumps([proposed("01"), proposed("02", id_="p2")]).encode()),
        ("intake.enrolment.kh.ntti", json.dumps(proposed("03", id_="p3", person=NAMED)).encode()),
        ("intake.enrolment.kh.ntti", b"{"),
    ]
    await house.handlers.take_messages(messages, [Way("first"), Way("second"), Way("third")])
    assert {row["correlation"] for row in await house.rows("SELECT correlation FROM events WHERE id <> 'p3'")} == {
        "first"
    }
    assert await house.rows("SELECT correlation FROM events WHERE id = 'p3'") == [{"correlation": "second"}]
    told = [row["correlation"] for row in await house.rows("SELECT correlation FROM notices ORDER BY id")]
    assert sorted(told) == ["first", "first", "second", "third"]
    [line] = [json.loads(JsonLines("enrolment").format(record)) for record in caplog.records]
    assert line["message"] == "4 events over nats: 1 rejected, 3 waiting"
    assert line["correlations"] == ["first", "second", "third"]
    assert "Chanthavong" not in json.dumps(line)
    assert _waiting() - before == 3


def _waiting() -> float:
    labels = {"service": "enrolment", "way": "nats", "type": "trainee.proposed.v1", "outcome": "waiting"}
    return REGISTRY.get_sample_value("sampan_events_total", labels) or 0


async def _office(session: AsyncSession, source: str, role: str) -> None:
    await session.execute(
        text(
            "INSERT INTO offices (office, name, roles, status, epoch, revision) "
            "VALUES (:office, 'x', jsonb_build_array(CAST(:role AS text)), 'active', 0, 0)"
        ),
        {"office": source, "role": role},
    )
