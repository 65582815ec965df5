"""Certification's desk over HTTP: marks, awards and numbers by form, in the look of the other desk."""

from tests.integration.desk.conftest import BODYS_TOKEN, Opened
from tests.integration.enrolment.house import ADMINISTRATOR

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
    assert "issued" in page.shown


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


async def test_the_administrator_sees_every_office(at_certification: Opened) -> None:
    administrator = await at_certification.browser(ADMINISTRATOR)
    assert "Administrator" in (await administrator.see("/")).shown
    assert "001" in (await administrator.see("/cohorts/wuxi")).shown
    await administrator.see("/cohorts/elsewhere", 404)
