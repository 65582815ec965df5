"""On paper and on the phone: from the example's certificates to pages, files and links, with nobody signed in.

The pages are checked with axe where there is a browser, and photographed into tests/screenshots.
"""

import io
import json
import re
import time
import zipfile
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright
from pypdf import PdfReader

from tests.e2e.conftest import Program, on_this_machine
from tests.e2e.test_desk import CHROMIUM, LANGUAGES, SHOTS, signed_in
from tests.languages import every_language

pytestmark = [
    on_this_machine,
    pytest.mark.usefixtures("example"),
    pytest.mark.xdist_group("e2e"),
    pytest.mark.timeout(600),
]
COHORT = "wuxi-2025-spring"
BODY = "/offices/cn/wuxi-appraisal"
LARGEST_PAGE = 50_000
SECONDS = 60


@pytest.fixture(scope="module")
def certificates(program: Program) -> dict[str, dict[str, Any]]:
    """The nine of the example by trainee number, once all of them have documents."""
    address, deadline = program.url("certification"), time.monotonic() + SECONDS
    while True:
        listed = httpx.get(f"{address}/v1/certificates?cohort={COHORT}", headers=program.admin).json()["items"]
        pages = [document(program, one, "pdf").status_code for one in listed]
        if len(pages) >= 9 and set(pages) == {200}:
            return {one["trainee"]: one for one in listed if one["edition"] == 1}
        assert time.monotonic() < deadline, pages
        time.sleep(0.5)  # polls with a deadline


def document(program: Program, certificate: dict[str, Any], suffix: str, **headers: str) -> httpx.Response:
    path = f"/v1/certificates/{certificate['certificate']}/document.{suffix}"
    return httpx.get(program.url("certification") + path, headers=headers or program.admin, timeout=60)


def credential_in(page: bytes) -> dict[str, Any]:
    attached = PdfReader(io.BytesIO(page)).attachments
    (content,) = attached["credential.json"]
    read: dict[str, Any] = json.loads(content)
    return read


def public_page(program: Program, certificate: dict[str, Any]) -> str:
    """The address in the code: the credential's id ends in the same letters."""
    public_id = credential_in(document(program, certificate, "pdf").content)["id"].rpartition("/")[2]
    return f"{program.url('certification')}/c/{public_id}"


def say(program: Program, id_: str, type_: str, certificate: dict[str, Any], **data: Any) -> None:
    award = {"cohort": COHORT, "number": certificate["trainee"]}
    award |= {name: certificate[name] for name in ("scheme", "occupation", "level")}
    event = {"specversion": "1.0", "id": id_, "source": BODY, "type": type_, "time": "2026-11-01T09:00:00+08:00"}
    answer = httpx.post(
        f"{program.url('certification')}/v1/events",
        json=event | {"data": award | data},
        headers=program.admin | {"Content-Type": "application/cloudevents+json"},
    )
    assert answer.json()["receipts"][0]["status"] == "accepted", answer.text


def until(address: str, text: str) -> str:
    deadline = time.monotonic() + SECONDS
    while text not in (page := httpx.get(address).text):
        assert time.monotonic() < deadline, page
        time.sleep(0.1)  # polls with a deadline
    return page


def test_every_certificate_has_a_page_to_print_with_the_credential_in_it(
    program: Program, certificates: dict[str, dict[str, Any]]
) -> None:
    assert len(certificates) == 9
    for number, certificate in certificates.items():
        page = document(program, certificate, "pdf")
        assert page.headers["content-type"] == "application/pdf"
        text = " ".join(PdfReader(io.BytesIO(page.content)).pages[0].extract_text().split())
        assert certificate["number"] in text, number
        assert "works only on the machine that made this page" in text
        assert credential_in(page.content)["type"][-1] in {"OpenBadgeCredential", "AchievementCredential"}
    SHOTS.mkdir(exist_ok=True)
    picture = document(program, certificates["001"], "png").content
    assert b"openbadgecredential" in picture
    (SHOTS / "paper-of-the-example.png").write_bytes(picture)


def test_who_may_not_see_names_gets_no_document(program: Program, certificates: dict[str, dict[str, Any]]) -> None:
    body = {"office": "/offices/cn/ilo-china", "name": "Coordinator", "roles": ["coordinator"], "officer": "li"}
    made = httpx.post(f"{program.url('enrolment')}/v1/offices", json=body, headers=program.admin).raise_for_status()
    authorization = f"Bearer {made.json()['token']}"
    deadline = time.monotonic() + SECONDS
    while (answer := document(program, certificates["001"], "pdf", Authorization=authorization)).status_code == 401:
        assert time.monotonic() < deadline
        time.sleep(0.1)  # polls with a deadline
    assert answer.status_code == 404
    assert document(program, certificates["001"], "pdf", Authorization="Bearer nobody").status_code == 401


def test_a_cohort_comes_as_one_file(program: Program, certificates: dict[str, dict[str, Any]]) -> None:
    address = f"{program.url('certification')}/v1/cohorts/{COHORT}/documents.zip"
    with zipfile.ZipFile(io.BytesIO(httpx.get(address, headers=program.admin, timeout=120).content)) as packed:
        assert packed.testzip() is None
        for number in certificates:
            assert any(name.startswith(f"{COHORT}_{number}_") for name in packed.namelist())
        assert all(packed.read(name).startswith(b"%PDF") for name in packed.namelist())
        assert not re.search("chan|sophea", " ".join(packed.namelist()), re.IGNORECASE)


def test_the_page_behind_the_code_says_how_it_stands_and_names_nobody(
    program: Program, certificates: dict[str, dict[str, Any]]
) -> None:
    address = public_page(program, certificates["001"])
    page = httpx.get(address)
    assert "This certificate is valid" in page.text
    assert certificates["001"]["number"] in page.text
    assert "Sophea" not in page.text
    assert "ចាន់ សុភា" not in page.text
    assert "/v1/log/certificates/" in page.text
    assert "no recognition is recorded" in httpx.get(f"{address}?in=KH").text
    assert httpx.get(address.replace("/c/", "/c/aaaa")[:60]).status_code == 404
    say(program, "stop-001", "certificate.suspended.v1", certificates["001"], date="2026-11-01", reason="inquiry")
    assert "1 November 2026" in until(address, "This certificate is suspended")
    assert (
        "SUSPENDED since"
        in PdfReader(io.BytesIO(document(program, certificates["001"], "pdf").content)).pages[0].extract_text()
    )
    say(program, "end-002", "certificate.revoked.v1", certificates["002"], date="2026-11-01", reason="inquiry")
    until(public_page(program, certificates["002"]), "This certificate was revoked")


def test_the_page_says_what_a_certificate_is_worth_where_an_authority_says_so(
    program: Program, certificates: dict[str, dict[str, Any]]
) -> None:
    address = public_page(program, certificates["003"])
    assert "no recognition is recorded" in httpx.get(f"{address}?in=LA").text
    what = {name: certificates["003"][name] for name in ("scheme", "occupation", "level")}
    what |= {"framework": "lnqf", "framework_level": "3", "degree": "partial", "starts_on": "2026-04-01"}
    event = {
        "specversion": "1.0",
        "id": "electricians",
        "source": "/offices/la/qualifications",
        "type": "recognition.granted.v1",
        "time": "2026-03-02T09:00:00+07:00",
        "data": {**what, "source": "An invented decision"},
    }
    headers = program.admin | {"Content-Type": "application/cloudevents+json"}
    httpx.post(f"{program.url('certification')}/v1/events", json=event, headers=headers).raise_for_status()
    page = until(f"{address}?in=LA", "An invented decision")
    assert "level 3 of LNQF" in page
    assert "partly equal" in page
    assert "no recognition is recorded" in httpx.get(f"{address}?in=KH").text
    answer = httpx.get(f"{program.url('certification')}/v1/recognitions", params={"country": "LA", "on": "2026-03-31"})
    assert answer.json() == {"items": [], "next": None}


def test_number_and_name_match_or_they_do_not(program: Program, certificates: dict[str, dict[str, Any]]) -> None:
    number, address = certificates["001"]["number"], f"{program.url('certification')}/check"

    def typed(number: str, name: str) -> str:
        return httpx.post(address, data={"number": number, "name": name}).raise_for_status().text

    assert "The number and the name belong together." in typed(number, "sophea chan")
    assert "The number and the name belong together." in typed(number, "ចាន់ សុភា")
    assert "The number and the name belong together." in typed(number.lower(), "ចាន់ សុភា")
    none = {typed(*pair).replace(pair[0], "") for pair in ((number, "Chan Dara"), ("NO-SUCH-NUMBER", "Chan Sophea"))}
    assert len(none) == 1, "an unknown number and a wrong name are told apart"
    assert "No match." in none.pop()


def test_whoever_tries_many_names_is_slowed_down(program: Program, certificates: dict[str, dict[str, Any]]) -> None:
    address = f"{program.url('certification')}/check"
    form = {"number": certificates["003"]["number"], "name": "A Guess"}
    with httpx.Client() as guesser:
        # The allowance grows while a busy machine answers slowly.
        # Whom it claims to ask for is not believed: no proxy is trusted unless a setting says so.
        assert any(
            guesser.post(address, data=form, headers={"X-Forwarded-For": f"203.0.113.{n}"}).status_code == 429
            for n in range(200)
        )


def test_a_holder_gets_a_link_that_can_be_ended(program: Program, certificates: dict[str, dict[str, Any]]) -> None:
    address = f"{program.url('certification')}/v1/certificates/{certificates['004']['certificate']}/wallet-links"
    link = httpx.post(address, headers=program.admin).raise_for_status().json()["address"]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/w/[A-Za-z0-9_-]{43}", link)
    with httpx.Client(timeout=60) as nobody:
        assert "Your certificate" in nobody.get(link).text
        assert nobody.get(f"{link}/document.pdf").content.startswith(b"%PDF")
        assert nobody.get(f"{link}/document.png").content.startswith(b"\x89PNG")
        assert nobody.get(f"{link}/credential.json").json()["credentialSubject"]
        assert nobody.get(f"{link}/credential.jwt").text.count(".") == 2
        assert nobody.get(f"{link[:-1]}{'A' if link[-1] != 'A' else 'B'}").status_code == 404
        assert httpx.delete(address, headers=program.admin).json() == {"ended": 1}
        assert nobody.get(link).status_code == 404


def test_an_officer_hands_papers_and_a_link_over_from_the_desk(
    program: Program, certificates: dict[str, dict[str, Any]]
) -> None:
    page = f"/certificates/{certificates['006']['certificate']}"
    same_site = {"Sec-Fetch-Site": "same-origin"}
    with httpx.Client(base_url=program.url("certification"), timeout=60) as desk:
        assert desk.post("/session", data={"token": program.token}, headers=same_site).status_code == 303
        assert f"/v1/cohorts/{COHORT}/documents.zip" in desk.get(f"/cohorts/{COHORT}").text
        shown = desk.get(page).text
        for path in (f"/v1{page}/document.pdf", f"/v1{page}/document.png"):
            assert path in shown
            assert desk.get(path).status_code == 200
        (key, *_) = re.findall(r'name="form_key" value="([^"]+)"', shown)
        assert desk.post(f"{page}/links", data={"form_key": "another"}, headers=same_site).status_code == 403
        made = desk.post(f"{page}/links", data={"form_key": key}, headers=same_site).raise_for_status()
        (link,) = re.findall(r'id="link">([^<]+)<', made.text)
        assert "<svg" in made.text
        assert made.headers["cache-control"] == "no-store"
        assert "Your certificate" in httpx.get(link).text
        assert link not in desk.get(page).text, "it was shown once"
        ended = desk.post(f"{page}/links/end", data={"form_key": key}, headers=same_site)
        assert "Links that were ended: 1" in ended.text
        assert httpx.get(link).status_code == 404


def test_a_file_that_somebody_was_sent_is_judged_by_form_and_by_program(
    program: Program, certificates: dict[str, dict[str, Any]]
) -> None:
    root, paper = program.url("certification"), document(program, certificates["007"], "pdf").content
    said = httpx.post(f"{root}/check/file", files={"file": ("paper.pdf", paper, "application/pdf")}, timeout=60)
    assert "This file is genuine, and its certificate is valid" in said.text
    assert f'href="{public_page(program, certificates["007"]).removeprefix(root)}"' in said.text
    assert certificates["007"]["number"] in said.text, "what was signed, since the picture may be another's"
    assert "the picture itself is not signed" in said.text
    changed = json.dumps({**credential_in(paper), "name": "Something better"}).encode()
    said = httpx.post(f"{root}/check/file", files={"file": ("paper.json", changed)}, timeout=60)
    assert "do not accept it" in said.text
    assert httpx.post(f"{root}/check/file", files={"file": ("", b"")}).status_code == 400
    judged = httpx.post(f"{root}/v1/verify", content=document(program, certificates["007"], "png").content, timeout=60)
    assert judged.json()["verdict"] == "valid"
    assert httpx.post(f"{root}/v1/verify", content=bytes(4_000_001), timeout=60).status_code == 413


def pages(program: Program, certificate: dict[str, Any], tag: str) -> dict[str, str]:
    """The addresses of what anybody sees in a language."""
    root = program.url("certification")
    return {"public": f"{public_page(program, certificate)}?in=KH&lang={tag}", "check": f"{root}/check?lang={tag}"}


@pytest.mark.parametrize("tag", every_language("my"))
def test_the_pages_are_small(program: Program, certificates: dict[str, dict[str, Any]], tag: str) -> None:
    for address in pages(program, certificates["005"], tag).values():
        page = httpx.get(address)
        assert len(page.content) < LARGEST_PAGE
        assert f'lang="{tag}"' in page.text


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here (Debian, Ubuntu: apt install chromium)")
@pytest.mark.long
def test_the_pages_are_for_everybody(program: Program, certificates: dict[str, dict[str, Any]]) -> None:
    root = program.url("certification")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for tag in LANGUAGES:
            papers = f"{root}/certificates/{certificates['005']['certificate']}?lang={tag}"
            for name, page_address in (pages(program, certificates["005"], tag) | {"papers": papers}).items():
                with browser.new_context(viewport={"width": 400, "height": 900}, java_script_enabled=True) as context:
                    if name == "papers":
                        signed_in(context, root, program.token).close()
                    page = context.new_page()
                    page.goto(page_address)
                    found = Axe().run(page)
                    assert found.violations_count == 0, found.generate_report()
                    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1"), page_address
                    resources = page.evaluate("performance.getEntriesByType('resource').map(one => one.name)")
                    assert [one for one in resources if not one.startswith(root)] == []
                    page.screenshot(path=SHOTS / f"{tag}-{name}.png", full_page=True)
        browser.close()
