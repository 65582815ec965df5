"""Rows about what is there already, said at the desk or by a program: recognised, and corrected where they differ."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from shared.database import Database
from tests.integration.enrolment.test_rosters import Bearer, became, facts, number_of_facts, offices, say, send
from tests.sheets import a_trainee, as_csv, was_there
from tests.unit.enrolment.story import HOST, PARTIES, SENDER, announced, completed, session, started, trainee

Client = httpx.AsyncClient
__all__ = ["offices"]


def by_hand(number: str = "01", **more: Any) -> dict[str, Any]:
    """The trainee of ``a_trainee`` with more than a spreadsheet says, as a form says it."""
    person = {
        "names": {"original": f"សុខា {number}", "romanised": f"Sokha {number}", "language": "km"},
        "identifiers": [
            {"kind": "national-id", "number": f"0{number}5550001", "country": "KH"},
            {"kind": "passport", "number": f"N{number}"},
        ],
        "sex": "F",
        "birth_date": "2005-04-01",
        "contact": {"phone": "+85512000000"},
    }
    said = {"role": "student", "country": "KH", "trade": "electrical", "employer": "A workshop", "person": person}
    return trainee("trainee.enrolled", number, **{**said, "date": "2025-03-12", **more})


async def details(client: Client, bearer: Bearer, number: str = "01") -> dict[str, Any]:
    answer = await client.get("/v1/cohorts/wuxi-2025/trainees", headers=bearer)
    (one,) = (item for item in answer.json()["items"] if item["number"] == number)
    return dict(one)


async def test_who_was_entered_by_hand_is_recognised(
    client: Client, offices: dict[str, Bearer], database: Database
) -> None:
    await say(client, by_hand("01"), started(), completed("01"))
    before = await facts(database), await number_of_facts(database)
    row = as_csv([a_trainee("01")])
    for dry_run in (True, False, False):
        assert became(await send(client, offices[SENDER], row, dry_run=dry_run)) == [(2, "duplicate", "duplicate")]
    assert (await facts(database), await number_of_facts(database)) == before


async def test_a_place_that_was_proposed_and_accepted_by_hand_is_recognised(
    client: Client, offices: dict[str, Bearer]
) -> None:
    proposal = by_hand("01", date=None)
    proposal |= {"id": "p1", "type": "trainee.proposed.v1", "time": "2025-03-03T09:00:00+07:00"}
    await say(client, proposal, trainee("trainee.enrolled", "01", date="2025-03-12"))
    both = a_trainee("01", **{"Proposed on": "2025-03-03"})
    for row in (a_trainee("01"), both):
        assert became(await send(client, offices[SENDER], as_csv([row]))) == [(2, "duplicate", "duplicate")]


async def test_a_changed_spelling_corrects_who_was_entered_by_hand(
    client: Client, offices: dict[str, Bearer], database: Database
) -> None:
    await say(client, by_hand("01"), started(), completed("01"))
    before = await facts(database)
    corrected = as_csv([a_trainee("01", **{"Name in Latin letters": "Sok Kha", "National identity number": "099"})])
    answer = await send(client, offices[SENDER], corrected)
    assert (became(answer), answer["changes"]) == ([(2, "accepted", "applied")], {"corrected": 1})
    assert (await facts(database)).keys() == before.keys()
    assert (await facts(database))["enrolment.trainee.kh.wuxi-2025.01"]["completion"] == "in-force"
    known = str(await details(client, offices[SENDER]))
    assert all(said in known for said in ("Sok Kha", "099", "N01", "+85512000000", "A workshop"))
    assert became(await send(client, offices[SENDER], corrected)) == [(2, "duplicate", "duplicate")]
    back = await send(client, offices[SENDER], as_csv([a_trainee("01")]))
    assert became(back) == [(2, "accepted", "applied")]
    assert "Sokha 01" in str(await details(client, offices[SENDER]))


async def test_a_changed_trade_corrects_and_keeps_what_the_row_does_not_say(
    client: Client, offices: dict[str, Bearer], database: Database
) -> None:
    await say(client, by_hand("01"), started(), completed("01"))
    row = as_csv([a_trainee("01", Trade="cabling", Employer="")])
    assert became(await send(client, offices[SENDER], row)) == [(2, "accepted", "applied")]
    fact = (await facts(database))["enrolment.trainee.kh.wuxi-2025.01"]
    assert (fact["trade"], fact["status"], fact["completion"]) == ("cabling", "completed", "in-force")
    known = str(await details(client, offices[SENDER]))
    assert all(said in known for said in ("Sokha 01", "N01", "+85512000000", "A workshop"))
    assert became(await send(client, offices[SENDER], row)) == [(2, "duplicate", "duplicate")]


async def test_a_row_counts_after_a_correction_by_hand(client: Client, offices: dict[str, Bearer]) -> None:
    await send(client, offices[SENDER], as_csv([a_trainee("01")]))
    names = {"original": "សុខា", "romanised": "By Hand"}
    await say(client, trainee("person.corrected", "01", day=50, names=names))
    assert "By Hand" in str(await details(client, offices[SENDER]))
    answer = await send(client, offices[SENDER], as_csv([a_trainee("01", **{"Name in Latin letters": "By Row"})]))
    assert became(answer) == [(2, "accepted", "applied")]
    assert "By Row" in str(await details(client, offices[SENDER]))


@pytest.mark.parametrize("passport", ["", "N123"], ids=["name", "name, and a passport in the list"])
async def test_given_a_person_corrected_by_hand_when_the_row_comes_as_before_then_it_is_told_that_the_correction_stands(
    client: Client, offices: dict[str, Bearer], passport: str
) -> None:
    row = as_csv([a_trainee("01", **{"Passport number": passport})])
    await send(client, offices[SENDER], row)
    (as_it_is,) = (await send(client, offices[SENDER], row))["rows"]
    assert "by hand" not in as_it_is["sentence"]
    names = {"original": "សុខា", "romanised": "By Hand"}
    await say(client, trainee("person.corrected", "01", day=50, names=names))

    (again,) = (await send(client, offices[SENDER], row))["rows"]

    assert (again["status"], again["code"]) == ("duplicate", "duplicate")
    assert "corrected by hand" in again["sentence"]
    assert "By Hand" in str(await details(client, offices[SENDER]))


PROPOSAL = {"Proposed on": "2025-03-04", "Enrolled on": ""}
RENAMED = {"Name in Latin letters": "Sok Kha", "Passport number": "N99"}


async def test_a_list_of_proposals_corrects_who_was_enrolled_since(
    client: Client, offices: dict[str, Bearer], database: Database
) -> None:
    await send(client, offices[SENDER], as_csv([a_trainee("01", **{"Proposed on": "2025-03-04"})]))
    for number, changed in enumerate((RENAMED, {"Name in Latin letters": "Kha", "Passport number": "N99"}, RENAMED)):
        answer = await send(client, offices[SENDER], as_csv([a_trainee("01", **PROPOSAL, **changed)]))
        assert became(answer) == [(2, "accepted", "applied")], number
        known = str(await details(client, offices[SENDER]))
        assert changed["Name in Latin letters"] in known
        assert "N99" in known
        assert (await facts(database))["enrolment.trainee.kh.wuxi-2025.01"]["status"] == "enrolled"
    assert became(await send(client, offices[SENDER], as_csv([a_trainee("01", **PROPOSAL, **RENAMED)]))) == [
        (2, "duplicate", "duplicate")
    ]


async def test_a_row_corrects_who_was_enrolled_by_hand_in_the_evening(
    client: Client, offices: dict[str, Bearer]
) -> None:
    proposal = by_hand("01", date=None) | {
        "id": "p1",
        "type": "trainee.proposed.v1",
        "time": "2025-03-03T09:00:00+07:00",
    }
    await say(client, proposal, by_hand("01") | {"time": "2025-03-12T21:30:00.5+00:00"})
    answer = await send(client, offices[SENDER], as_csv([a_trainee("01", **RENAMED)]))
    assert became(answer) == [(2, "accepted", "applied")]
    assert "Sok Kha" in str(await details(client, offices[SENDER]))


async def test_corrections_that_wait_keep_the_order_in_which_they_were_made(
    client: Client, offices: dict[str, Bearer]
) -> None:
    place: dict[str, Any] = {"Cohort": "later-2025"}
    await send(client, offices[SENDER], as_csv([a_trainee("01", **place, **{"Proposed on": "2025-03-04"})]))
    for name in ("One", "Two", "Three"):
        row = a_trainee("01", **place, **PROPOSAL, **{"Name in Latin letters": name})
        assert (await send(client, offices[SENDER], as_csv([row])))["counts"] == {"waiting": 1}
    announcement = announced(parties=PARTIES)
    await say(client, announcement | {"id": "later", "data": {**announcement["data"], "cohort": "later-2025"}})
    answer = await client.get("/v1/cohorts/later-2025/trainees", headers=offices[SENDER])
    assert "Three" in answer.text


async def test_another_offices_trainee_is_not_recognised(client: Client, offices: dict[str, Bearer]) -> None:
    await say(client, by_hand("01") | {"source": HOST})
    (row,) = (await send(client, offices[SENDER], as_csv([a_trainee("01")])))["rows"]
    assert row["change"] == "new"


@pytest.mark.parametrize("said", [{}, {"mode": "in-person", "group": ["01", "02"]}])
async def test_a_session_that_was_entered_by_hand_is_recognised_and_corrected(
    client: Client, offices: dict[str, Bearer], database: Database, said: dict[str, Any]
) -> None:
    await say(client, by_hand("01"), by_hand("02"))
    await say(client, session(1, date="2025-04-01", hours=6.0, absent=["02"], **said))
    rows = [was_there("01"), was_there("02", attendance="absent")]
    assert (await send(client, offices[HOST], as_csv(rows)))["counts"] == {"duplicate": 2}
    other = await send(client, offices[HOST], as_csv([was_there("01"), was_there("02")]))
    assert other["changes"] == {"corrected": 1, "unchanged": 1} or other["changes"] == {"corrected": 2}
    (now,) = (await facts(database))["enrolment.cohort.cn.wuxi-2025"]["sessions"]
    assert (now["absent"], now.get("group")) == ([], said.get("group"))
    async with database.transaction() as transaction:
        number = await transaction.execute(text("SELECT count(*) FROM events WHERE status = 'conflict'"))
        assert number.scalar_one() == 0
