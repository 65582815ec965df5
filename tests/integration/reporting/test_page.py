"""The page at /: it asks who is calling, shows the table, and takes nothing from anywhere else."""

import re
from base64 import b64encode
from hashlib import sha256

import httpx
import pytest

from shared.database import Database
from tests.integration.reporting.conftest import ADMINISTRATOR
from tests.integration.reporting.test_aggregates import a_history
from tests.integration.reporting.test_projection import hear

COOKIE = "sampan_reporting"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def browser(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Somebody who has no token yet."""
    del client.headers["Authorization"]
    return client


async def sign_in(browser: httpx.AsyncClient, token: str = ADMINISTRATOR, **headers: str) -> httpx.Response:
    return await browser.post("/session", content=f"token={token}", headers={**FORM, **headers})


async def test_without_a_token_the_page_asks_who_is_calling_and_shows_nothing(
    browser: httpx.AsyncClient, database: Database
) -> None:
    await hear(database, a_history())
    page = await browser.get("/?by=cohort")
    assert page.status_code == 401
    assert 'action="/session?to=/' in page.text
    assert "wuxi" not in page.text
    assert "role=alert" not in page.text


async def test_after_signing_in_the_page_shows_the_table_and_after_signing_out_no_more(
    browser: httpx.AsyncClient, database: Database
) -> None:
    await hear(database, a_history())

    signed_in = await sign_in(browser)
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/")
    cookie = signed_in.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "max-age" not in cookie

    page = await browser.get("/")
    assert page.status_code == 200
    assert page.text.count('<th scope="row">electrical</th>') == 4
    assert "fact 0 of enrolment" in page.text
    assert "training hours" in page.text
    assert ">nominated</th>" not in page.text, "what is 0 throughout is left out"

    await browser.post("/session/end")
    assert (await browser.get("/")).status_code == 401


async def test_the_page_takes_the_same_parameters_as_the_aggregates(
    browser: httpx.AsyncClient, database: Database
) -> None:
    await hear(database, a_history())
    await sign_in(browser)
    page = (await browser.get("/?measure=enrolled,nominated&by=cohort&sex=F&from=&to=2025-04")).text
    rows = re.findall(r'<tr><th scope="row">(.*?)</th><td.*?>(\d+)</td><td.*?>(\d+)</td></tr>', page)
    assert rows == [("wuxi", "3", "0")]
    assert "Only sex women, to 2025-04." in page


async def test_a_question_that_cannot_be_asked_is_explained(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    page = await browser.get("/?by=<script>")
    assert page.status_code == 400
    assert "There is no such dimension" in page.text
    assert "<script" not in page.text


async def test_a_wrong_token_is_told_so_and_not_kept(browser: httpx.AsyncClient) -> None:
    refused = await sign_in(browser, "%3Cscript%3E")
    assert refused.status_code == 401
    assert "not known" in refused.text
    assert "%3C" not in refused.text
    assert "<script>" not in refused.text.replace('<script>"use strict"', "")
    assert COOKIE not in browser.cookies


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"token=" + b"x" * 5000, FORM, 413),
        (b'{"token": "x"}', {"Content-Type": "application/json"}, 415),
        (b"\xff\xfe=%FF", FORM, 401),
        (b"token=", FORM, 401),
        (b"&".join([b"token=x"] * 20), FORM, 401),
        (f"token={ADMINISTRATOR}".encode(), {**FORM, "Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
async def test_a_bad_form_signs_nobody_in(
    browser: httpx.AsyncClient, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await browser.post("/session", content=content, headers=headers)
    assert answer.status_code == status
    assert COOKIE not in browser.cookies


async def test_the_page_is_closed_to_scripts_frames_caches_and_other_hosts(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    page = await browser.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert "<script" not in page.text, "this page has none"
    assert "http:" not in page.text
    assert "https:" not in page.text
    assert not re.search(r"\sstyle=", page.text), "the policy would not let it through"
    style = page.text.partition("<style>")[2].partition("</style>")[0]
    assert b64encode(sha256(style.encode()).digest()).decode() in policy
