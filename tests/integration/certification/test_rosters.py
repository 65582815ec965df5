"""Rosters at certification: assessments and awards from a spreadsheet, sent once, twice, and corrected."""

from typing import Any

import pytest
from sqlalchemy import text

from services.certification.handlers import Handlers
from services.certification.rosters import desk
from services.certification.tables import Office, Token
from shared.database import Database
from shared.offices import Caller, Doorkeeper
from shared.rosterdesk import Asked
from shared.rosters.answers import RosterAnswer
from shared.rosters.books import open_book
from shared.uploads import taken
from tests.integration.certification.given import (
    ADMINISTRATOR,
    SECRET,
    a_cohort,
    a_trainee,
    caller,
    post,
    tell,
)
from tests.sheets import as_csv, as_xlsx
from tests.unit.certification.given import BODY, CENTRE, OTHER_BODY, SENDER, day, registered, trainee

AWARD = {"Cohort": "wuxi", "Trainee number": "001", "Scheme": "vslc", "Occupation": "electrician", "Level": "junior"}


def assessed(result: str = "pass", **more: Any) -> dict[str, Any]:
    return {**AWARD, "Date": "2025-04-11", "Theory mark": 82, "Practice mark": 88, "Result": result, **more}


def awarded(number: str = "", **more: Any) -> dict[str, Any]:
    return {**AWARD, "Awarded on": "2025-04-13", "Certificate number": number, **more}


@pytest.fixture
async def told(database: Database) -> Database:
    """A cohort, a trainee who completed it, and the scheme."""
    await tell(database, a_cohort(), a_trainee(trainee("001", completion="in-force", completed_on=day(13))))
    await post(database, registered("scheme", 1), by=ADMINISTRATOR)
    return database


async def send(database: Database, content: bytes, by: Caller | None = None, *, dry_run: bool = False) -> RosterAnswer:
    handlers = Handlers(database, SECRET, "http://enrolment.example")
    at = desk(handlers, SECRET, database, Doorkeeper(database, "", Office, Token), "http://enrolment.example")
    by = by or caller(BODY)
    answer, _ = await taken(at, open_book(content), Asked(by.source or BODY, by, dry_run=dry_run))
    return answer


def became(answer: RosterAnswer) -> list[tuple[str, str]]:
    return [(row.status, row.code) for row in answer.rows]


async def certificates(database: Database) -> dict[str, dict[str, Any]]:
    async with database.transaction() as session:
        rows = await session.execute(text("SELECT certificate, data FROM certificates"))
        return {row.certificate: row.data for row in rows}


async def number_of(database: Database, table: str) -> int:
    async with database.transaction() as session:
        return len((await session.execute(text(f"SELECT 1 FROM {table}"))).all())  # noqa: S608 - a name of ours


async def test_rows_become_certificates_and_a_second_upload_changes_nothing(told: Database) -> None:
    roster = as_xlsx(Assessments=[assessed()], Awards=[awarded("S-1")], Trainees=[{"Cohort": "wuxi"}])
    first = await send(told, roster)
    assert became(first) == [("accepted", "applied")] * 2
    assert [(left.sheet, left.code) for left in first.left] == [("Trainees", "wrong_service")]
    (certificate,) = (await certificates(told)).values()
    assert (certificate["status"], certificate["number"]) == ("issued", "S-1")
    events, facts = await number_of(told, "events"), await number_of(told, "outbox")
    assert became(await send(told, roster)) == [("duplicate", "duplicate")] * 2
    assert (await number_of(told, "events"), await number_of(told, "outbox")) == (events, facts)


async def test_a_number_that_comes_later_and_one_that_is_corrected(told: Database) -> None:
    await send(told, as_csv([assessed()]))
    for number, shown in [("", None), ("S-1", "S-1"), ("S-2", "S-2"), ("S-1", "S-1")]:
        assert became(await send(told, as_csv([awarded(number)]))) == [("accepted", "applied")]
        (certificate,) = (await certificates(told)).values()
        assert (certificate["status"], certificate.get("number"), certificate["edition"]) == ("issued", shown, 1)


async def test_a_corrected_mark_and_level_leave_no_gap(told: Database) -> None:
    await send(told, as_xlsx(Assessments=[assessed()], Awards=[awarded("S-1")]))
    before = await certificates(told)
    changed = await send(told, as_csv([assessed(**{"Theory mark": 91})]))
    assert (became(changed), changed.changes) == ([("accepted", "applied")], {"corrected": 1})
    assert await certificates(told) == before
    senior = {"Level": "senior"}
    await send(told, as_xlsx(Assessments=[assessed(**senior)], Awards=[awarded("S-1", **senior)]))
    live = {one["level"]: one["status"] for one in (await certificates(told)).values()}
    assert live == {"junior": "void", "senior": "issued"}


PLAIN = {**AWARD, "Date": "2025-04-11", "Result": "pass"}


async def standing(database: Database) -> dict[str, Any]:
    """The one assessment that was not replaced."""
    async with database.transaction() as session:
        rows = await session.execute(text("SELECT body FROM events WHERE type LIKE '%assessed%' AND code = 'applied'"))
        (body,) = rows.scalars().all()
        return dict(body["data"])


async def test_a_file_without_columns_says_nothing_of_them(told: Database) -> None:
    marks = {"Theory mark": 40, "Theory out of": 50, "Practice mark": 88}
    await send(told, as_csv([{**PLAIN, "Assessor": "A board", **marks}]))
    whole = await standing(told)
    for fewer in ({}, {"Theory mark": 40}, {"Practice mark": 88, "Assessor": "A board"}):
        assert became(await send(told, as_csv([{**PLAIN, **fewer}]))) == [("duplicate", "duplicate")], fewer
    assert became(await send(told, as_csv([{**PLAIN, "Theory mark": 41}]))) == [("accepted", "applied")]
    theory, practice = whole["parts"]
    assert await standing(told) == {**whole, "parts": [{**theory, "mark": 41}, practice]}
    assert became(await send(told, as_csv([{**PLAIN, "Date": "2025-04-12"}]))) == [("accepted", "applied")]
    now = await standing(told)
    assert (now["date"], now["assessor"], [part["mark"] for part in now["parts"]]) == (
        "2025-04-12",
        "A board",
        [41, 88],
    )
    emptied = {**PLAIN, "Date": "2025-04-12", "Assessor": "", **marks, "Theory mark": 41, "Practice mark": ""}
    assert became(await send(told, as_csv([emptied]))) == [("accepted", "applied")]
    now = await standing(told)
    assert (now.get("assessor"), [part["name"] for part in now["parts"]]) == (None, ["theory"])


async def test_a_corrected_level_keeps_what_its_file_has_no_columns_for(told: Database) -> None:
    marks = {"Theory mark": 40, "Theory out of": 50}
    await send(told, as_csv([{**PLAIN, "Assessor": "A board", "Practice mark": 88, **marks}]))
    whole = await standing(told)
    senior = as_csv([{**PLAIN, "Level": "senior", "Theory mark": 40}])
    assert became(await send(told, senior)) == [("accepted", "applied")]
    assert await standing(told) == {**whole, "level": "senior"}
    assert became(await send(told, senior)) == [("duplicate", "duplicate")]


async def test_resits_are_rows_of_their_own(told: Database) -> None:
    failed = assessed("fail", **{"Theory passed": "yes", "Practice passed": "no"})
    again = assessed(Attempt=2, Date="2025-04-20", **{"Theory carried over from attempt": 1})
    assert became(await send(told, as_csv([failed, again]))) == [("accepted", "applied")] * 2
    later = await send(told, as_csv([again]))
    assert [line.model_dump() for line in later.missing] == [
        {"kind": "assessments", "cohort": "wuxi", "number": "001", "part": "vslc/electrician/1"}
    ]


async def test_the_role_decides(told: Database) -> None:
    roster = as_xlsx(Assessments=[assessed()], Awards=[awarded("S-1")])
    centre = await send(told, roster, caller(CENTRE))
    assert became(centre) == [("accepted", "applied")]
    assert [(left.sheet, left.code) for left in centre.left] == [("Awards", "role_not_allowed")]
    assert [left.code for left in (await send(told, roster, caller(SENDER))).left] == ["role_not_allowed"] * 2
    other = await send(told, as_csv([awarded("S-9")]), caller(OTHER_BODY))
    assert became(other) == [("conflict", "not_the_awarding_body")]


async def test_a_dry_run_writes_nothing(told: Database) -> None:
    roster = as_xlsx(Assessments=[assessed()], Awards=[awarded("S-1")])
    tried = await send(told, roster, dry_run=True)
    assert await number_of(told, "roster_rows") == 0
    assert await certificates(told) == {}
    assert (await send(told, roster)).rows == tried.rows


async def test_a_level_by_its_number_and_a_lost_number_are_refused(told: Database) -> None:
    answer = await send(told, as_csv([assessed(Level="5"), awarded("1.2E+11")][:1]))
    assert became(answer) == [("rejected", "level_by_number")]
    assert became(await send(told, as_csv([awarded("1.2E+11")]))) == [("rejected", "digits_lost")]
    assert became(await send(told, as_csv([assessed(Level="初级工")]))) == [("accepted", "applied")]
