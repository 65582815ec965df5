"""The page of a certificate: one sheet whatever it says, in every script, with the credential in it and nothing from the machine.

What is set is written to tests/screenshots as pictures, for people to look at: whether a script is shaped right,
nobody else sees.
"""

import io
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from services.certification import paper
from services.certification.paper import Name, Paper, Tier
from services.certification.showing import Course
from shared.pages.languages import LANGUAGES, catalogue

SHOTS = Path(__file__).parents[2] / "screenshots"
A4_POINTS = (595, 842)
CREDENTIAL = '{"@context": ["https://www.w3.org/ns/credentials/v2"], "name": "ចាន់ សុភា"}'
PLAIN = Paper(
    country="KH",
    names=(Name("ចាន់ សុភា", "km"), Name("Chan Sophea", "en")),
    scheme={"en": "Vocational Skill Level Certification", "zh-Hans": "职业技能等级认定"},
    occupation={"en": "Electrician", "zh-Hans": "电工"},
    tier=Tier({"en": "Junior worker", "zh-Hans": "初级工"}, "5"),
    awarding_body={"en": "Wuxi Skills Appraisal Centre (invented)", "zh-Hans": "无锡市技能评价中心"},
    number="S0000320200525INV0001",
    awarded_on=date(2025, 4, 13),
    valid_until=None,
    address="https://certificates.example.org/c/k3v7qf2mznr5wx4tya6hbjd2pe",
    operator="ILO/China Partnership on Skills Development",
    made=datetime(2026, 11, 25, 6, 0, 1, 234_567, tzinfo=UTC),
    course=Course(
        {"en": "Electrical installation and information network cabling"},
        date(2025, 3, 31),
        date(2025, 4, 13),
        {"en": "Wuxi Institute of Technicians", "zh-Hans": "无锡技师学院"},
        "CN",
    ),
    credential=CREDENTIAL,
)
SAID = {
    "khmer": PLAIN,
    "lao": replace(PLAIN, country="LA", names=(Name("ທ້າວ ສົມສັກ ວົງພະຈັນ", "lo"), Name("Somsak Vongphachanh", "en"))),
    "burmese": replace(
        PLAIN,
        country="MM",
        names=(Name("ဒေါ်ခင်မြတ်နိုးသူဇာ", "my"), Name("Daw Khin Myat Noe Thuzar", "en")),
        number=None,
    ),
    "chinese": replace(PLAIN, country="CN", names=(Name("欧阳娜娜", "zh-Hans"), Name("Ouyang Nana", "en"))),
    "english": replace(PLAIN, country="ID", names=(Name("Siti Nurhaliza", "id"),), valid_until=date(2030, 4, 12)),
    "nobody": replace(PLAIN, names=()),
    "suspended": replace(PLAIN, standing="suspended", since=date(2026, 1, 2)),
    "revoked": replace(PLAIN, standing="revoked", since=date(2026, 1, 2), demonstration=True),
    "long": replace(
        PLAIN,
        names=(
            Name("ឧកញ៉ា បណ្ឌិត សម្តេចព្រះមហាសង្ឃរាជ ចាន់សុភាពរតនៈវិជ្ជារ៉ាវុធមុនីវង្ស" * 3, "km"),
            Name("Chan Sopheap " * 20, "en"),
        ),
        occupation={
            "en": "Installer and repairer of network lines, masts, cabinets and terminals " * 3,
            "zh-Hans": "线务员" * 60,
        },
        look_up="https://example.org/" + "a/very/long/path/" * 20,
        standing="superseded",
        since=date(2026, 1, 2),
        demonstration=True,
        valid_until=date(2030, 4, 12),
    ),
}
FONT = {"khmer": "NotoSerifKhmer", "lao": "NotoSansLao", "burmese": "NotoSansMyanmar", "chinese": "NotoSerifCJK"}


def read(page: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(page))


def fonts_of(reader: PdfReader) -> str:
    fonts: Any = reader.pages[0]["/Resources"]["/Font"]  # type: ignore[index]
    return " ".join(str(one.get_object()["/BaseFont"]) for one in fonts.values())


@pytest.mark.parametrize("which", SAID)
def test_whatever_it_says_it_is_one_sheet_that_holds_all_it_needs(which: str) -> None:
    page = paper.pdf(SAID[which])
    reader = read(page)
    assert len(reader.pages) == 1
    assert tuple(round(float(side)) for side in reader.pages[0].mediabox[2:]) == A4_POINTS
    assert b"pdfaid:part>3<" in page
    root: Any = reader.trailer["/Root"]
    assert (root["/Lang"], root["/MarkInfo"]["/Marked"]) == ("en", True)
    assert str(reader.metadata and reader.metadata.title).startswith(
        "Attestation - Vocational Skill Level Certification"
    )
    assert FONT.get(which, "NotoSerif") in fonts_of(reader)
    SHOTS.mkdir(exist_ok=True)
    (SHOTS / f"paper-{which}.png").write_bytes(paper.png(SAID[which]))


def test_the_credential_is_in_the_file_byte_by_byte() -> None:
    (name, (content,)) = next(iter(read(paper.pdf(PLAIN)).attachments.items()))
    assert (name, content.decode()) == ("credential.json", CREDENTIAL)
    picture = paper.png(PLAIN)
    assert picture.startswith(b"\x89PNG")
    assert b"iTXtopenbadgecredential\0\0\0\0\0" + CREDENTIAL.encode() in picture


def test_the_page_says_where_the_original_is_and_that_it_is_not_the_original() -> None:
    page = paper.pdf(replace(PLAIN, look_up="https://lookup.example.org"))
    said = "".join(read(page).pages[0].extract_text().split())
    for text in (
        "The original certificate can be checked with the awarding body: https://lookup.example.org",
        "The certificate itself is the awarding body's; this page does not replace it.",
        "Wuxi Skills Appraisal Centre (invented)",
        "无锡市技能评价中心",
        "S0000320200525INV0001",
        "Junior worker (5)",
        "Chan Sophea",
        "certificates.example.org/c/k3v7qf2mznr5wx4tya6hbjd2pe",
    ):
        assert text.replace(" ", "") in said
    assert "REVOKED" not in said


def test_a_page_that_is_good_no_more_says_so() -> None:
    assert "REVOKED on 2 January 2026" in read(paper.pdf(SAID["revoked"])).pages[0].extract_text()
    assert "the address works only on the machine" in read(paper.pdf(SAID["revoked"])).pages[0].extract_text()


def test_a_name_is_never_read_as_markup() -> None:
    name = "#panic() *bold* $x$ <label> \\ @ref // `raw`"
    said = read(paper.pdf(replace(PLAIN, names=(Name(name, "en"),)))).pages[0].extract_text()
    assert "#panic() *bold* $x$ <label>" in said


def test_our_fonts_have_every_character_that_we_print_ourselves() -> None:
    texts = [str(message.string) for tag in LANGUAGES if tag != "en" for message in catalogue(tag) if message.id]
    assert all(paper.covered([text]) for text in texts)
    assert paper.covered(name.text for said in SAID.values() for name in said.names)


def test_a_name_with_a_character_that_our_fonts_lack_is_told_on_the_page() -> None:
    rare = replace(PLAIN, names=(Name("\U00030edd", "zh-Hans"),))  # a biang, as of the noodles
    assert not paper.covered(["\U00030edd"])
    said = " ".join(read(paper.pdf(rare)).pages[0].extract_text().split())
    assert "Some characters cannot be printed here" in said


@settings(max_examples=6)
@given(name=st.text(min_size=1, max_size=300), country=st.sampled_from(["KH", "LA", "MM", "CN", "TH"]))
def test_any_name_is_set_on_one_sheet(name: str, country: str) -> None:
    said = replace(PLAIN, country=country, names=(Name(name, "km"), Name(name, "en")))
    assert len(read(paper.pdf(said)).pages) == 1


def test_the_course_is_said_in_the_countrys_language_too() -> None:
    assert PLAIN.course is not None
    titles = {
        "zh-Hans": "\u7535\u6c14\u5b89\u88c5",
        **PLAIN.course.titles,
        "km": "\u17a2\u1782\u17d2\u1782\u17b7\u179f\u1793\u17b8",
    }
    course = replace(PLAIN.course, titles=titles)
    (row,) = [one for one in paper._rows(replace(PLAIN, course=course)) if one["label"][0]["text"] == "Course"]
    assert [one["lang"] for one in row["values"]][:2] == ["en", "km"]
    page = read(paper.pdf(replace(SAID["long"], course=course)))
    assert len(page.pages) == 1
    assert "Electrical installation and information" in " ".join(page.pages[0].extract_text().split())
