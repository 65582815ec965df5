"""Nothing that the desk itself says is left in English on a page in another language."""

import re
from io import BytesIO
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from shared.limits import FailedLogins, Limits, TooFast
from shared.pages.languages import LANGUAGES
from shared.sessions import Sessions
from tests.integration.desk.browser import Browser, Page
from tests.integration.desk.conftest import AUTHORITYS_TOKEN, BODYS_TOKEN, Opened
from tests.integration.desk.test_certification import AWARD, RECOGNISED, SCHEME
from tests.integration.desk.test_rosters import HEAD, show, trainee, workbook
from tests.integration.enrolment.house import ADMINISTRATOR, REGISTRATIONS, House
from tests.languages import every_language
from tests.unit.enrolment.story import announced, proposed, whole

DATA = (
    # what offices wrote, codes among it
    r"An office|Office [a-z]{2}/[a-z]+|Partnership|Wuxi|wuxi-[a-z0-9-]+|wuxi|vslc|electrical|cabling|partnership|ntti|electrician"
    r"|sokha|Vocational Skill Level Certification|Appraisal centre|Electrician|Junior|junior|S-1|desk-[0-9a-f]+"
    r"|family-reasons|family|Sokha"
    r"|[a-z]{2}/[a-z0-9-]+|/offices/[a-z]{2}/[a-z0-9-]+|[a-z]+-[a-z0-9-]*[0-9]+|centre-[a-z-]+"
    r"|cqf|CQF|AQRF|Invented decision|authority\.example/decisions"
    # what is the same everywhere
    r"|Sampan|English|ISCED-F|https|KH|LA|MM|CN|km|lo|my|zh-Hans|en|ISCO-08|Asia/\w+|a (?:ដល់|ຫາ|မှ|到) z|_"
)


def left_over(page: Page) -> list[str]:
    """The Latin words of a page that are neither data nor the same in every language."""
    found = []
    for text in page.texts:
        rest = re.sub(rf"(?<![A-Za-z])(?:{DATA})(?![A-Za-z])", " ", text)
        found += re.findall(r"[A-Za-z]{2,}[A-Za-z ]*", rest)
    return found


@pytest.mark.parametrize("tag", every_language("my", other_than="en"))
async def test_enrolment(house: House, opened: Opened, tag: str) -> None:
    await house.post(*REGISTRATIONS, *whole(), proposed("09", cohort="other-1"), proposed("01", 6, id_="again-1"))
    administrator = await opened.browser(ADMINISTRATOR)
    paths = ["/", "/record", "/programmes", "/said", "/guide", "/cohorts/wuxi-2025", "/nowhere-1/x"]
    paths += ["/cohorts/wuxi-2025/names", "/people/same"]
    for path in ("/cohorts/wuxi-2025", "/said", "/record"):
        paths += [link for link in (await administrator.see(path)).links if re.match("/(people|said|record)/", link)]
    seen = 0
    paths += [f"{path}/details" for path in paths if re.match("/people/.{36}$", path)]
    for path in dict.fromkeys(paths):
        answer = await administrator.client.get(path, headers={"Accept-Language": tag})
        if answer.headers["content-type"].startswith("text/html"):
            seen += 1
            assert (path, left_over(Page(answer.text))) == (path, [])
    assert seen > 30
    stranger = await opened.browser()
    assert left_over(await stranger.see("/", 401, **{"Accept-Language": tag})) == []


@pytest.mark.parametrize("tag", every_language("lo", other_than="en"))
async def test_complaints_and_refusals(sender: Browser, tag: str) -> None:
    headers = {"Accept-Language": tag}
    page = await sender.see("/record/trainee.enrolled.v1", **headers)
    typed = {**page.fields, "cohort": "A B", "person.sex": "X", "person.birth_date": "2568-01-01", "country": "XX"}
    answer = await sender.send("/record/trainee.enrolled.v1", typed, **headers)
    assert answer.status_code == 422
    assert [text for text in left_over(Page(answer.text)) if text not in ("A B", "XX")] == []
    assert left_over(await sender.see("/cohorts/nowhere-1", 404, **headers)) == []
    answer = await sender.send("/record/trainee.enrolled.v1", {}, **headers)
    assert left_over(Page(answer.text)) == []


@pytest.mark.parametrize("tag", every_language("km", other_than="en"))
async def test_certification(at_certification: Opened, tag: str) -> None:
    body = await at_certification.browser(BODYS_TOKEN)
    authority = await at_certification.browser(AUTHORITYS_TOKEN)
    await body.fill("/record/scheme.registered.v1", **SCHEME, happened="2025-03-01")
    await authority.fill("/record/recognition.granted.v1", **RECOGNISED, happened="2025-05-02")
    await body.fill("/record/certificate.awarded.v1", **AWARD, date="2025-04-13", certificate_number="S-1")
    await body.fill("/record/certificate.awarded.v1", **AWARD, date="2025-04-14")
    await body.fill("/record/certificate.awarded.v1", **{**AWARD, "number": "009"}, date="2025-04-14")
    paths = ["/", "/record", "/schemes", "/said", "/cohorts/wuxi"]
    for path in ("/cohorts/wuxi", "/said", "/record"):
        paths += [link for link in (await body.see(path)).links if re.match("/(certificates|said|record)/", link)]
    for path in dict.fromkeys(paths):
        page = await body.see(path, **{"Accept-Language": tag})
        assert (path, left_over(page)) == (path, [])
    paths = ["/record", "/recognitions", "/recognitions?on=2024-01-01", "/said"]
    for path in ("/said", "/record"):
        paths += [link for link in (await authority.see(path)).links if re.match("/(said|record)/", link)]
    for path in dict.fromkeys(paths):
        page = await authority.see(path, **{"Accept-Language": tag})
        assert (path, left_over(page)) == (path, [])


@pytest.mark.parametrize("tag", every_language("zh-Hans", other_than="en"))
async def test_a_roster_its_results_and_who_is_too_fast(
    house: House, opened: Opened, sender: Browser, monkeypatch: pytest.MonkeyPatch, tag: str
) -> None:
    await house.post(*REGISTRATIONS, announced())
    headers = {"Accept-Language": tag}
    sender.client.headers.update(headers)
    answer = await show(
        sender, workbook(trainee("01"), trainee("02", **{"Birth date": "2568-01-01"}), trainee("03", Sex="?"))
    )
    shown = await sender.see(answer.headers["location"])
    columns = ("Trainees", "roster", "xlsx", "I", "H")
    assert [text for text in left_over(shown) if text not in columns] == []
    results = await sender.client.get(answer.headers["location"] + "/results.xlsx")
    rows = CalamineWorkbook.from_filelike(BytesIO(results.content)).get_sheet_by_index(0).to_python()
    receipts = " ".join(str(cell) for row in rows for cell in row[len(HEAD) :])
    assert re.findall(r"[A-Za-z]{2,}", receipts) == []

    def too_fast(*_: Any, **__: Any) -> None:
        raise TooFast("requests", 7)

    stranger = await opened.browser()
    with monkeypatch.context() as patched:
        patched.setattr(FailedLogins, "delay", too_fast)
        refused = await stranger.client.post("/session", data={"token": "sampan_kh_ntti_wrong"}, headers=headers)
    assert (refused.status_code, left_over(Page(refused.text))) == (429, [])
    assert "7" in Page(refused.text).shown
    with monkeypatch.context() as patched:
        patched.setattr(Limits, "spend", too_fast)
        refused = await sender.client.get("/")
    assert (refused.status_code, left_over(Page(refused.text))) == (429, [])
    assert "7" in Page(refused.text).shown


@pytest.mark.parametrize("tag", LANGUAGES)
async def test_signing_in_while_the_database_is_away(opened: Opened, monkeypatch: pytest.MonkeyPatch, tag: str) -> None:
    async def away(*_: Any) -> None:
        raise ConnectionRefusedError

    stranger = await opened.browser()
    with monkeypatch.context() as patched:
        patched.setattr(Sessions, "start", away)
        answer = await stranger.client.post("/session", data={"token": "x"}, headers={"Accept-Language": tag})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert tag == "en" or left_over(Page(answer.text)) == []
