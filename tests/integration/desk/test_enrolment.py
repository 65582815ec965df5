"""Enrolment's desk over HTTP: what an officer sees, says and gets to know."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from time import time
from typing import Any
from urllib.parse import unquote

import pytest

from services.enrolment.handlers import Handlers
from tests.integration.desk.browser import Browser, Page
from tests.integration.desk.conftest import READER, Opened
from tests.integration.enrolment.house import ADMINISTRATOR, CERTIFICATION, REGISTRATIONS, House
from tests.unit.enrolment.story import (
    HOST,
    HOURS,
    SENDER,
    STRANGER,
    announced,
    attended,
    cohort,
    completed,
    place,
    programme,
    proposed,
    session,
    voided,
    whole,
)

PLACE = {"cohort": "wuxi-2025", "number": "07", "role": "student", "country": "kh", "trade": "electrical"}


async def another_second() -> None:
    began = int(time())
    for _ in range(250):  # polls with a deadline
        if int(time()) > began:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the clock stands still")


async def test_an_officer_sees_who_they_are_and_their_cohorts(house: House, sender: Browser) -> None:
    await house.post(*REGISTRATIONS, *whole())
    page = await sender.see("/")
    assert "sokha" in page.shown
    assert "Office kh/ntti" in page.shown
    assert "/cohorts/wuxi-2025" in page.links
    cohort = await sender.see("/cohorts/wuxi-2025")
    person, *_ = [link for link in cohort.links if link.startswith("/people/")]
    assert "Trainee" in (await sender.see(person)).shown


async def test_hours_are_those_that_reports_count(house: House, sender: Browser) -> None:
    """Given trainees who withdrew, declined, did not arrive or are listed twice, then the pages of their cohort and their own
    count no other hours than ``training_hours`` does."""
    await house.post(*REGISTRATIONS, *attended())
    listed = (await sender.see("/cohorts/wuxi-2025")).texts
    rows = {number: listed[listed.index(number) :] for number in HOURS}
    assert {number: row[5:7] for number, row in rows.items()} == {
        number: ["0", f"{sum(hours):g}"] for number, hours in HOURS.items()
    }
    pages = {number: (await sender.see(f"/people/{place(number)}")).shown for number in HOURS}
    assert {
        number: re.findall(r"(\d+) held, (\d+) missed, ([0-9.]+) hours", page) for number, page in pages.items()
    } == {number: [(f"{len(hours)}", "0", f"{sum(hours):g}")] for number, hours in HOURS.items()}


async def test_a_session_that_was_missed_is_counted_with_its_absences(house: House, sender: Browser) -> None:
    await house.post(*REGISTRATIONS, *attended(), session(4, 34, absent=["01"]))
    page = await sender.see(f"/people/{place('01')}")
    assert "4 held, 1 missed, 18 hours present" in page.shown
    page = await sender.see(f"/people/{place('03')}")
    assert "4 held, 0 missed, 20 hours present" in page.shown, "partly there is not missed"


async def test_saying_something_by_a_form_and_reading_what_became_of_it(house: House, sender: Browser) -> None:
    answer = await sender.fill("/record/trainee.proposed.v1", **PLACE, person__names__original="សុខា")
    assert answer.status_code == 422, "the person is not whole"
    page = Page(answer.text)
    assert "This is needed." in page.shown
    assert page.fields["person.names.original"] == "សុខា", "what was typed is kept"
    assert page.fields["number"] == "07"

    answer = await sender.fill("/record/trainee.proposed.v1", **PLACE)
    assert answer.status_code == 303
    entry = await sender.see(answer.headers["location"])
    assert "The cohort is not announced yet." in entry.shown
    assert "Waiting" in (await sender.see("/")).shown
    assert "The cohort is not announced yet." in (await sender.see("/")).shown

    await house.post(*REGISTRATIONS, announced())
    assert "It is part of the record." in (await sender.see(answer.headers["location"])).shown
    assert "Nothing waits." in (await sender.see("/")).shown


async def test_for_how_long_it_has_waited_also_when_it_waits_for_something_else(
    house: House, opened: Opened, tokens: dict[str, str]
) -> None:
    """Given a completion that came first, when its cohort and its trainee come days later, then it has waited since it came."""

    async def post(days_ago: int, *events: dict[str, Any]) -> None:
        there, moment = House(house.database), datetime.now(UTC) - timedelta(days=days_ago)
        there.handlers = Handlers(
            house.database, house.register, house.archive, house.audit, CERTIFICATION, clock=lambda: moment
        )
        await there.post(*events)

    await post(5, completed())
    await post(3, *REGISTRATIONS, announced())
    await post(1, proposed())
    page = await (await opened.browser(tokens[HOST])).see("/")
    assert "is not enrolled" in page.shown
    assert re.findall("For [0-9]+ [a-z]+", page.shown) == ["For 5 days"]


async def test_pressing_twice_says_it_once(house: House, sender: Browser) -> None:
    page = await sender.see("/record/trainee.proposed.v1")
    fields = {**page.fields, **PLACE}
    assert (await sender.send("/record/trainee.proposed.v1", fields)).status_code == 303
    await another_second()  # the same event all the same: it happened when it was said first
    assert (await sender.send("/record/trainee.proposed.v1", fields)).status_code == 303
    assert len(await house.standings()) == 1
    changed = await sender.send("/record/trainee.proposed.v1", {**fields, "number": "08"})
    assert changed.status_code == 422
    assert "sent before with other content" in Page(changed.text).shown
    again = await sender.send("/record/trainee.proposed.v1", Page(changed.text).fields)
    assert again.status_code == 303
    assert len(await house.standings()) == 2


async def test_correcting_and_withdrawing(house: House, sender: Browser) -> None:
    await house.post(*REGISTRATIONS, announced(), proposed())
    said = proposed()["id"]
    entry = await sender.see(f"/said/kh/ntti/{said}")
    (correct,) = {link for link in entry.links if "correct=" in link}
    answer = await sender.fill(correct, trade="cabling")
    assert answer.status_code == 303
    assert "corrected it later" in (await sender.see(f"/said/kh/ntti/{said}")).shown
    assert (await house.standings())[said] == "accepted replaced"

    newer = answer.headers["location"]
    page = await sender.see(newer)
    answer = await sender.send(f"{newer}/withdraw", {**page.fields, "reason": "Not a reason!"})
    assert answer.status_code == 422
    answer = await sender.send(f"{newer}/withdraw", {**page.fields, "reason": "wrong-person"})
    assert answer.status_code == 303
    assert "withdrew it" in (await sender.see(newer)).shown


def long_programme(targets: int) -> dict[str, Any]:
    means = [{"indicator": "enrolled", "period": f"p-{n}", "value": n} for n in range(targets)]
    periods = [{"period": f"p-{n}", "starts_on": "2025-01-01", "ends_on": "2025-12-31"} for n in range(targets)]
    titles = {"en": "Partnership", "zh": "合作", "th": "ความร่วมมือ"}
    return programme(titles=titles, periods=periods, targets=means)


async def test_a_correction_keeps_long_lists_and_titles_in_every_language(house: House, opened: Opened) -> None:
    said = long_programme(80)
    await house.post(said)
    administrator = await opened.browser(ADMINISTRATOR)
    entry = f"{said['source'].removeprefix('/offices/')}/{said['id']}"
    before = await administrator.see(f"/record/{said['type']}?correct={entry}")
    answer = await administrator.fill(f"/record/{said['type']}?correct={entry}", donor="Somebody")
    assert answer.status_code == 303, Page(answer.text).shown
    newer = answer.headers["location"].removeprefix("/said/")
    after = await administrator.see(f"/record/{said['type']}?correct={newer}")
    changed = {"id", "correct", "donor"}
    assert {name: after.fields[name] for name in before.fields.keys() - changed} == {
        name: before.fields[name] for name in before.fields.keys() - changed
    }
    assert after.fields["titles.th"] == "ความร่วมมือ"
    assert after.fields["targets.79.value"] == "79"


async def test_a_correction_of_the_longest_lists_that_a_form_shows_can_be_sent(house: House, opened: Opened) -> None:
    said = long_programme(190)
    said["data"]["trades"] = [{"trade": f"t-{n}", "titles": {"km": "អគ្គិសនី", "my": "လျှပ်စစ်"}} for n in range(190)]
    assert [receipt.code for receipt in await house.post(said)] == ["applied"]
    administrator = await opened.browser(ADMINISTRATOR)
    entry = f"{said['source'].removeprefix('/offices/')}/{said['id']}"
    answer = await administrator.fill(f"/record/{said['type']}?correct={entry}", donor="Somebody")
    assert answer.status_code == 303, Page(answer.text).shown
    (row,) = await house.rows("SELECT data FROM events WHERE target IS NOT NULL")
    assert row["data"] == {**said["data"], "donor": "Somebody"}


async def test_what_a_form_has_no_room_for_is_not_corrected_in_one(house: House, opened: Opened) -> None:
    said = long_programme(400)
    await house.post(said)
    administrator = await opened.browser(ADMINISTRATOR)
    entry = f"{said['source'].removeprefix('/offices/')}/{said['id']}"
    page = await administrator.see(f"/record/{said['type']}?correct={entry}", 413)
    assert "Send a long list as a file." in page.shown


async def test_a_correction_keeps_a_list_that_was_emptied(house: House, opened: Opened) -> None:
    emptied = cohort("cohort.changed", 3, trainers=[], schemes=[])
    await house.post(*REGISTRATIONS, announced(trainers=["Li"], schemes=["welding"]), emptied)
    administrator = await opened.browser(ADMINISTRATOR)
    named = f"{HOST.removeprefix('/offices/')}/{emptied['id']}"
    answer = await administrator.fill(f"/record/cohort.changed.v1?correct={named}", mode="online")
    assert answer.status_code == 303, Page(answer.text).shown
    (data,) = await house.rows("SELECT data FROM events WHERE target IS NOT NULL")
    assert data == {"data": {"cohort": "wuxi-2025", "mode": "online", "trainers": [], "schemes": []}}


async def test_more_lines_keep_what_was_typed(opened: Opened, tokens: dict[str, str]) -> None:
    host = await opened.browser(tokens[HOST])
    page = await host.see("/record/cohort.announced.v1")
    fields = {**page.fields, "cohort": "x", "places.0.country": "KH", "more": "places"}
    answer = await host.send("/record/cohort.announced.v1", fields)
    again = Page(answer.text)
    assert answer.status_code == 200
    assert again.fields["cohort"] == "x"
    assert "places.2.country" in again.fields


async def test_an_administrator_says_for_which_office(opened: Opened, house: House) -> None:
    administrator = await opened.browser(ADMINISTRATOR)
    without = await administrator.fill("/record/trainee.proposed.v1", **PLACE)
    assert (without.status_code, "Write the office as" in without.text) == (422, True)
    answer = await administrator.fill("/record/trainee.proposed.v1", **PLACE, for_office="kh/ntti")
    assert answer.headers["location"].startswith("/said/kh/ntti/")
    assert (await house.rows("SELECT postedby FROM events"))[0]["postedby"] == "administrator"


async def test_another_office_sees_none_of_it(house: House, opened: Opened, tokens: dict[str, str]) -> None:
    await house.post(*REGISTRATIONS, *whole())
    sender, stranger = await opened.browser(tokens[SENDER]), await opened.browser(tokens[STRANGER])
    person, *_ = [link for link in (await sender.see("/cohorts/wuxi-2025")).links if link.startswith("/people/")]
    said = [link for link in (await sender.see("/said")).links if link.startswith("/said/kh")]
    assert said
    for path in ("/cohorts/wuxi-2025", person, *said):
        page = await stranger.see(path, 404)
        assert "nothing here that your office may see" in page.shown
    assert "wuxi-2025" not in (await stranger.see("/")).text
    assert "wuxi-2025" not in (await stranger.see("/said")).text
    assert "wuxi-2025" not in (await stranger.see("/record/trainee.proposed.v1")).text


async def test_who_only_reads_is_told_where_the_figures_are(opened: Opened, tokens: dict[str, str]) -> None:
    reader = await opened.browser(tokens[READER])
    assert "figures only" in (await reader.see("/", 403)).shown


async def test_a_form_of_no_role_of_the_offices_is_refused(sender: Browser) -> None:
    assert "/record/session.held.v1" not in (await sender.see("/record")).links
    await sender.see("/record/session.held.v1", 403)
    await sender.see("/record/event.voided.v1", 404)
    await sender.see("/record/nothing.said.v1", 404)


@pytest.mark.parametrize("path", ["/cohorts/%00", "/people/A_B", "/said?before=x", "/said?status=x", "/record/x"])
async def test_an_address_that_makes_no_sense_is_a_page_that_says_so(sender: Browser, path: str) -> None:
    assert "<h1>" in (await sender.see(path, 404)).text


@pytest.mark.parametrize(
    "named", ["kh/ntti/%00", "kh/%00/x", "%00", "kh/ntti/x%0A", "kh/ntti/x/more", "kh/ntti/../x", "/"]
)
async def test_what_names_no_entry_cannot_be_corrected(sender: Browser, named: str) -> None:
    page = await sender.see(f"/record/trainee.enrolled.v1?correct={named}", 404)
    assert "nothing here that your office may see" in page.shown
    form = await sender.see("/record/trainee.proposed.v1")
    answer = await sender.send("/record/trainee.proposed.v1", {**form.fields, **PLACE, "correct": unquote(named)})
    assert answer.status_code == 404


@pytest.mark.parametrize("id_", ["\0", "desk-\0", "a b", "x\n", "x" * 100])
async def test_a_form_with_an_id_that_is_none_is_none_of_ours(sender: Browser, id_: str) -> None:
    form = await sender.see("/record/trainee.proposed.v1")
    answer = await sender.send("/record/trainee.proposed.v1", {**form.fields, **PLACE, "id": id_})
    assert answer.status_code == 404


async def test_no_field_of_a_form_breaks_on_a_nul(house: House, opened: Opened) -> None:
    administrator = await opened.browser(ADMINISTRATOR)
    for type_ in ("trainee.proposed.v1", "cohort.announced.v1", "programme.registered.v1"):
        form = await administrator.see(f"/record/{type_}")
        for name in form.fields.keys() - {"form_key", "id", "correct"}:
            answer = await administrator.send(f"/record/{type_}", {**form.fields, **PLACE, name: "\0"})
            assert answer.status_code in (303, 422), (type_, name, answer.status_code)
        answer = await administrator.send(f"/record/{type_}", {**form.fields, **PLACE, "for_office": "kh/\0"})
        assert answer.status_code == 422


async def test_an_entry_leads_to_its_cohort_once_there_is_one_that_its_office_may_see(
    house: House, opened: Opened, tokens: dict[str, str]
) -> None:
    said, not_theirs = proposed(), proposed("02", source=STRANGER)
    await house.post(*REGISTRATIONS, said, not_theirs)
    sender, stranger = await opened.browser(tokens[SENDER]), await opened.browser(tokens[STRANGER])
    entry = f"/said/kh/ntti/{said['id']}"
    theirs = f"/said/{STRANGER.removeprefix('/offices/')}/{not_theirs['id']}"

    page = await sender.see(entry)
    assert "The cohort is not announced yet." in page.shown
    assert "/cohorts/wuxi-2025" not in page.links
    await sender.follow(page)

    await house.post(announced())
    page = await sender.see(entry)
    assert "/cohorts/wuxi-2025" in page.links
    await sender.follow(page)
    page = await stranger.see(theirs)
    assert "/cohorts/wuxi-2025" not in page.links
    await stranger.follow(page)


async def test_what_corrects_or_withdraws_an_entry_that_is_not_there_leads_nowhere(
    house: House, sender: Browser
) -> None:
    void = voided(proposed())
    correction = {**proposed("03"), "id": "correction", "replaces": "nothing-yet"}
    await house.post(*REGISTRATIONS, announced(), void, correction)
    for event, target in ((void, proposed()["id"]), (correction, "nothing-yet")):
        page = await sender.see(f"/said/kh/ntti/{event['id']}")
        assert target in page.shown
        await sender.follow(page)
    await house.post(proposed())
    page = await sender.see(f"/said/kh/ntti/{void['id']}")
    assert f"/said/kh/ntti/{proposed()['id']}" in page.links
    await sender.follow(page)


async def test_an_office_that_may_not_say_it_any_more_is_not_led_to_its_form(house: House, sender: Browser) -> None:
    held = session(source=SENDER)
    await house.post(*REGISTRATIONS, held, proposed())
    page = await sender.see("/")
    assert f"/said/kh/ntti/{held['id']}" in page.links
    assert len([link for link in page.links if "correct=" in link]) == 1, "the proposal's"
    await sender.follow(page)
