"""The pages of the contract, for people who are signed in."""

import re

import pytest

from tests.integration.desk.conftest import Opened
from tests.integration.enrolment.house import ADMINISTRATOR


@pytest.mark.parametrize("page", ["/docs", "/asyncapi"])
async def test_a_page_of_the_contract_asks_who_is_calling_and_then_shows_it(opened: Opened, page: str) -> None:
    browser = await opened.browser()
    stranger = await browser.see(page, 401)
    assert "schema-" not in stranger.text
    form = re.search(r'action="(/session\?to=[^"]+)"', stranger.text)
    assert form
    signed_in = await browser.send(form[1], {"token": ADMINISTRATOR})
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, page)

    assert "schema-" in (await browser.see(page)).text
    assert (await browser.client.get(f"{page.replace('docs', 'openapi')}.json")).status_code == 200, "what it links to"
    assert (await browser.client.get("/v1/position")).status_code == 401, "the cookie opens pages and nothing else"

    left = await browser.send(f"/session/end?to={page}", {})
    assert left.headers["location"] == page
    await browser.see(page, 401)


@pytest.mark.parametrize("elsewhere", ["https://example.org", "//example.org", "/docs/../x", "/\\example.org", ""])
async def test_a_form_leads_to_no_place_of_anybody_elses(opened: Opened, elsewhere: str) -> None:
    answer = await (await opened.browser()).send(f"/session?to={elsewhere}", {"token": ADMINISTRATOR})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
