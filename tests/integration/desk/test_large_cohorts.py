"""The pages of a very large cohort: on leaves, each small enough for a bad line, without a script."""

from typing import Any

import pytest

from shared.desk.leaves import LINES, leaf
from tests.integration.desk.browser import Browser, Page
from tests.integration.desk.conftest import Opened
from tests.integration.enrolment.house import ADMINISTRATOR, REGISTRATIONS, House
from tests.unit.enrolment.story import announced, proposed, session

LARGEST = 100_000
"""Bytes of a page."""


def people(page: Page) -> list[str]:
    return [link for link in page.links if link.startswith("/people/")]


@pytest.mark.parametrize("many", [LINES * 5 // 2, pytest.param(5_000, marks=pytest.mark.long)])
async def test_thousands_of_trainees_are_turned_over_page_by_page(house: House, sender: Browser, many: int) -> None:
    await house.post(*REGISTRATIONS, announced())
    everybody: list[dict[str, Any]] = [proposed(f"trainee-{number:04}", person=None) for number in range(many)]
    for start in range(0, many, 1000):
        await house.post(*everybody[start : start + 1000])
    page = await sender.see("/cohorts/wuxi-2025", **{"Accept-Language": "my"})
    met: list[str] = []
    pages = 0
    while True:
        assert len(page.text.encode()) < LARGEST
        met += people(page)
        pages += 1
        following = [link for link in page.links if "?from=" in link and "lang=" not in link]
        if not following:
            break
        page = await sender.see(following[0], **{"Accept-Language": "my"})
    assert (len(met), len(set(met)), pages) == (many, many, -(-many // LINES))
    found = await sender.see("/cohorts/wuxi-2025?from=trainee-0321")
    assert "trainee-0321" in found.shown
    assert "trainee-0320" not in found.shown
    assert "/cohorts/wuxi-2025" in found.links
    assert people(await sender.see("/cohorts/wuxi-2025?from=zzz")) == []
    await sender.see("/cohorts/wuxi-2025?from=No%20number", 404)


async def test_the_sessions_of_a_long_cohort_have_pages_of_their_own(house: House, sender: Browser) -> None:
    absent = [f"trainee-{number:04}" for number in range(40)]
    await house.post(*REGISTRATIONS, announced(), *[proposed(number, person=None) for number in absent])
    await house.post(*[session(number, absent=absent) for number in range(1, 301)])
    page = await sender.see("/cohorts/wuxi-2025", **{"Accept-Language": "my"})
    assert len(page.text.encode()) < LARGEST
    first = await sender.see("/cohorts/wuxi-2025/sessions", **{"Accept-Language": "my"})
    assert len(first.text.encode()) < LARGEST
    assert "/cohorts/wuxi-2025/sessions?from=151" in first.links
    assert "/cohorts/wuxi-2025/sessions" in (await sender.see("/cohorts/wuxi-2025/sessions?from=151")).links


async def test_hundreds_of_cohorts_leave_every_page_small(house: House, opened: Opened) -> None:
    cohorts = [announced(cohort=f"cohort-{number:03}", id_=f"c-{number}") for number in range(400)]
    await house.post(*REGISTRATIONS, *cohorts)
    administrator = await opened.browser(ADMINISTRATOR)
    headers = {"Accept-Language": "my"}
    for path in ("/", "/programmes", "/cohorts", "/record/trainee.enrolled.v1", "/record/cohort.announced.v1"):
        assert len((await administrator.see(path, **headers)).text.encode()) < LARGEST, path
    assert "/cohorts" in (await administrator.see("/")).links
    met, path = set(), "/cohorts"
    while path:
        page = await administrator.see(path)
        met |= {link for link in page.links if link.startswith("/cohorts/")}
        path = next((link for link in page.links if "after=" in link and "lang=" not in link), "")
    assert len(met) == 400


def test_a_leaf_begins_where_it_is_asked_to() -> None:
    lines = ["05", "01", "03"]
    assert leaf(lines, str, "", 2).lines == ["01", "03"]
    assert leaf(lines, str, "", 2).then == "05"
    assert (leaf(lines, str, "02", 2).lines, leaf(lines, str, "02", 2).then) == (["03", "05"], None)
    assert not leaf(lines, str, "", 3).long
