"""Headers and sheets' names: recognised in five languages, whatever people put around them."""

from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rosters.columns import KINDS, LANGUAGES, folded, kind_named, kind_of, sheets, words


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_header_is_recognised_in_every_language(kind: str, language: str) -> None:
    sheet = next(sheet for name, sheet in sheets().items() if name == kind)
    assert kind_named(sheet.titles[language]) == kind
    for column in sheet.columns:
        assert sheet.find(column.titles[language]) is column
        assert column.help[language]
    assert kind_of([column.titles[language] for column in sheet.columns]) == kind


@given(
    st.sampled_from(
        ["Birth date", " birth-date *", "BIRTH_DATE", "Date of birth:", "Birth date (YYYY-MM-DD)", "出生日期"]
    )
)
def test_headers_as_people_write_them(header: str) -> None:
    found = sheets()["trainees"].find(header)
    assert found
    assert found.key == "birth_date"


@pytest.mark.parametrize(
    "choice",
    sorted({column.of for sheet in sheets().values() for column in sheet.columns if column.of} | {"country"}),
)
def test_no_word_means_two_things(choice: str) -> None:
    assert words(choice)


def test_a_header_of_accents_without_end_is_nobodys_and_holds_nobody_up() -> None:
    known = sheets()["trainees"]
    began = monotonic()
    assert known.find("a" + "\u0301\u0323" * 8_000) is None
    assert folded("E\u0301 1") == folded("\u00e91")
    assert monotonic() - began < 0.2


def test_columns_that_are_nobodys_are_of_no_kind() -> None:
    assert kind_of(["a", "b"]) is None
    assert kind_of(["Cohort"]) is None
