"""Rosters from the desk: looked at first, then sent, row by row, and the results as a spreadsheet."""

from collections import Counter
from io import BytesIO
from typing import Any

import httpx
import pytest
import xlsxwriter
from python_calamine import CalamineWorkbook

from services.enrolment.handlers import Handlers
from services.enrolment.tables import KeptFile
from shared.desk import remarks
from shared.keeping import Keeping
from shared.limits import Limits, TooFast
from shared.pages.languages import language
from shared.rosters.books import FILE_LIMIT
from shared.rosters.cells import OFFERS
from tests.integration.desk.browser import Browser, Page
from tests.integration.desk.conftest import Opened
from tests.integration.enrolment.house import REGISTRATIONS, House
from tests.languages import every_language
from tests.unit.enrolment.story import SENDER, STRANGER, announced

HEAD = [
    "Cohort",
    "Trainee number",
    "Role",
    "Country",
    "Trade",
    "Name",
    "Name in Latin letters",
    "Sex",
    "Birth date",
    "Enrolled on",
]
GOOD = ["wuxi-2025", "01", "student", "KH", "electrical", "សុខា", "Sokha", "F", "2005-04-01", "2025-03-10"]


def workbook(*rows: list[Any]) -> bytes:
    file = BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        sheet = book.add_worksheet("Trainees")
        for at, row in enumerate([HEAD, *rows]):
            for column, cell in enumerate(row):
                sheet.write_string(at, column, cell)
    return file.getvalue()


def trainee(number: str, **changes: str) -> list[str]:
    row = dict(zip(HEAD, GOOD, strict=True))
    return list({**row, "Trainee number": number, **changes}.values())


async def show(browser: Browser, content: bytes, name: str = "roster.xlsx", **fields: str) -> httpx.Response:
    page = await browser.see("/rosters")
    return await browser.client.post("/rosters", data={**page.fields, **fields}, files={"file": (name, content)})


async def test_it_is_looked_at_first_and_then_sent(house: House, sender: Browser) -> None:
    await house.post(*REGISTRATIONS, announced())
    before = await house.standings()
    answer = await show(sender, workbook(trainee("01"), trainee("02")))
    assert answer.status_code == 303, answer.text
    preview = await sender.see(answer.headers["location"])
    assert "Nothing was taken yet." in preview.shown
    assert "Taken 2" in preview.shown
    assert await house.standings() == before

    sent = await sender.send(answer.headers["location"], preview.fields)
    assert sent.status_code == 200
    assert "The roster was taken." in Page(sent.text).shown
    assert "2 of 2 rows" in Page(sent.text).shown
    assert len(await house.standings()) > len(before)
    assert "Taken 2" in (await sender.see(answer.headers["location"])).shown, "also when the page is loaded again"

    results = await sender.client.get(answer.headers["location"] + "/results.xlsx")
    rows = CalamineWorkbook.from_filelike(BytesIO(results.content)).get_sheet_by_index(0).to_python()
    assert "accepted" in str(rows[1])

    again = await show(sender, workbook(trainee("01"), trainee("02")))
    assert "Sent before 2" in (await sender.see(again.headers["location"])).shown


async def test_the_rows_of_a_file_are_looked_at_once(
    house: House, sender: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a spreadsheet that can be read, when it is shown, then its rows are looked at for the page that shows them alone."""
    await house.post(*REGISTRATIONS, announced())
    looks: list[int] = []
    take_within = Handlers.take_within

    async def counted(*given: Any, **more: Any) -> Any:
        looks.append(1)
        return await take_within(*given, **more)

    monkeypatch.setattr(Handlers, "take_within", counted)
    answer = await show(sender, workbook(trainee("01")))
    assert (answer.status_code, len(looks)) == (303, 0)
    assert "Taken 1" in (await sender.see(answer.headers["location"])).shown
    assert len(looks) == 1


async def test_rosters_count_against_the_offices_limit_and_a_page_says_so(
    house: House, sender: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.post(*REGISTRATIONS, announced())
    answer = await show(sender, workbook(trainee("01")))
    preview = await sender.see(answer.headers["location"])
    another = workbook(trainee("02"))  # made once: a workbook says when it was made, and is not always of one length
    before = await house.standings()
    exhausted: set[str] = set()
    counted: Counter[str] = Counter()

    def spend(_: Limits, office: str, **amounts: int) -> None:
        counted.update(amounts)
        if too_much := exhausted & {what for what, amount in amounts.items() if amount}:
            raise TooFast(*too_much, 7)

    monkeypatch.setattr(Limits, "spend", spend)
    for what in ("events", "size"):
        exhausted = {what}
        refused = [await show(sender, another)]
        if what == "events":
            refused.append(await sender.client.get(answer.headers["location"]))
            refused.append(await sender.send(answer.headers["location"], preview.fields))
        for one in refused:
            assert one.status_code == 429
            assert one.headers["retry-after"] == "7"
            assert "Your office sends more than can be taken. Wait 7 seconds" in Page(one.text).shown
    assert await house.standings() == before
    assert counted["events"] == 3
    assert counted["size"] == len(another) * 2
    exhausted = set()
    sent = await sender.send(answer.headers["location"], preview.fields)
    assert "1 of 1 rows" in Page(sent.text).shown


@pytest.mark.parametrize("tag", every_language("en", "km"))
async def test_a_wrong_date_in_row_5_is_shown_as_row_5(house: House, sender: Browser, tag: str) -> None:
    await house.post(*REGISTRATIONS, announced())
    rows = [trainee("01"), trainee("02"), trainee("03"), trainee("04", **{"Birth date": "31 of May"})]
    answer = await show(sender, workbook(*rows))
    page = await sender.see(answer.headers["location"], **{"Accept-Language": tag})
    table = page.shown
    assert "Trainees 5 I (Birth date)" in table or "Trainees 5 " in table
    assert page.text.count('<th scope="row" class="figure">5</th>') == 1


async def test_a_correction_is_offered_and_taken_when_accepted(house: House, sender: Browser) -> None:
    await house.post(*REGISTRATIONS, announced())
    answer = await show(sender, workbook(trainee("01", **{"Birth date": "2548-04-01"})))
    page = await sender.see(answer.headers["location"])
    assert "2005-04-01" in page.shown
    assert "Take Buddhist years" in page.shown
    accepted = await sender.see(answer.headers["location"] + "?accept=buddhist-years")
    assert "Taken 1" in accepted.shown
    sent = await sender.send(answer.headers["location"], accepted.fields)
    assert "The roster was taken." in Page(sent.text).shown
    assert "Taken 1" in Page(sent.text).shown


async def test_what_was_shown_is_sealed_and_is_nobody_elses(
    house: House, opened: Opened, sender: Browser, tokens: dict[str, str]
) -> None:
    await house.post(*REGISTRATIONS, announced())
    answer = await show(sender, workbook(trainee("01")), name="Sokha.xlsx")
    (row,) = await house.rows("SELECT * FROM kept_files")
    assert "Sokha" not in str(row)
    assert b"PK" not in row["sealed"][:64]
    stranger = await opened.browser(tokens[STRANGER])
    await stranger.see(answer.headers["location"], 404)
    assert (await stranger.client.get(answer.headers["location"] + "/results.xlsx")).status_code == 404
    key = (await stranger.see("/record")).fields["form_key"]
    assert (await stranger.send(answer.headers["location"], {"form_key": key})).status_code == 404


async def test_a_shown_file_opens_in_the_session_that_showed_it_and_in_no_other(
    house: House, opened: Opened, sender: Browser, tokens: dict[str, str]
) -> None:
    await house.post(*REGISTRATIONS, announced())
    shown = (await show(sender, workbook(trainee("01")))).headers["location"]
    await sender.see(shown)
    elsewhere = await opened.browser(tokens[SENDER])
    assert "This file is not kept any more. Choose it again." in (await elsewhere.see(shown, 404)).shown
    await sender.send("/session/end", {})
    await sender.sign_in(tokens[SENDER])
    await sender.see(shown, 404)


async def test_a_file_is_gone_after_its_hour_also_when_nobody_shows_another(house: House, sender: Browser) -> None:
    await house.post(*REGISTRATIONS, announced())
    await show(sender, workbook(trainee("01")))
    keeping = Keeping(house.database, KeptFile, b"\x01" * 32)
    for life, left in ((1, 1), (-1, 0)):
        await house.rows(
            "UPDATE kept_files SET expires = now() + CAST(:minutes AS integer) * interval '1 minute' RETURNING id",
            minutes=life,
        )
        async with house.database.transaction() as session:
            await keeping.forget_expired(session)
        assert len(await house.rows("SELECT id FROM kept_files")) == left


UNCLOSED = b'cohort,number,trade,remark\nc,01,x,good\nc,02,x,"good\nc,03,x,good\nc,04,x,good"\n'
NEVER_CLOSED = b'cohort,number,trade,remark\nc,01,x,good\nc,02,x,"good\nc,03,x,good\n'
"""Its header cannot be looked for: the file is refused before its rows are read."""


async def test_where_a_file_is_wrong_is_said_in_other_languages_too(sender: Browser) -> None:
    await sender.see("/rosters?lang=km")
    for content in (UNCLOSED, NEVER_CLOSED):
        answer = await show(sender, content)
        assert "នៅជួរដេក 3" in Page(answer.text).shown
    flaw = remarks.Remark(code="not_a_number", sentence="", todo="")
    assert "1,000" in remarks.told(flaw, language("km"), {})


async def test_a_file_that_cannot_be_read_is_said_so_on_the_page(sender: Browser) -> None:
    for content, sentence in (
        (b"", "The file is empty."),
        (b"\x89PNG\r\n\x1a\n" * 20, "This is no spreadsheet."),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 20, "or has a password"),
        (b"PK\x03\x04" + bytes(FILE_LIMIT), "The file is too large."),
        (UNCLOSED, "In row 3, look for a quotation mark that is not closed."),
        (NEVER_CLOSED, "In row 3, look for a quotation mark that is not closed."),
    ):
        answer = await show(sender, content)
        assert answer.status_code in (400, 413)
        assert sentence in Page(answer.text).shown, answer.text


async def test_what_holds_nothing_for_this_desk_is_not_offered_for_sending(house: House, sender: Browser) -> None:
    await house.post(*REGISTRATIONS, announced())
    for content, sentence in (
        (b"Dear colleague,\nplease find the list below\n", "There is no row in this file"),
        (workbook(trainee("01", Sex="x")), "Not taken 1"),
    ):
        page = await sender.see((await show(sender, content)).headers["location"])
        assert sentence in page.shown
        assert "Send it" not in page.shown
        assert "Choose another file" in page.shown


async def test_a_roster_without_the_forms_key_is_refused(house: House, sender: Browser) -> None:
    await house.post(*REGISTRATIONS, announced())
    answer = await show(sender, workbook(trainee("01")), form_key="0" * 64)
    assert answer.status_code == 403
    assert await house.rows("SELECT * FROM kept_files") == []


async def test_the_template_is_in_the_readers_language(sender: Browser) -> None:
    answer = await sender.client.get("/rosters/template.xlsx", headers={"Accept-Language": "km"})
    names = CalamineWorkbook.from_filelike(BytesIO(answer.content)).sheet_names
    assert names
    assert not any(name == "Trainees" for name in names)


def test_every_offer_has_the_officers_words() -> None:
    assert remarks.OFFERS.keys() == OFFERS.keys()
