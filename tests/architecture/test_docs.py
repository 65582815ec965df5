"""Pages that are made from the code are as the code is, and nothing in them is forgotten."""

import re
from pathlib import Path

import pytest

from docs.faults import FAULTS, INPUT
from docs.tables import BAD_BODIES, WRITTEN, bad_bodies, certifications_rules, enrolments_rules
from services.certification import rules as certification
from services.enrolment import sentences
from shared.events import offices_to_certification, offices_to_enrolment
from shared.events.envelope import REFUSALS
from shared.events.wire import Flaw
from tests.architecture.planting import ROOT

CONTRACT = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("shared/events/*.py"))
WIRE = (ROOT / "shared/events/wire.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", WRITTEN)
def test_a_page_is_as_the_code_is(page: str) -> None:
    assert (ROOT / "docs" / page).read_text(encoding="utf-8") == WRITTEN[page](), "run `make docs`"


def test_every_test_that_is_named_for_a_fault_is_there() -> None:
    for row in (*FAULTS, *INPUT):
        for test in row.tests:
            file, _, name = test.partition("::")
            assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), test


def test_every_type_has_its_rules() -> None:
    assert enrolments_rules().keys() == offices_to_enrolment.TYPES.keys()
    assert certifications_rules().keys() == offices_to_certification.TYPES.keys()


def test_every_code_of_a_guard_has_a_sentence() -> None:
    for rules in enrolments_rules().values():
        assert all(sentences.SENTENCES[code].endswith(".") for _, code in rules.guards)
    for rules in certifications_rules().values():
        assert all(certification.sentence(code).endswith(".") for _, code in rules.guards)


def test_every_code_that_reading_gives_is_explained() -> None:
    given = set(re.findall(r'PydanticCustomError\(\s*"(\w+)"', CONTRACT)) | set(
        re.findall(r'(?:refuse|return)\(?\s*"(\w+)",', CONTRACT)
    )
    assert given >= {"date_impossible", "missing_offset", "wrong_service", "time_in_future", "invalid_data"}
    assert given - REFUSALS.keys() - {flaw.value[0] for flaw in Flaw} == set()


def test_every_refusal_of_a_whole_body_is_shown() -> None:
    given = set(re.findall(r'BodyRefused\(\s*"(\w+)"', WIRE))
    assert {refused.code for refused in bad_bodies()} == given
    assert len(bad_bodies()) == len(BAD_BODIES)


def test_every_code_of_a_roster_is_explained() -> None:
    rooms = [*ROOT.glob("shared/rosters/*.py"), ROOT / "shared/rostering.py"]
    source = "\n".join(path.read_text(encoding="utf-8") for path in rooms)
    given = set(re.findall(r'(?:_wrong|Flaw|BookRefused)\(\s*"(\w+)"|code="(\w+)"', source))
    page = (ROOT / "docs/rosters.md").read_text(encoding="utf-8")
    assert {code for pair in given for code in pair if code and f"`{code}`" not in page} == set()


@pytest.mark.parametrize("path", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if "://" in target:
            continue
        there = path.parent / file if file else path
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there.read_text(encoding="utf-8")), target


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
