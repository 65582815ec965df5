"""Cells: what is taken, what is offered, what is refused, and that nothing is repaired silently."""

from contextlib import suppress
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rosters.cells import OFFERS, Around, Flaw, Wrong, is_empty, plain_digits, read_cell
from shared.rosters.columns import Column, sheets

COLUMNS: dict[str, Column] = {column.key: column for sheet in sheets().values() for column in sheet.columns}


def value(column: str, cell: Any, *accepted: str, **around: Any) -> Any:
    return read_cell(cell, COLUMNS[column], Around(frozenset(accepted), **around))


def flaw(column: str, cell: Any, *accepted: str, **around: Any) -> Flaw:
    with pytest.raises(Wrong) as wrong:
        value(column, cell, *accepted, **around)
    assert wrong.value.flaw.sentence.endswith(".")
    assert wrong.value.flaw.todo
    return wrong.value.flaw


@pytest.mark.parametrize(
    "cell",
    [
        date(2004, 5, 17),
        datetime(2004, 5, 17, 9, 30),  # noqa: DTZ001 - a spreadsheet's have no zone
        "2004-05-17",
        "2004/5/17",
        "2004.05.17",
        "17/05/2004",
        "05/17/2004",
        "17 May 2004",
        "May 17, 2004",
        "17-May-2004",
        "2004年5月17日",
        " 2004-05-17\u200b",
        "២០០៤-០៥-១៧",
        "໒໐໐໔-໐໕-໑໗",
        "၂၀၀၄-၀၅-၁၇",
        "２００４-０５-１７",
        "٢٠٠٤-٠٥-١٧",
    ],
)
def test_dates_in_stated_forms(cell: Any) -> None:
    assert value("birth_date", cell) == "2004-05-17"


def test_a_day_that_is_its_own_month_can_be_read_either_way() -> None:
    assert value("birth_date", "05/05/2004") == "2004-05-05"


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("03/04/2025", "date_ambiguous"),
        ("31/02/2005", "date_impossible"),
        ("2005-02-30", "date_impossible"),
        ("17/05/04", "date_impossible"),
        (45000.0, "date_impossible"),
        ("yesterday", "date_impossible"),
        ("17 Mai 2004", "date_impossible"),
        ("1850-01-01", "date_impossible"),
        ("13/13/2004", "date_impossible"),
    ],
)
def test_dates_that_are_refused(cell: Any, code: str) -> None:
    assert flaw("birth_date", cell).code == code


@pytest.mark.parametrize("cell", ["2547-05-17", "17/05/2547", date(2547, 5, 17), "២៥៤៧-០៥-១៧"])
def test_a_buddhist_year_is_offered_and_taken_only_when_accepted(cell: Any) -> None:
    found = flaw("birth_date", cell)
    assert found.code == "buddhist_year"
    assert found.offer
    assert (found.offer.accept, found.offer.value) == ("buddhist-years", "2004-05-17")
    assert value("birth_date", cell, "buddhist-years") == "2004-05-17"
    assert flaw("birth_date", "2547-02-30", "buddhist-years").code == "date_impossible"


@given(st.dates(date(1900, 1, 1), date(2100, 12, 31)))
def test_a_date_is_the_same_as_a_date_and_as_text(day: date) -> None:
    assert value("birth_date", day) == value("birth_date", day.isoformat()) == day.isoformat()


@pytest.mark.parametrize("cell", ["012345678", "០១២៣៤៥៦៧៨", "０１２３４５６７８", " 012345678 "])
def test_an_identifier_keeps_its_zeros(cell: str) -> None:
    assert value("national_id", cell) == "012345678"


@pytest.mark.parametrize("cell", ["1.2E+11", "1,2E+11", "1.2e11", 120_000_000_000.0, 1.2e17, 12.5, True])
def test_a_number_that_lost_digits_is_refused_with_the_reason(cell: Any) -> None:
    found = flaw("national_id", cell, *OFFERS)
    assert found.code == "digits_lost"
    assert "1.2E+11" in found.sentence


def test_a_number_in_a_column_of_text_is_offered_digit_by_digit() -> None:
    found = flaw("number", 1.0)
    assert found.code == "not_text"
    assert found.offer
    assert (found.offer.accept, found.offer.value) == ("whole-numbers", "1")
    assert value("number", 1.0, "whole-numbers") == "1"


@given(st.text(max_size=40))
def test_digits_of_every_script_are_digits(text: str) -> None:
    plain = plain_digits(text)
    assert len(plain) == len(text)
    assert all(letter.isascii() or not letter.isdecimal() for letter in plain)


@pytest.mark.parametrize(
    ("column", "cell", "code"),
    [
        ("sex", "ស្រី", "F"),
        ("sex", "ຊາຍ", "M"),
        ("sex", "မ", "F"),
        ("sex", "女", "F"),
        ("sex", "Female ", "F"),
        ("result", "合格", "pass"),
        ("result", "ຜ່ານ", "pass"),
        ("attendance", "អវត្តមាន", "absent"),
        ("level", "高级技师", "senior-technician"),
        ("level", "Senior Technician", "senior-technician"),
        ("level", "a-level-of-another-scheme", "a-level-of-another-scheme"),
        ("country", "ສປປ ລາວ", "LA"),
        ("country", "kh", "KH"),
        ("disability", False, "no"),
        ("trade", "Cabling", "cabling"),
    ],
)
def test_words_in_five_languages(column: str, cell: Any, code: str) -> None:
    assert value(column, cell) == code


@pytest.mark.parametrize(
    ("column", "cell", "code"),
    [
        ("sex", "maybe", "unknown_word"),
        ("level", "5", "level_by_number"),
        ("country", "Atlantis", "unknown_country"),
        ("trade", "electrical work", "invalid_code"),
        ("name", "??? ????", "letters_lost"),
        ("name", "two\nlines", "invalid_text"),
        ("name", 12.0, "not_text"),
        ("name", "#REF!", "formula_error"),
        ("birth_date", "#N/A", "formula_error"),
        ("theory_mark", "#DIV/0!", "formula_error"),
        ("attempt", "Err:502", "formula_error"),
        ("name", "x" * 301, "too_long"),
        ("name", date(2025, 1, 1), "not_text"),
        ("hours", "25", "hours_impossible"),
        ("hours", 1.234, "hours_impossible"),
        ("hours", "some", "not_a_number"),
        ("theory_mark", -1, "mark_impossible"),
        ("session", 1.5, "not_whole"),
        ("name_language", "Khmer language", "unknown_language"),
    ],
)
def test_what_is_refused(column: str, cell: Any, code: str) -> None:
    assert flaw(column, cell).code == code


def test_numbers_with_a_comma_and_in_other_scripts() -> None:
    assert value("hours", "3,5") == 3.5
    assert value("hours", "៣") == 3
    assert value("theory_mark", "၈၂") == 82


@pytest.mark.parametrize(
    "cell", ["1,000", "1.000", "12,345", "1,000.5", "1_0", "1e1", "1E2", "5.", "1 000", "--1", "85 %", "85%", "", "½"]
)
@pytest.mark.parametrize("column", ["theory_mark", "theory_out_of", "hours", "session", "attempt"])
def test_a_number_that_could_be_another_is_refused(column: str, cell: str) -> None:
    assert flaw(column, cell).code == "not_a_number"


@pytest.mark.parametrize(
    ("cell", "mark"),
    [("0,125", 0.125), ("1000", 1000), ("1000,125", 1000.125), (".5", 0.5), (82.125, 82.125), (1e-7, 1e-7), ("+5", 5)],
)
def test_a_number_that_can_only_be_one(cell: Any, mark: float) -> None:
    assert value("theory_mark", cell) == mark


@pytest.mark.parametrize("cell", ["can; suPa", "Xun suxa#", "esA¦ µkñ", "xMu ¬Kwm", "mñü GIt", "suPa"])
def test_a_khmer_name_in_an_old_font_is_refused(cell: str) -> None:
    assert flaw("name", cell, country="KH").code == "legacy_font"
    assert value("name", cell, "as-written", country="KH") == cell


def test_a_lao_name_in_an_old_font_is_refused() -> None:
    assert flaw("name", "ทาวสมไซ", country="LA").code == "legacy_font"
    assert flaw("name", "Somsay", language="lo").code == "legacy_font"


@pytest.mark.parametrize("cell", ["Chan Sophea", "Jean-Luc O'Brien", "McDonald", "José Peña", "DARA SOK", "ចាន់ សុភា"])
def test_a_name_in_latin_or_khmer_letters_is_taken(cell: str) -> None:
    assert value("name", cell, country="KH") == cell


@pytest.mark.parametrize(
    ("cell", "empty"), [("", True), (None, True), (" \u200b\u00a0", True), (0, False), ("-", False)]
)
def test_what_counts_as_empty(cell: Any, empty: bool) -> None:
    assert is_empty(cell) is empty


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("cell", [float("inf"), float("-inf"), float("nan"), 1e300])
def test_a_number_that_is_none_is_a_flaw_of_its_cell(column: str, cell: float) -> None:
    assert flaw(column, cell)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("cell", ["1e999999999", "-1E+5000", "9" * 5000, "NaN", "Infinity", "1e-999999999"])
def test_a_number_that_is_written_beyond_all_bounds_is_a_flaw_or_a_text(column: str, cell: str) -> None:
    with suppress(Wrong):
        assert len(str(value(column, cell))) <= 300
