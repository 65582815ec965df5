"""Messages of NATS through the real handlers on the real PostgreSQL."""

import json

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.integration.enrolment.house import House
from tests.unit.enrolment.story import HOST, SENDER, programme, proposed


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


async def _office(session: AsyncSession, source: str, role: str) -> None:
    await session.execute(
        text(
            "INSERT INTO offices (office, name, roles, status, epoch, revision) "
            "VALUES (:office, 'x', jsonb_build_array(CAST(:role AS text)), 'active', 0, 0)"
        ),
        {"office": source, "role": role},
    )
