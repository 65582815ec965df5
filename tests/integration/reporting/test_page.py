"""The page at /: it asks who is calling, shows the table, and takes nothing from anywhere else."""

import asyncio
import random
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html import unescape
from typing import Any, cast

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.pool import QueuePool

from services.reporting import dashboard, pages, queries, values
from services.reporting.explain_api import NoTurn, Turns
from services.reporting.measures import MEASURES
from services.reporting.questions import Question, UnknownQuestion
from shared.database import Database
from shared.http import Problem
from shared.pages.languages import LANGUAGES
from tests.integration.bus.house import eventually
from tests.integration.desk.browser import Page
from tests.integration.reporting.conftest import ADMINISTRATOR, BEARER
from tests.integration.reporting.test_aggregates import a_history
from tests.integration.reporting.test_projection import hear
from tests.unit.reporting.facts import a_cohort, a_trainee, known

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


async def test_after_signing_in_the_page_shows_the_figures_and_after_signing_out_no_more(
    browser: httpx.AsyncClient, database: Database
) -> None:
    await hear(database, a_history(), position=7)

    signed_in = await sign_in(browser)
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/")
    cookie = signed_in.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "max-age" not in cookie

    page = await browser.get("/")
    assert page.status_code == 200
    shown = Page(page.text).shown
    assert "Enrolled 10 People 9" in shown
    assert "Completion rate 90% 9 / 10" in shown
    assert "Women's share 40% 4 / 10" in shown
    assert "Position: enrolment 7, certification 7." in shown
    assert "Wuxi 2025 wuxi · started 31 Mar 2025 9 9 9 9 9" in shown
    assert "Recent changes" in shown

    await browser.post("/session/end")
    assert (await browser.get("/")).status_code == 401


async def test_every_number_is_a_link_to_what_explains_it_and_every_filter_a_link(
    browser: httpx.AsyncClient, database: Database
) -> None:
    await hear(database, a_history())
    await sign_in(browser)
    page = (await browser.get("/?sex=F&to=2025-04")).text
    for cell in re.findall(r"<td(?: class=none)?>(.*?)</td>", page):
        assert re.fullmatch(r'<a class="n" href="/explain\?measure=\w+&amp;[^"]*sex=F[^"]*">[\d,.]+</a>', cell), cell
    assert '<a href="/?to=2025-04" title="Take away">Sex: <strong>women</strong>' in page
    assert '<a href="/?sex=F&amp;to=2025-04&amp;country=KH">Cambodia</a>' in page
    assert "Enrolled 3 People 3" in Page(page).shown


async def test_every_number_on_the_page_opens_its_explanation(browser: httpx.AsyncClient, database: Database) -> None:
    await hear(database, a_history(), position=20)
    await sign_in(browser)
    page = (await browser.get("/")).text
    explained = dict(re.findall(r'<a class="n" href="([^"]+)">([^<]+)</a>', page))
    assert len(explained) > 50
    for address, number in random.Random(6).sample(sorted(explained.items()), 12):
        answer = await browser.get(unescape(address))
        assert answer.status_code == 200, address
        heading = Page(answer.text.partition("<h1>")[2].partition("</h1>")[0]).shown
        assert heading.partition(": ")[2].startswith(number.partition(" / ")[0]) or f"({number})" in heading, address
    women = Page((await browser.get("/explain?measure=enrolled&sex=F&cohort=wuxi&compare=2020-01-01")).text).shown
    assert "Enrolled: 3" in women
    assert "3 now, 0 then" in women
    assert "reached us since then ntti 3 +3" in women


@pytest.mark.parametrize("asked", ["outcome=employed", "months_after=6", "month=2025-04", "month=2025-04&basis=cohort"])
async def test_rates_that_cannot_be_by_what_was_asked_are_left_out_and_the_page_says_so(
    browser: httpx.AsyncClient, database: Database, asked: str
) -> None:
    await hear(database, a_history(), position=20)
    await sign_in(browser)
    address = f"/?lang=en&{asked}"
    page = (await browser.get(address)).text
    said = "There are no rates of what was chosen here."
    assert said in Page(page).shown
    a_rate = re.compile(r"/explain\?measure=(\w+_rate|womens_share)")
    assert not a_rate.search(page)
    for link in {unescape(one) for one in re.findall(r'<a class="n" href="([^"]+)">', page)}:
        assert (await browser.get(link)).status_code == 200, link
    by_event = (await browser.get("/?lang=en&month=2025-02&basis=event")).text
    assert a_rate.search(by_event)
    assert said not in by_event


async def test_a_long_table_is_cut_to_what_loads_on_a_bad_line(browser: httpx.AsyncClient, database: Database) -> None:
    await hear(database, [known(a_cohort(f"cohort-{number}")) for number in range(400)])
    await hear(database, [known(a_trainee("1", f"cohort-{number}", enrolled_on="2025-03-01")) for number in range(400)])
    await sign_in(browser)
    for asked in ("measure=enrolled", "measure=" + ",".join(MEASURES)):
        answer = await browser.get(f"/table?by=cohort,month,sex,sending_centre,host_centre&{asked}")
        assert 20_000 < len(answer.content) < 100_000, asked
        assert "Fewer columns or a shorter time give fewer." in answer.text


async def test_a_figure_of_too_many_to_list_is_shown_by_its_parts_down_to_those_that_can_be(
    browser: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "EXPLAINED_ON_A_PAGE", 1)
    await hear(database, a_history(), position=20)
    await sign_in(browser)
    address = "/explain?measure=completion_rate&compare=2020-01-01"
    for narrowed in ("programme", "country", "end_month", "cohort"):
        answer = await browser.get(address)
        assert answer.status_code == 200, address
        assert "Choose a part of it." in answer.text, address
        parts = re.findall(rf'<th scope="row"><a href="(/explain[^"]*{narrowed}=[^"]*)"', answer.text)
        assert parts, narrowed
        address = unescape(parts[0])
        assert "compare=2020-01-01" in address
    monkeypatch.setattr(pages, "EXPLAINED_ON_A_PAGE", 100)
    assert "Choose a part of it." not in (await browser.get(address)).text


async def test_who_gets_no_turn_for_an_explanation_is_not_told_that_the_database_is_away(
    browser: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crowded(_turns: Turns) -> None:
        raise NoTurn

    await hear(database, a_history())
    await sign_in(browser)
    monkeypatch.setattr(Turns, "one", crowded)
    answer = await browser.get("/explain?measure=enrolled")
    assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (503, True)
    assert "Many are asking for figures like this one." in answer.text
    assert "database" not in answer.text


async def test_every_page_answers_in_every_language(browser: httpx.AsyncClient, database: Database) -> None:
    await hear(database, a_history())
    await sign_in(browser)
    for path in (
        "/",
        "/cohorts",
        "/targets",
        "/table?by=country,sex",
        "/changes",
        "/measures",
        "/explain?measure=pass_rate",
    ):
        for tag in LANGUAGES:
            page = await browser.get(path, headers={"Accept-Language": tag})
            assert page.status_code == 200, (path, tag)
            assert f'<html lang="{tag}">' in page.text
            assert len(page.content) < 100_000


async def test_the_table_takes_the_same_parameters_as_the_aggregates(
    browser: httpx.AsyncClient, database: Database
) -> None:
    await hear(database, a_history())
    await sign_in(browser)
    page = (await browser.get("/table?measure=enrolled,nominated&by=cohort&sex=F&from=&to=2025-04")).text
    rows = re.findall(r'<tr><th scope="row">(.*?)</th><td.*?>(\d+)</a></td><td.*?>(\d+)</a></td></tr>', page)
    assert rows == [("wuxi", "3", "0")]


async def test_a_page_follows_by_asking_for_its_figures_alone(browser: httpx.AsyncClient, database: Database) -> None:
    await hear(database, a_history())
    await sign_in(browser)
    part = {"Sampan-Part": "figures"}

    page = await browser.get("/?country=KH")
    first = await browser.get("/?country=KH", headers=part)
    same = await browser.get("/?country=KH", headers={**part, "If-None-Match": first.headers["etag"]})
    await hear(database, [known(a_trainee("77", enrolled_on="2025-03-01"))])
    moved = await browser.get("/?country=KH", headers={**part, "If-None-Match": first.headers["etag"]})

    assert f'data-tag="{first.headers["etag"]}"' in unescape(page.text)
    assert "<html" not in first.text
    assert "Enrolled 10" in Page(first.text).shown
    assert (same.status_code, same.text) == (304, "")
    assert "Enrolled 11" in Page(moved.text).shown


@pytest.mark.parametrize("held", ["W/{tag}", '"another", W/{tag}', '"another",{tag}', "*"])
async def test_figures_that_somebody_holds_are_not_sent_again_also_where_their_tag_was_made_weak_on_the_way(
    browser: httpx.AsyncClient, database: Database, held: str
) -> None:
    """Given figures, when they are asked for with their tag, a weak one or among others, then they are not sent again."""
    await hear(database, a_history())
    headers = {**BEARER, "Sampan-Part": "figures"}
    tag = (await browser.get("/", headers=headers)).headers["etag"]
    same = await browser.get("/", headers={**headers, "If-None-Match": held.format(tag=tag)})
    assert (same.status_code, same.text) == (304, "")
    other = await browser.get("/?country=KH", headers={**headers, "If-None-Match": f"W/{tag}"})
    assert other.status_code == 200


async def test_figures_are_shown_as_they_were_known_then(browser: httpx.AsyncClient, database: Database) -> None:
    await hear(database, a_history(), position=20)
    await hear(database, [known(a_trainee("77", enrolled_on="2025-03-01"))], position=21)
    await sign_in(browser)
    assert "Enrolled 11" in Page((await browser.get("/")).text).shown
    then = (await browser.get("/?as_of=20.20")).text
    assert "As known at: 20.20" in Page(then).shown
    assert "Enrolled 10" in Page(then).shown


async def test_changes_are_listed_with_their_causes(browser: httpx.AsyncClient, database: Database) -> None:
    await hear(database, a_history(), position=20)
    posted = replace(known(a_trainee("77", enrolled_on="2025-03-01")), cause="/offices/kh/ntti/enrol-77")
    await hear(database, [posted], position=21)
    await sign_in(browser)
    shown = Page((await browser.get("/changes?country=KH")).text).shown
    assert re.search(r"Enrolled \+1 .*? wuxi kh/ntti \(1\)", shown), shown


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/?by=<script>", 400),
        ("/?from=2025-13", 400),
        ("/?as_of=yesterday", 400),
        ("/?sex=F&" + "x" * 50 + "=1", 400),
        ("/table?measure=happiness", 400),
        ("/cohorts?before=" + "x" * 90, 404),
        ("/changes?before=x", 404),
    ],
)
async def test_a_question_that_cannot_be_asked_is_explained(browser: httpx.AsyncClient, path: str, status: int) -> None:
    await sign_in(browser)
    page = await browser.get(path)
    assert page.status_code == status
    assert "To the first page" in page.text
    assert "<script>" not in page.text.replace('<script>"use strict"', "")


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
    assert not re.search(r"\ssrc=|<link|<img|url\(|@import", page.text), "nothing is loaded from anywhere"
    assert not re.search(r"\sstyle=", page.text), "the policy would not let it through"
    for kind in ("style", "script"):
        found = re.findall(f"<{kind}>(.*?)</{kind}>", page.text, re.DOTALL)
        assert len(found) == 2
        assert all(b64encode(sha256(one.encode()).digest()).decode() in policy for one in found)


async def test_however_many_ask_at_once_after_a_change_the_figures_are_made_once(
    browser: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    async def counted(*given: Any) -> dashboard.Dashboard:
        made.append(given)
        return await gather(*given)

    gather = dashboard.gather
    monkeypatch.setattr(dashboard, "gather", counted)
    await hear(database, a_history())
    headers = {**BEARER, "Sampan-Part": "figures"}
    answers = await asyncio.gather(*(browser.get("/", headers=headers) for _ in range(40)))
    assert {(answer.status_code, answer.headers["etag"], answer.text) for answer in answers} == {
        (200, answers[0].headers["etag"], answers[0].text)
    }
    assert len(made) == 1


async def test_what_the_first_page_is_narrowed_to_is_looked_up_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Question] = []

    async def noted(session: AsyncSession, question: Question) -> None:
        looked.append(question)
        await check(session, question)

    check = values.check
    monkeypatch.setattr(values, "check", noted)
    await hear(database, a_history())
    async with database.transaction() as session:
        await dashboard.gather(session, Question(where=(("trade", ("electrical", "cabling")), ("sex", ("F", "M")))), {})
        assert len(looked) == 1
        with pytest.raises(UnknownQuestion):
            await dashboard.gather(session, Question(where=(("trade", ("electrical", "baking")),)), {})


async def test_figures_that_cannot_be_made_are_tried_once_for_all_who_wait(
    browser: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    made: list[Any] = []

    def tagged(*given: Any) -> str:
        asked.append(given)
        return tag(*given)

    async def failing(*given: Any) -> dashboard.Dashboard:
        made.append(given)
        pool = cast(QueuePool, database.engine.pool)
        await eventually(lambda: len(asked) >= 40 and pool.checkedout() == 1)  # all wait, with no connection in hand
        raise Problem(503, "unavailable", "The database does not answer.", {"Retry-After": "2"})

    tag = queries.tag
    monkeypatch.setattr(queries, "tag", tagged)
    gather = dashboard.gather
    monkeypatch.setattr(dashboard, "gather", failing)
    await hear(database, a_history())
    headers = {**BEARER, "Sampan-Part": "figures"}
    answers = await asyncio.gather(*(browser.get("/", headers=headers) for _ in range(40)))
    assert {(answer.status_code, answer.headers["retry-after"]) for answer in answers} == {(503, "2")}
    assert len(made) == 1
    monkeypatch.setattr(dashboard, "gather", gather)
    assert (await browser.get("/", headers=headers)).status_code == 200, "the next who asks is not told of it any more"


@pytest.mark.parametrize(
    ("asked", "year"),
    [("", "All years"), ("from=2025-01&to=2025-12", "2025"), ("from=2025-01&to=2026-12", None), ("to=2025-06", None)],
)
async def test_a_year_is_marked_only_where_it_alone_is_shown(
    browser: httpx.AsyncClient, database: Database, asked: str, year: str | None
) -> None:
    await hear(database, a_history())
    page = (await browser.get(f"/?{asked}", headers={**BEARER, "Sampan-Part": "figures"})).text
    years = page[page.index('class="years"') : page.index("</nav>", page.index('class="years"'))]
    assert re.findall(r'aria-current="?true"?>([^<]+)<', years) == ([year] if year else [])
