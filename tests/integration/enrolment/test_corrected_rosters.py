"""What a later file leaves as it was: columns that it does not have, and corrections that were voided by hand."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from shared.database import Database
from tests.integration.enrolment.test_rosters import Bearer, became, facts, number_of_facts, offices, say, send
from tests.sheets import a_trainee, as_csv, was_there
from tests.unit.enrolment.story import HOST, SENDER, voided

Client = httpx.AsyncClient
__all__ = ["offices"]


async def test_a_correction_that_was_voided_by_hand_is_not_said_to_be_on_record(
    client: Client, offices: dict[str, Bearer], database: Database
) -> None:
    first, second = (as_csv([a_trainee("01", Trade=trade)]) for trade in ("electrical", "cabling"))
    await send(client, offices[SENDER], first)
    (corrected,) = (await send(client, offices[SENDER], second))["rows"]
    event = {"id": corrected["event"], "type": "trainee.enrolled.v1", "source": SENDER}
    await say(client, voided(event))
    (again,) = (await send(client, offices[SENDER], second))["rows"]
    assert (again["status"], again["code"], again["event"]) == ("duplicate", "voided", corrected["event"])
    assert (await facts(database))["enrolment.trainee.kh.wuxi-2025.01"]["trade"] == "electrical"
    await send(client, offices[SENDER], first)
    assert became(await send(client, offices[SENDER], first)) == [(2, "duplicate", "duplicate")]
    assert became(await send(client, offices[SENDER], second)) == [(2, "accepted", "applied")]
    assert (await facts(database))["enrolment.trainee.kh.wuxi-2025.01"]["trade"] == "cabling"


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({"Trade": "electrical", "Mode": "online"}, {"trade": "electrical"}),
        ({"Held for": "listed"}, {"group": ["01", "02"]}),
        ({"Held for": "trade", "Trade": "electrical"}, {"trade": "electrical"}),
    ],
)
async def test_a_list_of_attendance_without_columns_says_nothing_of_them(
    client: Client, offices: dict[str, Bearer], database: Database, more: dict[str, Any], kept: dict[str, Any]
) -> None:
    await send(client, offices[SENDER], as_csv([a_trainee("01"), a_trainee("02")]))
    await send(client, offices[HOST], as_csv([was_there("01", **more), was_there("02", **more)]))
    assert (await send(client, offices[HOST], as_csv([was_there("01"), was_there("02")])))["counts"] == {"duplicate": 2}
    await send(client, offices[HOST], as_csv([was_there("01"), was_there("02", attendance="absent")]))
    (held,) = (await facts(database))["enrolment.cohort.cn.wuxi-2025"]["sessions"]
    assert held["absent"] == ["02"]
    assert {name: held.get(name) for name in kept} == kept
    emptied = dict.fromkeys(more, "") | {"Held for": "everyone"}
    await send(client, offices[HOST], as_csv([was_there("01", **emptied), was_there("02", **emptied)]))
    (held,) = (await facts(database))["enrolment.cohort.cn.wuxi-2025"]["sessions"]
    assert (held.get("trade"), held.get("group")) == (None, None)


async def held(database: Database) -> dict[str, Any]:
    (session,) = (await facts(database))["enrolment.cohort.cn.wuxi-2025"]["sessions"]
    return dict(session)


async def test_who_is_added_to_a_listed_session_without_saying_so_again_is_in_it(
    client: Client, offices: dict[str, Bearer], database: Database
) -> None:
    await send(client, offices[SENDER], as_csv([a_trainee(f"0{number}") for number in (1, 2, 3, 4)]))
    await send(client, offices[HOST], as_csv([was_there(one, **{"Held for": "listed"}) for one in ("01", "02")]))
    longer = as_csv([was_there("01"), was_there("02"), was_there("03")])
    assert (await send(client, offices[HOST], longer))["counts"] == {"accepted": 1, "duplicate": 2}
    assert (await held(database))["group"] == ["01", "02", "03"]
    assert (await send(client, offices[HOST], longer))["counts"] == {"duplicate": 3}
    await send(client, offices[HOST], as_csv([was_there("04", attendance="absent")]))
    session = await held(database)
    assert (session["group"], session["absent"]) == (["01", "02", "03", "04"], ["04"])


async def by_hand(client: Client, database: Database, replaced: str, **fields: Any) -> None:
    """The office corrects its session by hand."""
    async with database.transaction() as session:
        data = (await session.execute(text("SELECT data FROM events WHERE id = :id"), {"id": replaced})).scalar_one()
    event = {"id": "by-hand", "source": HOST, "type": "session.held.v1", "time": "2025-04-01T12:00:00+00:00"}
    event |= {"specversion": "1.0", "datacontenttype": "application/json"}
    await say(client, {**event, "replaces": replaced, "data": {**data, **fields}})


@pytest.mark.parametrize(
    ("corrected", "more", "absent", "group"),
    [
        ({"absent": ["02"]}, {}, ["02"], None),
        ({"absent": ["01", "02", "03"]}, {}, ["01", "02", "03"], None),
        ({"absent": ["02"], "group": ["02", "03"]}, {"Held for": "listed"}, ["02"], ["02", "03", "04"]),
        ({"absent": ["02"], "group": ["02", "03"]}, {}, ["02"], ["02", "03", "04"]),
    ],
)
async def test_what_was_corrected_in_a_session_by_hand_stands_when_a_list_tells_of_others(
    client: Client,
    offices: dict[str, Bearer],
    database: Database,
    corrected: dict[str, Any],
    more: dict[str, Any],
    absent: list[str],
    group: list[str] | None,
) -> None:
    await send(client, offices[SENDER], as_csv([a_trainee(f"0{number}") for number in (1, 2, 3, 4)]))
    first = as_csv([was_there(one, attendance="absent", **more) for one in ("01", "02")])
    row, _ = (await send(client, offices[HOST], first))["rows"]
    await by_hand(client, database, row["event"], **corrected)
    before = await number_of_facts(database)
    assert (await send(client, offices[HOST], first))["counts"] == {"duplicate": 2}
    assert await number_of_facts(database) == before
    there = as_csv([was_there("04", **more)])
    assert (await send(client, offices[HOST], there))["counts"] == {"accepted" if group else "duplicate": 1}
    session = await held(database)
    assert (session["absent"], session.get("group")) == (absent, group)
    assert (await send(client, offices[HOST], there))["counts"] == {"duplicate": 1}
    await send(client, offices[HOST], as_csv([was_there("04", attendance="absent", **more)]))
    assert (await held(database))["absent"] == [*absent, "04"]
    assert (await send(client, offices[HOST], first))["counts"] == {"duplicate": 2}
    assert (await held(database))["absent"] == [*absent, "04"]


@pytest.mark.parametrize("between", [False, True], ids=["at once", "after a list of somebody else"])
@pytest.mark.parametrize("more", [{}, {"Held for": "listed"}], ids=["of everyone", "of a group"])
async def test_given_a_row_corrected_by_hand_when_a_longer_list_has_it_as_before_then_the_correction_stands(
    client: Client, offices: dict[str, Bearer], database: Database, more: dict[str, Any], between: bool
) -> None:
    await send(client, offices[SENDER], as_csv([a_trainee(f"0{number}") for number in (1, 2, 3, 4)]))
    first = [was_there("01", attendance="absent", **more), was_there("02", **more), was_there("03", **more)]
    row, *_ = (await send(client, offices[HOST], as_csv(first)))["rows"]
    await by_hand(client, database, row["event"], absent=[], **({"group": ["01", "02"]} if more else {}))
    longer = as_csv([*first, was_there("04", attendance="absent", **more)])

    if between:
        await send(client, offices[HOST], as_csv([was_there("04", attendance="absent", **more)]))

    for others in ("duplicate" if between else "accepted", "duplicate"):
        corrected, second, third, fourth = (await send(client, offices[HOST], longer))["rows"]
        assert [one["status"] for one in (corrected, second, third, fourth)] == ["duplicate"] * 3 + [others]
        assert "corrected by hand" in corrected["sentence"]
        assert "on record" in second["sentence"]
        session = await held(database)
        assert (session["absent"], session.get("group")) == (["04"], ["01", "02", "04"] if more else None)
    await send(client, offices[HOST], as_csv([partly("01", **more)]))
    session = await held(database)
    assert (session["absent"], [one["number"] for one in session["partial"]]) == (["04"], ["01"])


def partly(number: str, **more: Any) -> dict[str, Any]:
    return was_there(number, attendance="partly", **{"Hours present": 3, **more})


async def test_a_list_that_comes_again_after_one_of_others_says_nothing_anew(
    client: Client, offices: dict[str, Bearer], database: Database
) -> None:
    await send(client, offices[SENDER], as_csv([a_trainee("01"), a_trainee("02")]))
    for rows in ([partly("01")], [was_there("02", attendance="absent")]):
        await send(client, offices[HOST], as_csv(rows))
    async with database.transaction() as session:
        number = (await session.execute(text("SELECT count(*) FROM events"))).scalar_one()

        assert (await send(client, offices[HOST], as_csv([partly("01")])))["counts"] == {"duplicate": 1}

        assert (await session.execute(text("SELECT count(*) FROM events"))).scalar_one() == number


async def test_a_list_of_trainees_without_a_column_keeps_what_was_in_it(
    client: Client, offices: dict[str, Bearer], database: Database
) -> None:
    await send(client, offices[SENDER], as_csv([a_trainee("01", Employer="A workshop")]))
    answer = await send(client, offices[SENDER], as_csv([a_trainee("01", Trade="cabling")]))
    assert became(answer) == [(2, "accepted", "applied")]
    assert (await facts(database))["enrolment.trainee.kh.wuxi-2025.01"]["trade"] == "cabling"
    shown = await client.get("/v1/cohorts/wuxi-2025/trainees", headers=offices[SENDER])
    assert "A workshop" in shown.text


CONSENT = {
    "Consent by": "self",
    "Consent on": "2025-03-01",
    "Privacy notice": "v1",
    "Consent for": "training, reporting",
}


@pytest.mark.parametrize("column", ["Sending country", "Language of the name", "Consent for"])
async def test_a_list_of_trainees_without_a_column_changes_nothing_of_a_person(
    client: Client, offices: dict[str, Bearer], column: str
) -> None:
    row = a_trainee("01", **{"Language of the name": "km", **CONSENT})
    await send(client, offices[SENDER], as_csv([row]))
    before = await details(client, offices[SENDER])
    fewer = {name: value for name, value in row.items() if name != column}
    assert became(await send(client, offices[SENDER], as_csv([fewer]))) == [(2, "duplicate", "duplicate")]
    changed = fewer | {"Name in Latin letters": "Other", "National identity number": "0999", "Consent on": "2025-03-02"}
    await send(client, offices[SENDER], as_csv([changed]))
    after = await details(client, offices[SENDER])
    assert after["names"] == {**before["names"], "romanised": "Other"}
    assert after["consent"] == {**before["consent"], "date": "2025-03-02"}
    assert after["identifiers"] == [{"kind": "national-id", "number": "0999", "country": "KH"}]
    emptied = {**changed, column: ""}
    assert (await send(client, offices[SENDER], as_csv([emptied])))["changes"] == {"corrected": 1}


async def details(client: Client, bearer: Bearer) -> dict[str, Any]:
    (one,) = (await client.get("/v1/cohorts/wuxi-2025/trainees", headers=bearer)).json()["items"]
    return dict(one["details"])
