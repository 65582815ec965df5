"""A roster with a receipt beside each row: whatever was in the file, there is a workbook in the end."""

from io import BytesIO
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import load_workbook

from shared.rosters.books import open_book
from shared.rosters.workbooks import annotated
from tests.sheets import table

LONG = "Attendance of the second cohort 2025"


def sheets_called(*names: str) -> bytes:
    row = '<table:table-row><table:table-cell office:value="1"/></table:table-row>'
    return table("".join(f"<table:table table:name={quoteattr(name)}>{row}</table:table>" for name in names).encode())


@pytest.mark.parametrize(
    "names",
    [
        [LONG, LONG + " (2)", LONG + " (3)"],
        ["Trainees", "trainees", "TRAINEES"],
        ["A/B", "AB", "A:B", "A [B]", "A B"],
        ["x" * 30 + "'y", "x" * 30],
        ["'", "''", "?", "Sheet 1", "sheet 2"],
        ["History", "history", "HISTORY"],
        ["\U0001f600" * 20, "\U0001f600" * 16],
        ["İ" * 31, "i̇" * 31],
        ["A", "A"],
    ],
)
def test_sheets_whose_names_excel_takes_for_one(names: list[str]) -> None:
    book = load_workbook(BytesIO(annotated(open_book(sheets_called(*names)), [])))
    written = book.sheet_names
    assert len({name.lower() for name in written}) == len(names)
    for name in written:
        assert 0 < len(name.encode("utf-16-le")) / 2 <= 31
        assert not set(name) & set("[]:*?/\\")
        assert name.strip("'") == name
        assert name.lower() != "history"
        assert book.get_sheet_by_name(name).to_python() == [[1.0]]


@given(st.lists(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1), min_size=1, max_size=5))
def test_sheets_of_any_name(names: list[str]) -> None:
    book = open_book(sheets_called(*names))
    assert len(load_workbook(BytesIO(annotated(book, []))).sheet_names) == len(names)


def test_a_name_that_excel_takes_is_left_as_it_is() -> None:
    book = load_workbook(BytesIO(annotated(open_book(sheets_called("Trainees", "វត្តមាន", "it's")), [])))
    assert book.sheet_names == ["Trainees", "វត្តមាន", "it's"]


def test_a_number_that_is_none_is_shown_as_it_came() -> None:
    cells = "".join(f'<table:table-cell office:value="{number}"/>' for number in ("1e999", "-1e999", "nan", "2"))
    content = f'<table:table table:name="T"><table:table-row>{cells}</table:table-row></table:table>'
    book = load_workbook(BytesIO(annotated(open_book(table(content.encode())), [])))
    assert book.get_sheet_by_name("T").to_python() == [["inf", "-inf", "nan", 2.0]]
