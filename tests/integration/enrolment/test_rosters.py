"""Rosters at enrolment: what becomes of a spreadsheet's rows, sent once, twice, and corrected."""

import asyncio
import json
from io import BytesIO
from typing import Any

import httpx
import pytest
from python_calamine import load_workbook
from sqlalchemy import text

from services.enrolment.tables import Base, KeptFile
from shared.database import Database
from shared.events.identity import enrolment_id
from shared.keeping import Keeping
from shared.offices import Caller
from shared.sessions import Visitor
from tests.integration.enrolment.house import REGISTRATIONS, registered
from tests.remembering import Place, once_told
from tests.sheets import CSV, XLSX, a_trainee, as_csv, as_xlsx, was_there
from tests.unit.enrolment.story import (
    COORDINATOR,
    HOST,
    PARTIES,
    SENDER,
    STRANGER,
    announced,
    completed,
    forgotten,
    person,
    started,
    trainee,
    voided,
)

OFFICES = {COORDINATOR: "coordinator", SENDER: "sending-office", HOST: "host-centre", STRANGER: "sending-office"}
Client = httpx.AsyncClient
Bearer = dict[str, str]


@pytest.fixture
async def offices(client: Client, database: Database) -> dict[str, Bearer]:
    """The tokens of the story's offices; their cohort is announced."""
    return await once_told("rosters' offices", lambda: _registered(client), Place(database, Base.metadata))


async def _registered(client: Client) -> dict[str, Bearer]:
    tokens = await registered(client, OFFICES)
    await say(client, *REGISTRATIONS, announced(parties=PARTIES))
    return {office: {"Authorization": f"Bearer {token}"} for office, token in tokens.items()}


async def say(client: Client, *events: dict[str, Any]) -> None:
    content = "\n".join(map(json.dumps, events))
    answer = await client.post("/v1/events", content=content, headers={"Content-Type": "application/x-ndjson"})
    assert answer.status_code == 200, answer.text


async def send(client: Client, bearer: Bearer, content: bytes, **parameters: Any) -> dict[str, Any]:
    kind = XLSX if content.startswith(b"PK") else CSV
    answer = await client.post(
        "/v1/rosters", content=content, params=parameters, headers={"Content-Type": kind, **bearer}
    )
    assert answer.status_code in {200, 207, 422}, answer.text
    return dict(answer.json())


def became(answer: dict[str, Any]) -> list[tuple[int, str, str]]:
    return [(row["row"], row["status"], row["code"]) for row in answer["rows"]]


async def facts(database: Database) -> dict[str, Any]:
    async with database.transaction() as session:
        rows = await session.execute(text("SELECT subject, body FROM things"))
        return {row.subject: row.body for row in rows}


async def number_of_facts(database: Database) -> int:
    async with database.transaction() as session:
        return int((await session.execute(text("SELECT count(*) FROM outbox"))).scalar_one())


async def test_rows_become_enrolments_and_a_second_upload_changes_nothing(
    client: Client, offices: dict[str, Bearer], database: Database
) -> None:
    roster = as_xlsx(Trainees=[a_trainee("01"), a_trainee("02", **{"Proposed on": "2025-03-03"})])
    first = await send(client, offices[SENDER], roster)
    assert became(first) == [(2, "accepted", "applied"), (3, "accepted", "applied")]
    assert first["changes"] == {"new": 2}
    fact = (await facts(database))["enrolment.trainee.kh.wuxi-2025.02"]
    assert (fact["status"], fact["proposed_on"], fact["enrolled_on"]) == ("enrolled", "2025-03-03", "2025-03-12")
    before = await facts(database), await number_of_facts(database)
    again = await send(client, offices[SENDER], roster)
    assert became(again) == [(2, "duplicate", "duplicate"), (3, "duplicate", "duplicate")]
    assert (await facts(database), await number_of_facts(database)) == before


async def test_the_same_rows_in_another_form_and_order_are_the_same(
    client: Client, offices: dict[str, Bearer], database: Database
) -> None:
    lines = [a_trainee("01"), a_trainee("02"), a_trainee("01")]
    first = await send(client, offices[SENDER], as_xlsx(Trainees=lines))
    assert became(first)[2] == (4, "duplicate", "row_twice")
    before = await number_of_facts(database)
    other = await send(client, offices[SENDER], as_csv(lines[::-1], "utf-16", "\t"))
    assert other["counts"] == {"duplicate": 3}
    assert await number_of_facts(database) == before


async def test_a_wrong_date_in_row_5_is_shown_as_row_5(client: Client, offices: dict[str, Bearer]) -> None:
    lines = [a_trainee(f"0{number}") for number in range(1, 6)]
    lines[3] |= {"Birth date": "31/02/2005"}
    answer = await send(client, offices[SENDER], as_csv(lines))
    assert [row["row"] for row in answer["rows"] if row["status"] == "rejected"] == [5]
    (row,) = (row for row in answer["rows"] if row["row"] == 5)
    assert (row["column"], row["code"]) == ("I (Birth date)", "date_impossible")
    assert row["sentence"]
    assert row["todo"]
    assert answer["counts"] == {"accepted": 4, "rejected": 1}


async def test_a_corrected_spelling_leaves_completion_standing(
    client: Client, offices: dict[str, Bearer], database: Database
) -> None:
    await send(client, offices[SENDER], as_csv([a_trainee("01")]))
    await say(client, started(), completed("01"))
    before = (await facts(database))["enrolment.trainee.kh.wuxi-2025.01"]
    assert before["completion"] == "in-force"
    published = await number_of_facts(database)
    answer = await send(client, offices[SENDER], as_csv([a_trainee("01", **{"Name in Latin letters": "Sok Kha"})]))
    assert became(answer) == [(2, "accepted", "applied")]
    assert answer["changes"] == {"corrected": 1}
    assert (await facts(database))["enrolment.trainee.kh.wuxi-2025.01"] == before
    assert await number_of_facts(database) == published
    types = await said(client, "01")
    assert types == ["person.corrected.v1", "trainee.completed.v1", "trainee.enrolled.v1"]


async def said(client: Client, number: str) -> list[str]:
    items = (await client.get("/v1/events", params={"cohort": "wuxi-2025"})).json()["items"]
    return sorted(item["type"] for item in items if item["event"]["data"].get("number") == number)


async def test_a_changed_trade_replaces_the_enrolment_in_one_step(
    client: Client, offices: dict[str, Bearer], database: Database
) -> None:
    await send(client, offices[SENDER], as_csv([a_trainee("01")]))
    await say(client, started(), completed("01"))
    changed = a_trainee("01", Trade="cabling", **{"Birth date": "2005-04-02", "National identity number": "099"})
    assert became(await send(client, offices[SENDER], as_csv([changed]))) == [(2, "accepted", "applied")]
    fact = (await facts(database))["enrolment.trainee.kh.wuxi-2025.01"]
    assert (fact["trade"], fact["completion"], fact["status"]) == ("cabling", "in-force", "completed")
    assert became(await send(client, offices[SENDER], as_csv([changed]))) == [(2, "duplicate", "duplicate")]


async def test_a_then_b_then_a(client: Client, offices: dict[str, Bearer], database: Database) -> None:
    a, b = as_csv([a_trainee("01")]), as_csv([a_trainee("01", Sex="M", Trade="cabling")])
    for roster, sex, trade in [
        (a, "F", "electrical"),
        (b, "M", "cabling"),
        (a, "F", "electrical"),
        (b, "M", "cabling"),
    ]:
        answer = await send(client, offices[SENDER], roster)
        assert became(answer) == [(2, "accepted", "applied")]
        fact = (await facts(database))["enrolment.trainee.kh.wuxi-2025.01"]
        assert (fact["sex"], fact["trade"]) == (sex, trade)
        assert (await send(client, offices[SENDER], roster))["counts"] == {"duplicate": 1}


async def test_two_officers_who_send_the_same_file_at_once(client: Client, offices: dict[str, Bearer]) -> None:
    roster = as_csv([a_trainee(f"{number:02}") for number in range(20)])
    both = await asyncio.gather(*(send(client, offices[SENDER], roster) for _ in range(3)))
    assert sorted(str(answer["counts"]) for answer in both) == [
        "{'accepted': 20}",
        "{'duplicate': 20}",
        "{'duplicate': 20}",
    ]


async def test_a_correction_by_hand_is_followed_and_a_void_is_not_undone(
    client: Client, offices: dict[str, Bearer], database: Database
) -> None:
    first = await send(client, offices[SENDER], as_csv([a_trainee("01"), a_trainee("02")]))
    one, two = (row["event"] for row in first["rows"])
    by_hand = trainee(
        "trainee.enrolled", "01", replaces=one, role="teacher", country="KH", trade="cabling", date="2025-03-12"
    )
    await say(client, {**by_hand, "data": {**by_hand["data"], "person": person("1")}})
    await say(client, voided({"id": two, "type": "trainee.enrolled.v1", "source": SENDER}))
    same = await send(client, offices[SENDER], as_csv([a_trainee("01"), a_trainee("02")]))
    assert became(same) == [(2, "duplicate", "duplicate"), (3, "duplicate", "voided")]
    assert "corrected by hand since" in same["rows"][0]["sentence"]
    answer = await send(client, offices[SENDER], as_csv([a_trainee("01", Role="worker")]))
    assert became(answer) == [(2, "accepted", "applied")]
    assert (await facts(database))["enrolment.trainee.kh.wuxi-2025.01"]["role"] == "worker"
    (again,) = (await send(client, offices[SENDER], as_csv([a_trainee("01", Role="worker")])))["rows"]
    assert again["sentence"] == "The same was sent before and is on record."


async def test_rows_that_a_later_file_has_not_change_nothing_and_are_listed(
    client: Client, offices: dict[str, Bearer], database: Database
) -> None:
    await send(client, offices[SENDER], as_csv([a_trainee("01"), a_trainee("02")]))
    before = await facts(database)
    answer = await send(client, offices[SENDER], as_csv([a_trainee("01")]))
    assert answer["missing"] == [{"kind": "trainees", "cohort": "wuxi-2025", "number": "02", "part": ""}]
    assert await facts(database) == before


async def test_a_dry_run_says_what_would_happen_and_writes_nothing(
    client: Client, offices: dict[str, Bearer], database: Database
) -> None:
    await send(client, offices[SENDER], as_csv([a_trainee("01"), a_trainee("02")]))
    before = await facts(database), await number_of_facts(database)
    roster = as_csv(
        [
            a_trainee("01"),
            a_trainee("02", Sex="M"),
            a_trainee("03"),
            a_trainee("04", Cohort="another-2026"),
            a_trainee("05", Sex="?"),
        ]
    )
    tried = await send(client, offices[SENDER], roster, dry_run=True)
    assert tried["dry_run"]
    assert [(row["status"], row.get("change")) for row in tried["rows"]] == [
        ("duplicate", "unchanged"),
        ("accepted", "corrected"),
        ("accepted", "new"),
        ("waiting", "new"),
        ("rejected", None),
    ]
    assert (await facts(database), await number_of_facts(database)) == before
    done = await send(client, offices[SENDER], roster)
    assert done["rows"] == tried["rows"]


async def test_a_session_is_one_event_and_keeps_who_an_earlier_file_remarked(
    client: Client, offices: dict[str, Bearer], database: Database
) -> None:
    await send(client, offices[SENDER], as_csv([a_trainee("01"), a_trainee("02"), a_trainee("03")]))
    lines = [
        was_there("01"),
        was_there("02", attendance="absent"),
        was_there("03", attendance="partly", **{"Hours present": 2.5}),
    ]
    first = await send(client, offices[HOST], as_xlsx(Attendance=lines))
    assert [row["status"] for row in first["rows"]] == ["accepted"] * 3
    assert len({row["event"] for row in first["rows"]}) == 1
    (held,) = (await facts(database))["enrolment.cohort.cn.wuxi-2025"]["sessions"]
    assert (held["absent"], held["partial"]) == (["02"], [{"number": "03", "hours": 2.5}])
    again = await send(client, offices[HOST], as_csv(lines))
    assert again["counts"] == {"duplicate": 3}
    changed = await send(client, offices[HOST], as_csv([was_there("01", attendance="absent"), lines[2]]))
    assert [(row["status"], row["change"]) for row in changed["rows"]] == [
        ("accepted", "corrected"),
        ("duplicate", "unchanged"),
    ]
    assert changed["missing"] == [{"kind": "attendance", "cohort": "wuxi-2025", "number": "02", "part": "1"}]
    (held,) = (await facts(database))["enrolment.cohort.cn.wuxi-2025"]["sessions"]
    assert held["absent"] == ["01", "02"]


async def test_a_session_with_a_row_that_is_not_right_is_not_taken(client: Client, offices: dict[str, Bearer]) -> None:
    lines = [was_there("01"), was_there("02", attendance="sick"), was_there("01", 2), was_there("02", 2, Hours=5)]
    answer = await send(client, offices[HOST], as_csv(lines))
    assert became(answer) == [
        (2, "rejected", "session_incomplete"),
        (3, "rejected", "unknown_word"),
        (4, "rejected", "session_incomplete"),
        (5, "rejected", "session_differs"),
    ]


async def test_sheets_of_others_are_left_alone(client: Client, offices: dict[str, Bearer]) -> None:
    roster = as_xlsx(
        Trainees=[a_trainee("01")],
        Attendance=[was_there("01")],
        Awards=[{"Cohort": "wuxi-2025", "Trainee number": "01"}],
        Notes=[{"Anything": "at all"}],
    )
    answer = await send(client, offices[SENDER], roster)
    assert became(answer) == [(2, "accepted", "applied")]
    assert {left["sheet"]: left["code"] for left in answer["left"]} == {
        "Attendance": "role_not_allowed",
        "Awards": "wrong_service",
        "Notes": "sheet_unknown",
    }
    asked = await send(client, offices[SENDER], roster, sheet="attendance")
    assert became(asked) == [(2, "rejected", "role_not_allowed")]


async def test_another_office_sees_nothing(client: Client, offices: dict[str, Bearer]) -> None:
    await send(client, offices[SENDER], as_csv([a_trainee("01"), a_trainee("02")]))
    answer = await send(client, offices[STRANGER], as_csv([a_trainee("01")]))
    assert became(answer) == [(2, "conflict", "not_a_party")]
    assert answer["missing"] == []
    theirs = await client.get("/v1/events", headers=offices[STRANGER], params={"source": SENDER})
    assert theirs.json()["items"] == []
    refused = await client.post(
        "/v1/rosters",
        content=as_csv([a_trainee("01")]),
        params={"source": SENDER},
        headers={"Content-Type": CSV, **offices[STRANGER]},
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "source_not_yours")


async def test_buddhist_years_are_offered_and_taken_only_when_accepted(
    client: Client, offices: dict[str, Bearer]
) -> None:
    roster = as_csv([a_trainee("01", **{"Birth date": "01/04/2548"}), a_trainee("02", **{"Birth date": "2548-04-30"})])
    answer = await send(client, offices[SENDER], roster)
    assert [row["code"] for row in answer["rows"]] == ["date_ambiguous", "buddhist_year"]
    assert answer["rows"][1]["offer"] == {"accept": "buddhist-years", "value": "2005-04-30"}
    assert answer["accept"] == {"buddhist-years": 1}
    taken = await send(client, offices[SENDER], roster, accept="buddhist-years")
    assert [row["status"] for row in taken["rows"]] == ["rejected", "accepted"]


async def test_a_form_and_lines_and_a_spreadsheet_with_receipts(client: Client, offices: dict[str, Bearer]) -> None:
    roster = as_xlsx(Trainees=[a_trainee("01", Employer="=1+1"), a_trainee("02", Sex="x")])
    form = await client.post("/v1/rosters", files={"file": ("list.xlsx", roster, XLSX)}, headers=offices[SENDER])
    assert form.status_code == 207
    lines = await client.post(
        "/v1/rosters",
        content=roster,
        headers={"Content-Type": XLSX, "Accept": "application/x-ndjson", **offices[SENDER]},
    )
    said = [json.loads(line) for line in lines.text.splitlines()]
    assert [line["line"] for line in said] == ["begin", "row", "row", "end"]
    assert (said[0]["total"], said[-1]["counts"]) == (2, {"duplicate": 1, "rejected": 1})
    answer = await client.post(
        "/v1/rosters/annotated", content=roster, headers={"Content-Type": XLSX, **offices[SENDER]}
    )
    page = load_workbook(BytesIO(answer.content)).get_sheet_by_name("Trainees").to_python()
    assert page[0][-3:] == ["Receipt", "Why", "What to do"]
    assert [row[-3] for row in page[1:]] == ["duplicate", "rejected"]
    assert "=1+1" in page[1]
    again = await send(client, offices[SENDER], answer.content)
    assert again["counts"] == {"duplicate": 1, "rejected": 1}


async def test_what_cannot_be_read_is_refused_whole(client: Client, offices: dict[str, Bearer]) -> None:
    async def code(content: bytes, kind: str = CSV, **parameters: str) -> tuple[int, str]:
        headers = {"Content-Type": kind, **offices[SENDER]}
        answer = await client.post("/v1/rosters", content=content, headers=headers, params=parameters)
        return answer.status_code, answer.json()["code"]

    assert await code(b"") == (400, "file_empty")
    assert await code(b"PK\x03\x04", XLSX) == (400, "file_unreadable")
    assert await code(b"\xd0\xcf\x11\xe0", "application/octet-stream") == (400, "old_form")
    assert await code(b"x" * 17_000_000) == (413, "file_too_large")
    assert await code(b"x", "text/html") == (415, "content_type")
    assert await code(b"x", accept="everything") == (400, "invalid_query")
    assert await code(b"x", "multipart/form-data; boundary=x") == (400, "invalid_form")
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nx\r\n--x--\r\n'
    assert await code(form, "multipart/form-data; boundary=x; charset=undefined") == (400, "invalid_form")


@pytest.mark.parametrize("language", ["en", "km", "lo", "my", "zh"])
async def test_the_template_is_a_roster(client: Client, offices: dict[str, Bearer], language: str) -> None:
    answer = await client.get("/v1/rosters/template.xlsx", params={"language": language}, headers=offices[SENDER])
    assert answer.headers["content-type"] == XLSX
    taken = await send(client, offices[SENDER], answer.content)
    assert taken["rows"] == []
    assert "sheet_unknown" not in {sheet["code"] for sheet in taken["left"]}, "what it brings along is nobody's"
    names = load_workbook(BytesIO(answer.content)).sheet_names
    assert ("Read me" in names) == (language == "en"), "and is called something in the reader's language"


async def test_nothing_personal_is_kept_in_clear(
    client: Client, offices: dict[str, Bearer], database: Database
) -> None:
    await send(client, offices[SENDER], as_csv([a_trainee("01", Employer="Mekong Electric")]))
    await send(client, offices[SENDER], as_csv([a_trainee("01", Name="ចាន់ សុភា", Employer="Mekong Electric")]))
    async with database.transaction() as session:
        rows = (
            (await session.execute(text("SELECT CAST(roster_rows AS text) AS line FROM roster_rows"))).scalars().all()
        )
        events = (await session.execute(text("SELECT CAST(events AS text) AS line FROM events"))).scalars().all()
    assert len(rows) == 1
    for name in ("Sokha", "សុខា", "ចាន់", "2005-04-01", "0015550001", "Mekong"):
        assert name not in "".join([*rows, *events])
    assert enrolment_id("wuxi-2025", "01") in "".join(events)


async def test_of_somebody_forgotten_no_digest_is_kept_and_a_roster_sent_again_brings_nothing_back(
    client: Client, offices: dict[str, Bearer], database: Database
) -> None:
    lines = [a_trainee("01", **{"Proposed on": "2025-03-03"}), a_trainee("02")]
    await send(client, offices[SENDER], as_csv(lines))
    shown = await client.post(
        "/v1/rosters", params={"dry_run": True}, content=as_csv(lines), headers={"Content-Type": CSV, **offices[SENDER]}
    )
    assert shown.status_code == 200
    officer = Visitor(Caller(SENDER, frozenset(), "sokha"), "form key")
    await Keeping(database, KeptFile, b"\x01" * 32).keep(officer, "roster.csv", as_csv(lines), {})
    before = await facts(database)

    async def kept() -> list[tuple[str, str]]:
        async with database.transaction() as session:
            assert (await session.execute(text("SELECT count(*) FROM kept_files"))).scalar_one() == 0
            keys = (await session.execute(text("SELECT count(*) FROM register_keys"))).scalar_one()
            assert keys == 1, "only of the other"
            rows = await session.execute(text("SELECT kind, number FROM roster_rows ORDER BY number"))
            return [(row.kind, row.number) for row in rows]

    await say(client, forgotten("01"))
    assert await kept() == [("trainees", "02")]
    corrected = [lines[0] | {"Name in Latin letters": "Somebody Else"}, lines[1]]
    for again in (lines, corrected, lines):
        answer = await send(client, offices[SENDER], as_csv(again))
        assert became(answer)[1] == (3, "duplicate", "duplicate")
        assert await kept() == [("trainees", "02")]
        assert await facts(database) == before
