"""Certification's desk over HTTP: marks, awards and numbers by form, in the look of the other desk."""

import re
from datetime import UTC, datetime, timedelta

from services.certification import handlers
from services.certification.handlers import Handlers
from shared.database import Database
from tests.integration.certification import given
from tests.integration.certification.given import SECRET, a_trainee, raws
from tests.integration.desk.conftest import AUTHORITYS_TOKEN, BODYS_TOKEN, Opened
from tests.integration.enrolment.house import ADMINISTRATOR
from tests.unit.certification.given import awarded, trainee

AWARD = {"cohort": "wuxi", "number": "001", "scheme": "vslc", "occupation": "electrician", "level": "junior"}
SCHEME = {
    "scheme": "vslc",
    "titles.en": "Vocational Skill Level Certification",
    "awarding_body.en": "Appraisal centre",
    "occupations.0.occupation": "electrician",
    "occupations.0.titles.en": "Electrician",
    "levels.0.level": "junior",
    "levels.0.titles.en": "Junior",
    "rule": "by_awarding_body",
    "completion_required": "no",
}

RECOGNISED = {
    "scheme": "vslc",
    "occupation": "electrician",
    "level": "junior",
    "framework": "cqf",
    "framework_level": "3",
    "degree": "partial",
    "starts_on": "2025-05-01",
    "source": "Invented decision",
    "source_url": "https://authority.example/decisions",
}


async def test_from_marks_to_a_number_by_form(at_certification: Opened) -> None:
    body = await at_certification.browser(BODYS_TOKEN)
    said = await body.fill("/record/scheme.registered.v1", **SCHEME, happened="2025-03-01")
    assert said.status_code == 303, said.text
    assert "It is part of the record." in (await body.see(said.headers["location"])).shown
    assert "Electrician" in (await body.see("/schemes")).shown
    marks = {"parts.0.name": "theory", "parts.0.mark": "៨២.5", "parts.0.out_of": "100", "parts.0.passed": "yes"}
    said = await body.fill("/record/trainee.assessed.v1", **AWARD, **marks, date="2025-04-11", result="pass")
    assert said.status_code == 303, said.text
    said = await body.fill("/record/certificate.awarded.v1", **AWARD, date="2025-04-13")
    assert "It is part of the record." in (await body.see(said.headers["location"])).shown
    said = await body.fill("/record/certificate.numbered.v1", **AWARD, certificate_number="S-1", happened="2025-04-20")
    assert "It is part of the record." in (await body.see(said.headers["location"])).shown
    cohort = await body.see("/cohorts/wuxi")
    (certificate,) = [link for link in cohort.links if link.startswith("/certificates/")]
    page = await body.see(certificate)
    assert "S-1" in page.shown
    assert "13 April 2025" in page.shown
    assert "Nothing is issued here" in page.shown, "no public address is set"
    assert "issued" in page.shown
    offered = {link.partition("?")[0] for link in page.links if link.startswith("/record/")}
    assert {"/record/certificate.replaced.v1", "/record/certificate.revoked.v1"} <= offered
    assert not {"/record/certificate.numbered.v1", "/record/certificate.reinstated.v1"} & offered

    again = {"date": "2025-05-02", "reason": "lost", "certificate_number": "S-2", "happened": "2025-05-02"}
    await body.fill("/record/certificate.replaced.v1", **AWARD, **again)
    page = await body.see(certificate)
    assert not [link for link in page.links if link.startswith("/record/")], "nothing can be said of it any more"
    (newer,) = [one for one in page.links if one.startswith("/certificates/") and not one.startswith(certificate)]
    page = await body.see(newer)
    assert "S-2" in page.shown
    assert "/record/certificate.suspended.v1" in {link.partition("?")[0] for link in page.links}

    await body.fill("/record/certificate.revoked.v1", **AWARD, date="2025-05-05", reason="error", happened="2025-05-05")
    assert "/record/certificate.awarded.v1" in {link.partition("?")[0] for link in (await body.see(newer)).links}
    await body.fill("/record/certificate.awarded.v1", **AWARD, date="2025-05-06", certificate_number="S-3")
    newest = set[str]()
    for earlier in (certificate, newer):
        page = await body.see(earlier)
        assert not [link for link in page.links if link.startswith("/record/")], "what is said is of the newest edition"
        newest |= {one for one in page.links if one.startswith("/certificates/") and not one.startswith(earlier)}
    assert "S-3" in (await body.see(newest.pop())).shown
    assert not newest, "both lead to it"


async def test_what_needs_a_decision_is_on_the_first_page_with_what_resolves_it(at_certification: Opened) -> None:
    body = await at_certification.browser(BODYS_TOKEN)
    await body.fill("/record/certificate.awarded.v1", **AWARD, date="2025-04-13")
    page = await body.see("/")
    assert "This scheme is not registered yet." in page.shown
    assert "/record/scheme.registered.v1?cohort=wuxi&number=001&scheme=vslc&occupation=electrician&level=junior" in (
        page.links
    )
    await body.fill("/record/scheme.registered.v1", **{**SCHEME, "rule": "on_pass"}, happened="2025-03-01")
    page = await body.see("/")
    assert "Under this scheme a pass issues the certificate by itself." in page.shown


async def test_for_how_long_it_has_waited_also_when_it_waits_for_something_else(
    at_certification: Opened, migrated_certification: str
) -> None:
    """Given an award that came before its trainee and its scheme, when the trainee comes, then it has waited since it came."""
    database, now = Database(migrated_certification, "certification"), datetime.now(UTC)
    early = Handlers(database, SECRET, "http://enrolment.example", clock=lambda: now - timedelta(days=5))
    await early.take(raws(awarded("early", 13, "002")), given.ADMINISTRATOR)
    told = [a_trainee(trainee("002"))]
    await database.run(lambda session: handlers.hear(session, told, now - timedelta(days=1)))
    await database.close()
    page = await (await at_certification.browser(BODYS_TOKEN)).see("/")
    assert "This scheme is not registered yet." in page.shown
    assert re.findall("For [0-9]+ [a-z]+", page.shown) == ["For 5 days"]


async def test_an_authority_recognises_a_level_and_ends_it_again(at_certification: Opened) -> None:
    body, authority = [await at_certification.browser(token) for token in (BODYS_TOKEN, AUTHORITYS_TOKEN)]
    await body.fill("/record/scheme.registered.v1", **SCHEME, happened="2025-03-01")
    assert "/record/recognition.granted.v1" in (await authority.see("/record")).links
    said = await authority.fill("/record/recognition.granted.v1", **RECOGNISED, happened="2025-05-02")
    assert said.status_code == 303, said.text
    page = await body.see("/recognitions")
    for words in ("Cambodia", "Electrician · Junior", "Partly equal to level 3 of CQF", "since 1 May 2025"):
        assert words in page.shown
    await body.fill("/record/certificate.awarded.v1", **AWARD, date="2025-04-13")
    (certificate,) = [link for link in (await body.see("/cohorts/wuxi")).links if link.startswith("/certificates/")]
    assert "Cambodia: Partly equal to level 3 of CQF" in (await body.see(certificate)).shown
    ended = {name: RECOGNISED[name] for name in ("scheme", "occupation", "level", "framework")}
    ended |= {"ends_on": "2025-05-31", "reason": "reformed"}
    await authority.fill("/record/recognition.withdrawn.v1", **ended, happened="2025-05-20")
    assert "Not any more: from 1 May 2025 to 31 May 2025" in (await body.see("/recognitions")).shown
    assert "Electrician · Junior" in (await body.see("/recognitions?on=2025-05-31")).shown
    assert "No recognition is recorded for this day." in (await body.see("/recognitions?on=2025-06-01")).shown
    assert "No recognition is recorded." in (await body.see(certificate)).shown


async def test_who_is_no_authority_is_offered_no_recognition(at_certification: Opened) -> None:
    body = await at_certification.browser(BODYS_TOKEN)
    assert not [link for link in (await body.see("/recognitions")).links if link.startswith("/record/")]
    await body.see("/record/recognition.granted.v1", 403)


async def test_a_regional_framework_and_a_bad_address_are_said_beside_the_form(at_certification: Opened) -> None:
    authority = await at_certification.browser(AUTHORITYS_TOKEN)
    bad = {**RECOGNISED, "framework": "aqrf"}
    answer = await authority.fill("/record/recognition.granted.v1", **bad, happened="2025-05-02")
    assert answer.status_code == 422
    assert "Give your own country" in answer.text
    bad = {**RECOGNISED, "source_url": "javascript:alert(1)"}
    answer = await authority.fill("/record/recognition.granted.v1", **bad, happened="2025-05-02")
    assert answer.status_code == 422
    assert "Write an address that begins with https://" in answer.text


async def test_the_administrator_sees_every_office(at_certification: Opened) -> None:
    administrator = await at_certification.browser(ADMINISTRATOR)
    assert "Administrator" in (await administrator.see("/")).shown
    assert "001" in (await administrator.see("/cohorts/wuxi")).shown
    await administrator.see("/cohorts/elsewhere", 404)


async def test_an_entry_leads_to_its_cohort_where_there_is_one(at_certification: Opened) -> None:
    body = await at_certification.browser(BODYS_TOKEN)
    await body.fill("/record/scheme.registered.v1", **SCHEME, happened="2025-03-01")
    for cohort, leads in (("wuxi", True), ("nowhere", False)):
        said = await body.fill("/record/certificate.awarded.v1", **{**AWARD, "cohort": cohort}, date="2025-04-13")
        page = await body.see(said.headers["location"])
        assert (f"/cohorts/{cohort}" in page.links) is leads
        await body.follow(page)
