"""A month of bodies is searched for somebody in parts, away from the event loop."""

import json
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from shared import kept
from shared.delivery import Delivery
from shared.rejected import Said
from tests.integration.enrolment.house import House

SIZES = [10, 4000, 4000, 10, 9000, 10, 10, 2000, 4000, 10]


async def keep(house: House) -> None:
    """Bodies of these sizes, rejected and as dead letters: in each, one event about somebody and one about somebody else."""
    async with house.database.transaction() as session:
        for number, size in enumerate(SIZES):
            written = [{"who": "Sokha", "note": "x" * size}, {"who": "Dara", "number": number}]
            said = [Said(place, "invalid_data", event) for place, event in enumerate(written)]
            await house.archive.rejected.keep(session, None, "x", said, datetime.now(UTC))
            for sequence, event in enumerate([written, written[:1]]):
                delivery = Delivery("intake.enrolment.kh.ntti", json.dumps(event).encode(), "INTAKE", sequence, 1, {})
                await house.archive.dead_letters.bury(session, delivery, ValueError())


async def test_a_part_is_bounded_and_none_is_left_out(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "PART", 5000)
    monkeypatch.setattr(kept, "ROWS", 3)
    await keep(house)
    async with house.database.transaction() as session:
        found = [rows async for rows in kept.parts(session, "rejected", "sealed", "sealed")]
    assert [row.id for rows in found for row in rows] == [row["id"] for row in await house.rows("TABLE rejected")]
    for rows in found:
        assert len(rows) <= 3
        assert sum(len(row.sealed) for row in rows[:-1]) < 5000
    assert len(found) < len(SIZES)


async def test_who_is_looked_for_is_struck_out_of_all_parts(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "PART", 5000)
    await keep(house)
    threads = set[threading.Thread]()

    def about(event: Any) -> bool:
        threads.add(threading.current_thread())
        return bool(event["who"] == "Sokha")

    async with house.database.transaction() as session:
        await house.archive.rejected.strike_out(session, about)
        await house.archive.dead_letters.strike_out(session, about)
    assert threading.main_thread() not in threads
    dara = [{"who": "Dara", "number": number} for number in range(len(SIZES))]
    async with house.database.transaction() as session:
        rejected, letters = house.archive.rejected, house.archive.dead_letters
        bodies = [await rejected.events(session, line.id) for line in await rejected.entries(session)]
        assert [[event["event"] for event in body or ()] for body in bodies] == [[event] for event in dara]
        opened = [await letters.body(session, letter.id) for letter in await letters.entries(session)]
        assert [json.loads(body or b"") for body in opened] == [[event] for event in dara]
