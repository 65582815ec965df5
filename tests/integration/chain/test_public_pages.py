"""What a stranger with a paper or a phone reads, with nobody signed in: pages over what was really issued."""

import re
from collections.abc import AsyncIterator
from time import monotonic

import httpx
import pytest
from fastapi import FastAPI

from services.certification.judging import Judging
from services.certification.printing import Printing
from services.certification.public_pages import PublicPages
from shared import signin
from shared.http import tell_browsers
from tests.integration.chain.issuing import ADMINISTRATOR, OPERATOR, Chain
from tests.integration.chain.test_both_services import award
from tests.integration.chain.test_issuing import REPLACED
from tests.unit.certification.given import recognised
from tests.unit.enrolment.story import SENDER, fields, forgotten, trainee

OLD, NEW = "Sokha 1", "Sokha Vann"
CORRECTED = trainee("person.corrected", "01", 90, names={"original": "\u179c\u17c9\u1793", "romanised": NEW})
BROWSER = {"Accept": "text/html,*/*;q=0.8"}
PHOTO = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n\xff\xd8\xff\xe0\r\n--x--\r\n'
"""The last part of a form, with its end."""


@pytest.fixture
async def stranger(chain: Chain) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    judging = Judging(chain.own, chain.keys, OPERATOR, chain.documents, lambda: chain.now)
    pages = PublicPages(chain.own, chain.holders, Printing(chain.own, chain.documents, OPERATOR), OPERATOR, judging)
    app.include_router(pages.routes())
    tell_browsers(app, signin.nothing_here)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://it", headers=BROWSER) as client:
        yield client


def words(answer: httpx.Response) -> str:
    return " ".join(re.sub("<[^>]*>", " ", answer.text).split())


async def typed(stranger: httpx.AsyncClient, number: str, name: str) -> str:
    return words(await stranger.post("/check", data={"number": number, "name": name}))


async def test_a_paper_with_a_name_that_was_corrected_since_is_answered_honestly(
    chain: Chain, stranger: httpx.AsyncClient
) -> None:
    assert "corrected" not in await typed(stranger, "S-1", OLD)
    kept = {"file": ("a.json", (await chain.documents.for_holder(await chain.public_id("01"))).document.json.encode())}
    assert "corrected" not in words(await stranger.post("/check/file", files=kept))
    await chain.live(CORRECTED)
    assert "The name was corrected" in await typed(stranger, "S-1", OLD), "at once, before anything is signed anew"
    assert "corrected" not in await typed(stranger, "S-1", NEW)
    await chain.names_by_now()
    said = words(await stranger.post("/check/file", files=kept))
    assert "This file is genuine, and its certificate is valid" in said
    assert "The name was corrected after this paper was made" in said
    for name in (OLD, "\u179f\u17bb\u1781\u17b6 1"):
        said = await typed(stranger, "S-1", name)
        assert "Match. The number and the name belong together. This certificate is valid" in said
        assert "The name was corrected after this paper was made" in said
        assert NEW not in said, "no name is said to whoever knows another"
    said = await typed(stranger, "S-1", NEW)
    assert "Match." in said
    assert "corrected" not in said
    assert "No match." in await typed(stranger, "S-1", "Sokha 2")

    await chain.live(REPLACED)
    await chain.issue()
    said = await typed(stranger, "S-1", OLD)
    assert "was replaced by a newer one: it is not valid any more" in said
    assert "The name was corrected after this paper was made" in said
    assert "This certificate is valid" in await typed(stranger, "S-9", NEW)
    assert "No match." in await typed(stranger, "S-9", OLD), "no paper ever said both"
    assert await chain.differences() == []


async def test_a_file_with_a_number_that_was_corrected_since_is_answered_honestly(
    chain: Chain, stranger: httpx.AsyncClient
) -> None:
    kept = {"file": ("a.jwt", (await chain.documents.for_holder(await chain.public_id("02"))).document.jwt.encode())}
    assert "corrected" not in words(await stranger.post("/check/file", files=kept))
    await chain.live(award("numbered", "number", 16, "02", certificate_number="S-2"))
    await chain.issue()
    said = words(await stranger.post("/check/file", files=kept))
    assert "This file is genuine, and its certificate is valid" in said
    assert "What this file says was corrected after it was made" in said
    assert "S-2" not in said


async def test_a_name_that_came_back_is_kept_once(chain: Chain, stranger: httpx.AsyncClient) -> None:
    back = trainee("person.corrected", "01", 91, names={"original": "\u179f\u17bb\u1781\u17b6 1", "romanised": OLD})
    for correction in (CORRECTED, back, {**CORRECTED, "id": "again", "time": "2025-06-05T09:00:00+07:00"}):
        await chain.live(correction)
        await chain.names_by_now()
    (row,) = await chain.rows("SELECT former FROM attestations WHERE length(former) > 0")
    assert len(row["former"]) == 4 * 32, "two names in two scripts"
    assert "The name was corrected" in await typed(stranger, "S-1", OLD)


async def test_who_takes_their_consent_back_or_is_forgotten_is_found_by_no_name(
    chain: Chain, stranger: httpx.AsyncClient
) -> None:
    await chain.live(CORRECTED)
    await chain.names_by_now()
    withdrawn = fields("consent.withdrawn", 92, SENDER, cohort="wuxi-2025", number="01", by="self", date="2025-04-19")
    await chain.live(withdrawn)
    await chain.names_by_now()
    assert {"No match." in await typed(stranger, "S-1", name) for name in (OLD, NEW)} == {True}

    await chain.live(forgotten("01"))
    page = words(await stranger.get(f"/c/{await chain.public_id('01')}"))
    assert "the holder asked to be forgotten" in page
    assert "use the form" not in page
    await chain.names_by_now()
    assert await chain.rows("SELECT 1 FROM attestations WHERE length(former) > 0") == []
    assert {"No match." in await typed(stranger, "S-1", name) for name in (OLD, NEW)} == {True}


async def test_a_paper_that_names_nobody_is_not_sent_to_the_form(chain: Chain, stranger: httpx.AsyncClient) -> None:
    assert "use the form" in words(await stranger.get(f"/c/{await chain.public_id('01')}"))
    page = words(await stranger.get(f"/c/{await chain.public_id('02')}"))
    assert "This certificate names nobody in public" in page
    assert "use the form" not in page


async def test_of_who_takes_their_consent_back_no_page_says_that_no_paper_names_them(
    chain: Chain, stranger: httpx.AsyncClient
) -> None:
    await chain.live(
        fields("consent.withdrawn", 92, SENDER, cohort="wuxi-2025", number="01", by="self", date="2025-04-19")
    )
    await chain.names_by_now()
    page = words(await stranger.get(f"/c/{await chain.public_id('01')}"))
    assert "its holder has not agreed to it, or not any more. An older paper may still show a name." in page
    assert "not on the paper" not in page
    assert "use the form" not in page


async def test_an_address_is_found_in_capitals_and_by_what_asks_for_the_head_alone(
    chain: Chain, stranger: httpx.AsyncClient
) -> None:
    address = f"/c/{await chain.public_id('01')}"
    for said in (address.upper(), f"/c/{address[3:].upper()}", f"/C/{address[3:]}"):
        answer = await stranger.get(f"{said}?in=KH")
        assert (answer.status_code, answer.headers["location"]) == (308, f"{address}?in=KH")
    assert (await stranger.get("/C/" + "A" * 26)).headers["location"] == "/c/" + "a" * 26
    assert (await stranger.head(address)).status_code == 200
    assert (await stranger.head("/check")).status_code == 200
    assert (await stranger.post(address)).headers["content-type"].startswith("text/html")


async def test_after_a_file_was_sent_the_other_languages_lead_to_the_form(stranger: httpx.AsyncClient) -> None:
    page = await stranger.post("/check/file", files={"file": ("a.jpg", b"\xff\xd8\xff\xe0 a photo")})
    assert "a photograph or a scan" in words(page)
    (link,) = re.findall(r'href="(/check/file\?lang=km)"', page.text)
    form = await stranger.get(link, follow_redirects=True)
    assert form.status_code == 200
    assert form.url.path == "/check"
    assert 'lang="km"' in form.text
    page = await stranger.post("/check/file?lang=en", files={"file": ("a.pdf", b"%PDF-1.7 the first half of")})
    assert "Only a part of this file is there" in words(page)


@pytest.mark.parametrize("charset", ["punycode", "undefined", "idna", "utf-7", "latin-1", "\x00", "no-such"])
async def test_no_form_is_read_in_an_encoding_of_its_senders_choice(stranger: httpx.AsyncClient, charset: str) -> None:
    long = b"a" * 100_000 + b"-" + b"a" * 100_000  # Python's punycode takes four times as long over twice as much
    form = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + long + b"\r\n" + PHOTO
    began = monotonic()
    for charsets in (f"charset={charset}", f'Charset="{charset.upper()}"', f"charset=utf-8; charset={charset}"):
        said = {"Content-Type": f"multipart/form-data; boundary=x; {charsets}"}
        assert (await stranger.post("/check/file", content=form, headers=said)).status_code == 400
    assert monotonic() - began < 1


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf8"'])
async def test_a_form_may_say_that_it_is_utf_8(stranger: httpx.AsyncClient, charset: str) -> None:
    said = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
    assert "a photograph or a scan" in words(await stranger.post("/check/file", content=PHOTO, headers=said))


async def test_a_key_that_was_given_up_is_said_to_be(chain: Chain, stranger: httpx.AsyncClient) -> None:
    document = (await chain.documents.for_caller(await chain.public_id("01"), ADMINISTRATOR)).document
    async with chain.own.transaction() as session:
        await chain.keys.compromise(session, 1, chain.now)
    said = words(await stranger.post("/check/file", files={"file": ("a.json", document.json.encode())}))
    assert "was declared compromised on 1 January 2026" in said
    assert "ask for the file again" in said


async def test_what_is_not_valid_has_no_worth_anywhere(chain: Chain, stranger: httpx.AsyncClient) -> None:
    award_of = {"scheme": "vslc", "occupation": "electrician", "level": "junior"}
    await chain.live(recognised("worth", 2, starts=3, **award_of))
    address = f"/c/{await chain.public_id('01')}?in=KH"
    assert "level 3 of CQF" in words(await stranger.get(address))
    for what in (
        award("suspended", "stop", 17, "01", reason="review"),
        award("revoked", "end", 18, "01", reason="error"),
    ):
        await chain.live(what)
        await chain.issue()
        page = words(await stranger.get(address))
        assert "A certificate that is not valid counts for nothing in any country." in page
        assert "CQF" not in page


async def test_a_new_edition_is_valid_since_it_replaced_the_old_one(chain: Chain, stranger: httpx.AsyncClient) -> None:
    await chain.live(REPLACED)
    await chain.issue()
    page = words(await stranger.get(f"/c/{await chain.public_id('01', 2)}"))
    assert "Since 20 April 2025, as the awarding body decided" in page
    assert "Edition 2" in page
    assert "Awarded on 14 April 2025" in page
    assert await chain.differences() == []


async def test_a_link_that_has_ended_is_not_called_a_certificate(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get("/w/" + "a" * 43)
    assert answer.status_code == 404
    assert "This link has ended, or is not whole" in words(answer)
