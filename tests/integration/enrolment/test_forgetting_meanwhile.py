"""What is kept about somebody by a transaction that runs while they are forgotten: it is struck out, or not kept at all."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from services.enrolment.handlers import ALONE
from shared.delivery import Delivery
from shared.events.wire import Raw
from shared.offices import Caller
from tests.integration.enrolment.house import ADMIN, REGISTRATIONS, House, checked, said
from tests.integration.enrolment.test_forgetting import SECRET, WHO, sealed
from tests.unit.enrolment.story import SENDER, announced, forgotten, proposed

BAD = {**proposed("03", person=WHO), "id": "bad", "time": "2025-03-05"}
LETTER = json.dumps([proposed("03", person=WHO)], ensure_ascii=False).encode()
OFFICER = Caller(SENDER, frozenset({"sending-office"}), "sokha")
Keeping = Callable[[House, AsyncSession], Awaitable[Any]]


async def _rejected(house: House, session: AsyncSession) -> None:
    taken = await house.handlers.take_within(session, [Raw(1, BAD)], ADMIN, publishing=True)
    assert said(taken) == ["rejected time_impossible"]


async def _rejected_beside_another(house: House, session: AsyncSession) -> None:
    raws = [Raw(1, BAD), Raw(2, proposed("04"))]
    taken = await house.handlers.take_within(session, raws, ADMIN, publishing=True)
    assert said(taken) == ["rejected time_impossible", "accepted applied"]


async def _dead_letter(house: House, session: AsyncSession) -> None:
    delivery = Delivery("intake.enrolment.kh.ntti", LETTER, "INTAKE", 7, deliveries=1, headers={})
    await house.archive.dead_letters.bury(session, delivery, ValueError())


async def settled_or_waiting(house: House, task: asyncio.Task[Any]) -> None:
    """Until it is done, or waits for a lock that another transaction holds."""
    deadline = monotonic() + 20
    while not task.done() and not await house.rows("SELECT pid FROM pg_locks WHERE NOT granted"):
        assert monotonic() < deadline
        await asyncio.sleep(0.01)


async def nothing_is_left(house: House) -> None:
    opened = await sealed(house)
    assert [detail for detail in SECRET if detail in opened] == []
    await checked(house)


@pytest.mark.parametrize("keep", [_rejected, _rejected_beside_another, _dead_letter])
async def test_what_is_kept_but_not_there_yet_is_struck_out(house: House, keep: Keeping) -> None:
    await house.post(*REGISTRATIONS, announced(), proposed("03", person=WHO))
    async with house.database.transaction() as session:
        await keep(house, session)
        forgetting = asyncio.create_task(house.post(forgotten("03")))
        await settled_or_waiting(house, forgetting)
    assert said(await forgetting) == ["accepted applied"]
    await nothing_is_left(house)


@pytest.mark.parametrize("way", ["http", "nats"])
async def test_a_body_that_nobody_could_read_waits_until_they_are_forgotten(house: House, way: str) -> None:
    await house.post(*REGISTRATIONS, announced(), proposed("03", person=WHO))
    async with house.database.transaction() as session:
        session.info[ALONE] = True
        await house.handlers.take_within(session, [Raw(1, forgotten("03"))], ADMIN, publishing=True)
        torn = LETTER[:-9]
        taking = house.handlers.refused(OFFICER, "invalid_json", torn)
        if way == "nats":
            taking.close()
            taking = house.handlers.take_messages([("intake.enrolment.kh.ntti", torn)])
        kept = asyncio.create_task(taking)
        await settled_or_waiting(house, kept)
        assert not kept.done()
    await kept


async def test_what_comes_while_they_are_forgotten_is_not_kept(house: House) -> None:
    await house.post(*REGISTRATIONS, announced(), proposed("03", person=WHO))
    async with house.database.transaction() as session:
        session.info[ALONE] = True
        await house.handlers.take_within(session, [Raw(1, forgotten("03"))], ADMIN, publishing=True)
        posting = asyncio.create_task(house.post(BAD))
        await settled_or_waiting(house, posting)
    assert said(await posting) == ["rejected time_impossible"]
    await nothing_is_left(house)
