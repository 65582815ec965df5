"""Persons on enrolment's desk: who reads their details, what is said instead, and what is decided about them."""

import pytest

from tests.integration.desk.browser import Browser
from tests.integration.desk.conftest import Opened
from tests.integration.enrolment.house import REGISTRATIONS, House
from tests.unit.enrolment.story import (
    COORDINATOR,
    HOST,
    SENDER,
    STRANGER,
    announced,
    person,
    place,
    proposed,
    trainee,
)

DARA = person(
    names={"original": "សុខ ដារ៉ា", "language": "km", "romanised": "Sok Dara"},
    identifiers=[{"kind": "passport", "number": "N123456", "country": "KH"}],
    contact={"phone": "+85512345678"},
    consent={"by": "self", "date": "2025-03-01", "notice": "n1", "purposes": ["training", "certification"]},
)
TWIN = person(names={"original": "សុខ ដារា", "romanised": "Dara Sok"})
STORY = [*REGISTRATIONS, announced(), proposed("01", person=DARA, employer="Acme"), proposed("02")]
HERE = f"/people/{place('01')}"


async def looks(house: House) -> list[tuple[str, str]]:
    return [(row["office"], row["why"]) for row in await house.rows("SELECT office, why FROM looks ORDER BY id")]


@pytest.mark.parametrize(("office", "sees"), [(SENDER, True), (HOST, True), (COORDINATOR, False), (STRANGER, None)])
async def test_details_are_a_page_of_their_own(
    house: House, opened: Opened, tokens: dict[str, str], office: str, sees: bool | None
) -> None:
    await house.post(*STORY)
    officer = await opened.browser(tokens[office])
    record = await officer.see(HERE, 404 if sees is None else 200)
    assert (f"{HERE}/details" in record.links) == bool(sees)
    assert "Sok Dara" not in record.text
    assert await looks(house) == [], "a link is no look"
    page = await officer.see(f"{HERE}/details", {True: 200, False: 403, None: 404}[sees])
    for detail in ("សុខ ដារ៉ា", "Sok Dara", "N123456", "+85512345678", "Acme", "training, certification", "passport"):
        assert (detail in page.shown) == bool(sees), detail
    assert await looks(house) == [(office, "shown")] * bool(sees)
    if sees:
        assert '<span lang="km">សុខ ដារ៉ា</span>' in page.text
        export = await officer.client.get(f"{HERE}/export")
        assert "attachment" in export.headers["content-disposition"]
        assert export.json()["enrolments"][0]["details"]["employer"] == "Acme"
        assert await looks(house) == [(office, "shown"), (office, "exported")]
    else:
        await officer.see(f"{HERE}/export", 404 if sees is None else 403)
        if sees is False:
            assert "not for your office" in page.shown


async def test_names_of_a_cohort(house: House, opened: Opened, tokens: dict[str, str]) -> None:
    await house.post(*STORY)
    host = await opened.browser(tokens[HOST])
    cohort = await host.see("/cohorts/wuxi-2025")
    assert "/cohorts/wuxi-2025/names" in cohort.links
    assert await looks(house) == []
    page = await host.see("/cohorts/wuxi-2025/names")
    assert "សុខ ដារ៉ា Sok Dara" in page.shown
    assert await looks(house) == [(HOST, "shown")] * 2
    assert "Sok Dara" not in (await host.see("/cohorts/wuxi-2025/names?after=01")).shown
    coordinator = await opened.browser(tokens[COORDINATOR])
    assert "/cohorts/wuxi-2025/names" not in (await coordinator.see("/cohorts/wuxi-2025")).links
    assert "no names" in (await coordinator.see("/cohorts/wuxi-2025/names", 403)).shown
    await (await opened.browser(tokens[STRANGER])).see("/cohorts/wuxi-2025/names", 404)


async def test_the_names_of_a_large_cohort_come_on_pages_that_are_not_too_large(house: House, sender: Browser) -> None:
    await house.post(*STORY, *[proposed(f"{number:03}", person=DARA) for number in range(200)])
    page = await sender.see("/cohorts/wuxi-2025/names", **{"Accept-Language": "my"})
    assert len(page.text.encode()) < 100_000
    (more,) = [link for link in page.links if "after=" in link]
    assert len([one for one in (await sender.see(more)).links if one.startswith("/people/")]) == 202 - 150
    assert len((await sender.see("/people/same", **{"Accept-Language": "my"})).text.encode()) < 100_000


async def test_who_no_longer_agrees_is_kept_back_from_the_host(
    house: House, opened: Opened, tokens: dict[str, str], sender: Browser
) -> None:
    await house.post(*STORY)
    link = "/record/consent.withdrawn.v1?cohort=wuxi-2025&number=01"
    assert link in (await sender.see(HERE)).links
    answer = await sender.fill(link, by="self", date="2025-03-20", purposes="training")
    assert answer.status_code == 303, answer.text
    host = await opened.browser(tokens[HOST])
    page = await host.see(f"{HERE}/details")
    assert "no longer agrees" in page.shown
    assert "Sok Dara" not in page.text
    assert f"{HERE}/export" not in page.links
    await host.see(f"{HERE}/export", 404)
    assert "does not agree to be named" in (await host.see("/cohorts/wuxi-2025/names")).shown
    assert "Sok Dara" in (await sender.see(f"{HERE}/details")).shown


async def test_forgetting_warns_and_cannot_be_taken_back(house: House, sender: Browser) -> None:
    await house.post(*STORY)
    link = "/record/person.forgotten.v1?cohort=wuxi-2025&number=01"
    assert link in (await sender.see(HERE)).links
    assert "cannot be taken back" in (await sender.see(link)).shown
    answer = await sender.fill(link, decided_by="desk-1", reason="request")
    assert answer.status_code == 303, answer.text
    entry = await sender.see(answer.headers["location"])
    assert "It is part of the record." in entry.shown
    assert not [one for one in entry.links if "correct=" in one]
    assert "Withdraw" not in entry.shown
    page = await sender.see(f"{HERE}/details")
    assert "was forgotten" in page.shown
    assert "Sok Dara" not in page.text
    assert "forgotten" in (await sender.see("/cohorts/wuxi-2025/names")).shown


async def test_two_places_are_said_to_be_one_persons_or_two(house: House, sender: Browser) -> None:
    await house.post(*STORY, proposed("11", person=TWIN))
    assert "/people/same" in (await sender.see("/")).links
    page = await sender.see("/people/same")
    assert "Dara Sok" in page.shown
    assert {office for office, _ in await looks(house)} == {SENDER}
    merge, part = (
        next(link for link in page.links if link.startswith(f"/record/person.{word}.v1?"))
        for word in ("merged", "parted")
    )
    form = await sender.see(merge)
    assert {form.fields[f"enrolments.{line}.number"] for line in (0, 1)} == {"01", "11"}
    answer = await sender.fill(merge, decided_by="desk-1", reason="same-documents")
    assert answer.status_code == 303, answer.text
    entry = await sender.see(answer.headers["location"])
    assert "It is part of the record." in entry.shown
    assert "wuxi-2025 01" in (await sender.see("/said")).shown
    assert merge not in (await sender.see("/people/same")).links
    answer = await sender.fill(part, decided_by="desk-1", reason="different-documents")
    assert answer.status_code == 303
    assert merge in (await sender.see("/people/same")).links, "as if it had never been said"


async def test_a_withdrawal_is_taken_back(house: House, sender: Browser) -> None:
    withdrawn = trainee("trainee.declined", "02", 10, date="2025-03-11", reason="visa")
    await house.post(*STORY, withdrawn)
    said = f"/said/kh/ntti/{withdrawn['id']}"
    page = await sender.see(said)
    await sender.send(f"{said}/withdraw", {**page.fields, "reason": "mistake"})
    assert "withdrew it" in (await sender.see(said)).shown
    rows = await house.rows("SELECT id FROM events WHERE type = 'event.voided.v1'")
    void = f"/said/kh/ntti/{rows[0]['id']}"
    page = await sender.see(void)
    assert "Take the withdrawal back" in page.shown
    answer = await sender.send(f"{void}/withdraw", {**page.fields, "reason": "mistake"})
    assert answer.status_code == 303
    assert "It is part of the record." in (await sender.see(said)).shown
    assert "Take the withdrawal back" not in (await sender.see(void)).shown
