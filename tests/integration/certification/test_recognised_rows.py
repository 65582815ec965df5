"""Rows about marks and certificates that are there already: by events of the office, or by another office's workbook."""

from typing import Any

import pytest
from sqlalchemy import text

from shared.database import Database
from tests.integration.certification.given import ADMINISTRATOR, caller, post
from tests.integration.certification.test_rosters import AWARD, became, certificates, number_of, send, told
from tests.integration.certification.test_rosters import assessed as a_row
from tests.integration.certification.test_rosters import awarded as an_award
from tests.sheets import as_csv, as_xlsx
from tests.unit.certification.given import BODY, CENTRE, assessed, awarded, numbered, registered

__all__ = ["told"]
PARTS = [
    {"name": "practice", "mark": 88.0, "out_of": 100, "passed": True},
    {"name": "theory", "mark": 82.0, "out_of": 100, "passed": True},
]


async def conflicts(database: Database) -> int:
    async with database.transaction() as session:
        return len((await session.execute(text("SELECT 1 FROM events WHERE status = 'conflict'"))).all())


async def test_marks_that_came_as_events_are_recognised_and_corrected(told: Database) -> None:
    said = assessed("by-hand", 11, source=BODY, more={"parts": PARTS, "assessor": "A board"})
    await post(told, said)
    before = await number_of(told, "events")
    assert became(await send(told, as_csv([a_row()]))) == [("duplicate", "duplicate")]
    without_marks = a_row(**{"Theory mark": "", "Practice mark": ""})
    assert became(await send(told, as_csv([without_marks]))) == [("duplicate", "duplicate")]
    assert await number_of(told, "events") == before
    changed = as_csv([a_row(**{"Theory mark": 91})])
    assert became(await send(told, changed)) == [("accepted", "applied")]
    assert became(await send(told, changed)) == [("duplicate", "duplicate")]
    async with told.transaction() as session:
        body = (await session.execute(text("SELECT body FROM events WHERE target = 'by-hand'"))).scalar_one()
    assert body["data"]["assessor"] == "A board"
    assert [part["mark"] for part in body["data"]["parts"]] == [91, 88]
    assert await conflicts(told) == 0


async def test_marks_of_another_level_are_no_part_of_a_row(told: Database) -> None:
    await post(told, assessed("by-hand", 11, source=BODY, more={"parts": PARTS, "assessor": "A board"}))
    row = {**AWARD, "Date": "2025-04-11", "Result": "pass", "Level": "senior", "Theory mark": 41}
    await send(told, as_csv([row]))
    async with told.transaction() as session:
        said = (await session.execute(text("SELECT body FROM events WHERE type LIKE '%assessed%'"))).scalars().all()
    (senior,) = [body["data"] for body in said if body["data"]["level"] == "senior"]
    assert [(part["name"], part["mark"]) for part in senior["parts"]] == [("theory", 41)]
    assert "assessor" not in senior


@pytest.mark.parametrize("printed_with_the_award", [True, False])
async def test_an_award_that_came_as_events_is_recognised_and_its_number_corrected(
    told: Database, *, printed_with_the_award: bool
) -> None:
    await post(told, assessed("a", 11, source=BODY))
    if printed_with_the_award:
        await post(told, awarded("c", 13, printed="S-1"))
    else:
        await post(told, awarded("c", 13), numbered("n", 14, "S-1"))
    only_number = {"Awarded on": "", "Certificate number": "S-1", "Numbered on": "2025-04-14"}
    for row in (an_award("S-1"), an_award(), {**an_award(), **only_number}):
        assert became(await send(told, as_csv([row]))) == [("duplicate", "duplicate")], row
    for number in ("S-2", "S-1", "S-3"):
        assert became(await send(told, as_csv([an_award(number)]))) == [("accepted", "applied")]
        (certificate,) = (await certificates(told)).values()
        assert (certificate["status"], certificate["number"], certificate["edition"]) == ("issued", number, 1)
    assert became(await send(told, as_csv([an_award("S-3")]))) == [("duplicate", "duplicate")]
    assert await conflicts(told) == 0


async def test_an_award_of_another_level_is_another_award(told: Database) -> None:
    await post(told, assessed("a", 11, source=BODY), awarded("c", 13, printed="S-1"))
    senior: dict[str, Any] = {"Level": "senior"}
    await send(told, as_xlsx(Assessments=[a_row(**senior)], Awards=[an_award("S-2", **senior)]))
    live = {one["level"]: one["status"] for one in (await certificates(told)).values()}
    assert live == {"junior": "issued", "senior": "issued"}


async def test_given_marks_of_another_level_by_hand_when_a_row_corrects_its_level_then_it_keeps_its_own_marks(
    told: Database,
) -> None:
    levels = [{"level": level, "titles": {"en": level}} for level in ("junior", "senior", "master")]
    await post(told, registered("three", 1, replaces="scheme", levels=levels), by=ADMINISTRATOR)
    await send(told, as_csv([a_row(Assessor="A board", **{"Practice mark": ""})]))
    await post(told, assessed("by-hand", 12, source=BODY, more={"level": "senior", "parts": PARTS, "assessor": "B"}))
    without_columns = {**AWARD, "Level": "master", "Date": "2025-04-11", "Result": "pass"}

    assert became(await send(told, as_csv([without_columns]))) == [("accepted", "applied")]

    async with told.transaction() as session:
        select = text("SELECT body FROM events WHERE type LIKE '%assessed%' AND code = 'applied'")
        bodies = (await session.execute(select)).scalars().all()
    now = {body["data"]["level"]: body["data"] for body in bodies}
    assert now.keys() == {"senior", "master"}
    assert (now["master"]["assessor"], [part["name"] for part in now["master"]["parts"]]) == ("A board", ["theory"])


async def test_two_offices_that_send_the_whole_workbook_find_no_row_to_decide(told: Database) -> None:
    workbook = as_xlsx(Assessments=[a_row()], Awards=[an_award("S-1")])
    first = await send(told, workbook, caller(BODY))
    assert became(first) == [("accepted", "applied")] * 2
    before = await certificates(told)
    second = await send(told, workbook, caller(CENTRE))
    assert became(second) == [("accepted", "attempt_confirmed")]
    again = await send(told, workbook, caller(CENTRE))
    assert [(row.status, row.change) for row in again.rows] == [("duplicate", "unchanged")]
    assert await certificates(told) == before
    other = await send(told, as_csv([a_row(**{"Theory mark": 12})]), caller(CENTRE))
    assert became(other) == [("conflict", "attempt_already_reported")]


async def test_the_other_way_round_the_host_centre_came_first(told: Database) -> None:
    workbook = as_xlsx(Assessments=[a_row()], Awards=[an_award("S-1")])
    assert became(await send(told, workbook, caller(CENTRE))) == [("accepted", "applied")]
    assert {status for status, _ in became(await send(told, workbook, caller(BODY)))} == {"accepted"}
    (certificate,) = (await certificates(told)).values()
    assert (certificate["status"], len(certificate["attempts"])) == ("issued", 1)
