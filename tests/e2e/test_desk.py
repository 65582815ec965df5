"""The desk in a real browser: an officer signs in, says things and reads what became of them, in five languages.

Every page is checked with axe, in light and dark, wide and narrow, and photographed into tests/screenshots for people to look at:
the pages that are used most in English, and in `make long` all of them, wide and narrow, in every language.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from shared.events.identity import enrolment_id
from tests.e2e.conftest import ROOT, Program

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SHOTS = Path(__file__).parents[1] / "screenshots"
LANGUAGES = ("en", "km", "lo", "my", "zh-Hans")
SENDER, HOST, BODY = "/offices/kh/dgtvet", "/offices/cn/wuxi-institute", "/offices/cn/wuxi-appraisal"
ROLES = {SENDER: "sending-office", HOST: "host-centre", BODY: "awarding-body"}
COHORT = "/cohorts/wuxi-2025-spring"
PERSON = f"/people/{enrolment_id('wuxi-2025-spring', '001')}"
PAGES = {
    "enrolment": {
        "home": "/",
        "record": "/record",
        "form": "/record/trainee.enrolled.v1?cohort=wuxi-2025-spring",
        "said": "/said",
        "entry": f"/said{SENDER.removeprefix('/offices')}/contradicts",
        "programmes": "/programmes",
        "cohort": COHORT,
        "person": PERSON,
        "details": f"{PERSON}/details",
        "names": f"{COHORT}/names",
        "same": "/people/same",
        "forget": "/record/person.forgotten.v1?cohort=wuxi-2025-spring&number=001",
        "rosters": "/rosters",
        "guide": "/guide",
    },
    "certification": {"home": "/", "cohort": COHORT, "schemes": "/schemes", "form": "/record/trainee.assessed.v1"},
}
ALL = {name for pages in PAGES.values() for name in pages}
NARROW = {"home", "form", "said", "cohort", "rosters", "details", "same"}
"""Pages that are looked at on a telephone too."""
SIGHTS = [
    *(pytest.param(tag, 1280, "light", ALL, marks=pytest.mark.long) for tag in LANGUAGES),
    *(pytest.param(tag, 400, "dark", NARROW, marks=pytest.mark.long) for tag in LANGUAGES),
]

pytestmark = [
    pytest.mark.xdist_group("e2e"),
    pytest.mark.usefixtures("example"),
    pytest.mark.timeout(600),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here (Debian, Ubuntu: apt install chromium)"),
]


@pytest.fixture(scope="module")
def tokens(program: Program) -> dict[str, str]:
    """The tokens of its offices; two events stay open, and one place is like another."""
    given = {}
    for office, role in ROLES.items():
        body = {"office": office, "name": office.rpartition("/")[2].upper(), "roles": [role], "officer": "sokha"}
        answer = httpx.post(f"{program.url('enrolment')}/v1/offices", json=body, headers=program.admin)
        given[office] = answer.raise_for_status().json()["token"]
    place = {"cohort": "wuxi-2026-autumn", "number": "001", "role": "student", "country": "KH", "trade": "welding"}
    left = {"cohort": "wuxi-2025-spring", "number": "001", "date": "2026-05-01", "reason": "own-choice"}
    who = {"names": {"original": "ចាន់ សុភា", "language": "km", "romanised": "Sophea Chan"}, "sex": "F"}
    again = {**place, "cohort": left["cohort"], "number": "090", "person": {**who, "birth_date": "2004-05-17"}}
    events = [
        event("waits", "trainee.proposed.v1", place),
        event("contradicts", "trainee.withdrawn.v1", left),
        event("again", "trainee.proposed.v1", again, "2025-03-03T09:00:00+07:00"),
    ]
    headers = {**program.admin, "Content-Type": "application/cloudevents-batch+json"}
    posted = httpx.post(f"{program.url('enrolment')}/v1/events", content=json.dumps(events), headers=headers)
    assert [one["status"] for one in posted.json()["receipts"]] == ["waiting", "conflict", "accepted"]
    deadline = time.monotonic() + 30
    certificates = f"{program.url('certification')}/v1/certificates"
    while len(httpx.get(certificates, headers=program.admin).json()["items"]) < 9:
        assert time.monotonic() < deadline
        time.sleep(0.1)  # polls with a deadline
    return given


def event(id_: str, type_: str, data: dict[str, Any], at: str = "2026-05-01T09:00:00+07:00") -> dict[str, Any]:
    """An event of the sending office."""
    said = {"specversion": "1.0", "id": id_, "source": SENDER, "type": type_, "time": at}
    return {**said, "data": data}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Root may not have Chromium's sandbox, and CI runs as root.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield launched
        launched.close()


def signed_in(context: BrowserContext, url: str, token: str) -> Page:
    page = context.new_page()
    page.goto(f"{url}/")
    page.fill("input[name=token]", token)
    page.click("main button")
    page.wait_for_url(f"{url}/")
    return page


def shoot(page: Page, name: str) -> None:
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def check(page: Page) -> None:
    """No violation of what axe knows, nothing wider than the screen, nothing from elsewhere."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1"), page.url
    resources = page.evaluate("performance.getEntriesByType('resource').map(one => one.name)")
    assert [name for name in resources if not name.startswith(page.url.split("/", 3)[0])] == []


@pytest.mark.parametrize(("tag", "width", "scheme", "names"), SIGHTS)
def test_every_page_in_every_language(
    program: Program, tokens: dict[str, str], browser: Browser, tag: str, width: int, scheme: Any, names: set[str]
) -> None:
    with browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, extra_http_headers={"Accept-Language": tag}
    ) as context:
        stranger = context.new_page()
        stranger.goto(f"{program.url('enrolment')}/")
        check(stranger)
        shoot(stranger, f"{tag}-{width}-sign-in")
        for service, office in (("enrolment", SENDER), ("certification", BODY)):
            page = signed_in(context, program.url(service), tokens[office])
            for name, path in PAGES[service].items():
                if name not in names:
                    continue
                page.goto(f"{program.url(service)}{path}")
                assert page.locator("html").get_attribute("lang") == tag
                check(page)
                shoot(page, f"{tag}-{width}-{service}-{name}")


def test_an_officer_says_something_and_reads_what_became_of_it(
    program: Program, tokens: dict[str, str], browser: Browser
) -> None:
    with browser.new_context() as context:
        page = signed_in(context, program.url("enrolment"), tokens[HOST])
        page.get_by_role("link", name="Record").first.click()
        page.get_by_role("link", name="A session was held").click()
        page.get_by_label("Cohort code").fill("wuxi-2025-spring")
        page.get_by_label("Session number").fill("99")
        page.get_by_label("Hours", exact=False).first.fill("many")
        page.get_by_role("button", name="Send", exact=True).click()
        assert page.get_by_label("Session number").input_value() == "99", "what was typed is kept"
        assert page.locator(".wrong").first.is_visible()
        check(page)
        page.locator("[name=date]").fill("2025-04-10")
        page.locator("[name=hours]").fill("2")
        before = page.locator(".line").count()
        page.get_by_role("button", name="One more line").click()
        assert page.locator(".line").count() == before + 1
        assert "/record/" in page.url, "the script added a line without asking the server"
        page.get_by_role("button", name="Send", exact=True).click()
        assert "It is part of the record." in page.inner_text("main")
        page.get_by_role("link", name="Khmer").or_(page.get_by_role("link", name="ភាសាខ្មែរ")).click()
        assert "បានចូលក្នុងបញ្ជីហើយ" in page.inner_text("main")
        page.goto(f"{program.url('enrolment')}/said")
        assert page.locator("html").get_attribute("lang") == "km", "the language is remembered"
        page.locator("header form button").click()
        assert page.locator("input[name=token]").is_visible()


def test_the_same_without_a_script(program: Program, tokens: dict[str, str], browser: Browser) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = signed_in(context, program.url("enrolment"), tokens[SENDER])
        page.goto(f"{program.url('enrolment')}/record/outcome.reported.v1?cohort=wuxi-2025-spring&number=002")
        page.fill("[name=date]", "2025-11-10")
        page.fill("[name=months_after]", "6")
        page.select_option("[name=outcome]", "employed")
        page.get_by_role("button", name="Send", exact=True).click()
        assert "It is part of the record." in page.inner_text("main")
        page.goto(f"{program.url('enrolment')}/record/trainee.enrolled.v1")
        lines = page.locator(".line").count()
        page.get_by_role("button", name="One more line").click()
        assert page.locator(".line").count() == lines + 1, "the server adds the line"
        page.set_default_timeout(60_000)
        page.goto(f"{program.url('enrolment')}/rosters")
        page.set_input_files("[name=file]", ROOT / "examples" / "wuxi-2025" / "roster.xlsx")
        page.locator("main form button").click()
        assert "Nothing was taken yet." in page.inner_text("main")
        page.get_by_role("button", name="Send it").click()
        page.wait_for_selector(".good")
        assert "The roster was taken." in page.inner_text("main")
        assert page.locator(".progress p").last.is_visible()


def test_with_the_keyboard_alone(program: Program, tokens: dict[str, str], browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{program.url('enrolment')}/")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.type(tokens[SENDER])
        page.keyboard.press("Enter")
        page.wait_for_selector("nav")
        page.goto(f"{program.url('enrolment')}/record/trainee.proposed.v1")
        for name, text in (
            ("cohort", "wuxi-2025-spring"),
            ("number", "077"),
            ("role", "student"),
            ("country", "KH"),
            ("trade", "electrical-installation"),
        ):
            for _ in range(40):
                if page.evaluate("document.activeElement.name") == name:
                    break
                page.keyboard.press("Tab")
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"{name} shows that it has the focus"
            page.keyboard.type(text)
        page.keyboard.press("Enter")
        page.wait_for_url("**/said/**")
        assert "Please decide" in page.inner_text("main"), "the cohort was over before"
