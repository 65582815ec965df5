"""Sessions, forms that are nobody else's, and what every page of the desk keeps to."""

import re
from base64 import b64encode
from hashlib import sha256

import pytest
from sqlalchemy import text

from shared.limits import Limits, TooFast
from shared.pages.languages import COOKIE
from tests.integration.desk.browser import FORM, Browser, Page
from tests.integration.desk.conftest import Opened
from tests.integration.enrolment.house import BEARER, REGISTRATIONS, House
from tests.languages import every_language
from tests.unit.enrolment.story import SENDER, whole

PAGES = ("/", "/record", "/record/trainee.enrolled.v1", "/record/person.corrected.v1", "/said", "/programmes", "/guide")
PLACE = {"cohort": "wuxi-2025", "number": "07", "role": "student", "country": "KH", "trade": "electrical"}


async def test_the_cookie_is_no_token_and_ends_with_signing_out(
    opened: Opened, tokens: dict[str, str], house: House
) -> None:
    browser = await opened.browser()
    answer = await browser.client.post("/session", content=f"token={tokens[SENDER]}", headers=FORM)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "max-age" not in cookie
    session = browser.client.cookies["sampan_enrolment"]
    assert session not in tokens[SENDER]
    assert "sampan_kh" not in session
    (row,) = await house.rows("SELECT * FROM sessions")
    assert session not in str(row)

    copied = await opened.browser()
    copied.client.cookies.set("sampan_enrolment", session)
    await copied.see("/")
    await browser.client.post("/session/end", headers=FORM)
    await browser.see("/", 401)
    await copied.see("/", 401)
    assert await house.rows("SELECT * FROM sessions") == []


async def test_signing_in_is_a_request_like_any_other(
    opened: Opened, tokens: dict[str, str], house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given an office has signed in as often as it may ask, then it is told when to come again."""
    left = [1]

    def spend(_: Limits, office: str, **amounts: int) -> None:
        if not left[0]:
            raise TooFast("requests", 7)
        left[0] -= amounts["requests"]

    monkeypatch.setattr(Limits, "spend", spend)
    browser = await opened.browser()
    await browser.sign_in(tokens[SENDER])
    refused = await browser.client.post("/session", content=f"token={tokens[SENDER]}", headers=FORM)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "7")
    assert len(await house.rows("SELECT 1 FROM sessions")) == 1


async def test_a_session_ends_with_its_day_and_with_its_token(house: House, opened: Opened, sender: Browser) -> None:
    await sender.see("/")
    async with house.database.transaction() as session:
        await session.execute(text("UPDATE sessions SET expires = now()"))
    assert "Your session has ended." in (await sender.see("/", 401)).shown


async def test_what_is_sent_after_the_session_has_ended_is_said_not_to_be_taken(house: House, sender: Browser) -> None:
    path = "/record/trainee.withdrawn.v1"
    fields = (await sender.see(path)).fields
    async with house.database.transaction() as session:
        await session.execute(text("UPDATE sessions SET expires = now()"))
    answer = await sender.send(path, {**fields, "cohort": "wuxi-2025", "number": "01"})
    assert answer.status_code == 401
    assert "what you sent was not taken" in Page(answer.text).shown
    assert f'action="/session?to={path}"' in answer.text


async def test_a_mistyped_address_is_a_page_in_a_browser_and_a_code_for_a_program(opened: Opened) -> None:
    somebody = await opened.browser()
    page = await somebody.see("/roster", 404, **{"Accept": "text/html,*/*;q=0.8", "Accept-Language": "lo"})
    assert "ບໍ່ມີຫຍັງຢູ່ທີ່ຢູ່ນີ້." in page.shown
    assert (await somebody.client.get("/roster")).json()["code"] == "not_found"


async def test_a_revoked_office_is_signed_out(sender: Browser) -> None:
    assert (await sender.client.delete("/v1/offices/kh/ntti", headers=BEARER)).status_code == 204
    await sender.see("/", 401)


async def test_the_cookie_opens_pages_and_nothing_else(sender: Browser) -> None:
    assert (await sender.client.get("/v1/position")).status_code == 401
    assert (
        await sender.client.post("/v1/events", content="{}", headers={"Content-Type": "application/json"})
    ).status_code == 401


@pytest.mark.parametrize("path", PAGES)
async def test_a_stranger_gets_the_form_and_comes_back_to_the_page(
    opened: Opened, tokens: dict[str, str], path: str
) -> None:
    stranger = await opened.browser()
    page = await stranger.see(path, 401)
    assert "Who is calling?" in page.shown
    (action,) = re.findall(r'action="(/session\?to=[^"]+)"', page.text)
    answer = await stranger.send(action, {"token": tokens[SENDER]})
    assert answer.headers["location"] == path


@pytest.mark.parametrize("key", [None, "", "0" * 64, "é"])
async def test_a_form_that_was_not_shown_says_nothing(sender: Browser, house: House, key: str | None) -> None:
    fields = {**PLACE, **({"form_key": key} if key is not None else {})}
    answer = await sender.send("/record/trainee.proposed.v1", fields)
    assert answer.status_code == 403
    assert "not one that you were shown" in Page(answer.text).shown
    answer = await sender.send("/said/kh/ntti/x/withdraw", {**fields, "reason": "x"})
    assert answer.status_code == 403
    assert await house.standings() == {}


async def test_one_officers_form_key_is_no_other_sessions(opened: Opened, tokens: dict[str, str], house: House) -> None:
    one, other = await opened.browser(tokens[SENDER]), await opened.browser(tokens[SENDER])
    key = (await one.see("/record")).fields["form_key"]
    assert (await other.send("/record/trainee.proposed.v1", {**PLACE, "form_key": key})).status_code == 403
    assert await house.standings() == {}


@pytest.mark.parametrize("headers", [{"Content-Type": "application/json"}, {"Content-Type": "text/plain"}])
async def test_only_forms_are_forms(sender: Browser, headers: dict[str, str]) -> None:
    assert (await sender.send("/record/trainee.proposed.v1", PLACE, **headers)).status_code == 415


async def test_a_form_that_is_too_large_or_has_too_many_fields(sender: Browser) -> None:
    for fields in ({"x": "y" * 1_100_000}, {str(number): "y" for number in range(11_000)}):
        answer = await sender.send("/record/trainee.proposed.v1", fields)
        assert answer.status_code == 413
        assert "<h1>" in answer.text


async def test_odd_fields_never_break_a_form(sender: Browser) -> None:
    odd = {
        "cohort": "a\0b",
        "titles.en": "😀",
        "number": "*",
        "person.identifiers.999.kind": "x",
        "person.identifiers.-1.kind": "x",
        "person.names": "x",
        "date": "0000-00-00",
        "more": "person.identifiers",
    }
    for without in ("more", "cohort", "date"):
        page = await sender.see("/record/trainee.enrolled.v1")
        fields = {**page.fields, **odd}
        del fields[without]
        assert (await sender.send("/record/trainee.enrolled.v1", fields)).status_code in (200, 422)


@pytest.mark.parametrize("tag", every_language("my"))
async def test_every_page_in_every_language_is_small_and_whole(house: House, sender: Browser, tag: str) -> None:
    await house.post(*REGISTRATIONS, *whole())
    cohort = await sender.see("/cohorts/wuxi-2025")
    person = next(link for link in cohort.links if link.startswith("/people/"))
    for path in (*PAGES, "/cohorts/wuxi-2025", person):
        answer = await sender.client.get(path, headers={"Accept-Language": f"{tag},en;q=0.5"})
        assert answer.status_code == 200, (path, answer.text)
        assert len(answer.content) < 100_000, path
        assert f'<html lang="{tag}">' in answer.text
        assert "</html>" in answer.text


async def test_a_language_is_asked_for_by_a_link_and_remembered(sender: Browser) -> None:
    page = await sender.see("/?lang=lo", **{"Accept-Language": "km"})
    assert '<html lang="lo">' in page.text
    assert sender.client.cookies[COOKIE] == "lo"
    assert '<html lang="lo">' in (await sender.see("/record")).text
    assert '<html lang="lo">' in (await sender.see("/record?lang=xx")).text
    assert "/record?lang=km" in (await sender.see("/record?lang=lo")).links


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("km-KH,km;q=0.9,en;q=0.1", "km"),
        ("zh-CN", "zh-Hans"),
        ("fr,my;q=0.3,lo;q=0.5", "lo"),
        ("", "en"),
        ("x;q=y,,;q=", "en"),
        ("fr", "en"),
    ],
)
async def test_the_browser_says_which_language(opened: Opened, header: str, tag: str) -> None:
    stranger = await opened.browser()
    assert f'<html lang="{tag}">' in (await stranger.see("/", 401, **{"Accept-Language": header})).text


async def test_pages_are_closed_to_others_scripts_frames_and_caches(sender: Browser) -> None:
    for path in PAGES:
        answer = await sender.client.get(path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        for tag in ("style", "script"):
            (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, flags=re.DOTALL)
            assert b64encode(sha256(content.encode()).digest()).decode() in policy
        assert not re.search(r"\s(style|on[a-z]+|src)=", answer.text), "the policy would not let it through"
        assert not re.search(r"<link|@import|url\(", answer.text)
