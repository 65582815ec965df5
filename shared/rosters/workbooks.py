"""Spreadsheets that are handed out: the template, and a roster with a receipt beside each row.

Strings are written as strings: what begins with = in somebody's cell is no formula in ours.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from io import BytesIO
from math import isfinite
from typing import Any, Final

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from shared.rosters.answers import RowAnswer
from shared.rosters.books import Book, Found
from shared.rosters.columns import KINDS, Column, Sheet, codes, sheets, word
from shared.rosters.refusing import COLUMNS_LIMIT

_EXPLAINED: Final = {"en": "Read me", "km": "សូមអាន", "lo": "ກະລຸນາອ່ານ", "my": "ဖတ်ပါ", "zh": "填写说明"}
_LISTS: Final = "Codes"
OUR_OWN: Final = (*_EXPLAINED.values(), _LISTS)
"""Sheets of the template that hold no rows."""
ROWS: Final = 20_000
"""Rows of the template that have drop-downs."""
SHEET_NAME: Final = 31
"""So long may a sheet's name be in Excel."""
_OPTIONS: Final = {
    "in_memory": True,  # names have no business on a disk
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
_COLOURS: Final = {
    "accepted": "#e2f0d9",
    "duplicate": "#eeeeee",
    "waiting": "#fff2cc",
    "conflict": "#fce4d6",
    "rejected": "#f8cbad",
}
RECEIPT: Final = ("Receipt", "Why", "What to do")
"""Headers of the columns that are added; no column of a roster is called so."""


def template(language: str, choices: Mapping[str, Sequence[str]] | None = None) -> bytes:
    """An empty workbook in one of the languages. ``choices`` are an office's own codes by column, for more drop-downs."""
    file = BytesIO()
    with xlsxwriter.Workbook(file, _OPTIONS) as book:
        bold = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bg_color": "#ddebf7", "border": 1})
        formats = {
            "text": book.add_format({"num_format": "@"}),
            "day": book.add_format({"num_format": "yyyy-mm-dd"}),
            "wrapped": book.add_format({"text_wrap": True, "valign": "top"}),
        }
        pages = {kind: book.add_worksheet(sheets()[kind].titles[language]) for kind in KINDS}
        _explain(book.add_worksheet(_EXPLAINED[language]), language, bold, formats["wrapped"])
        lists = book.add_worksheet(_LISTS)
        lists.hide()
        places: dict[str, str] = {}
        for kind, page in pages.items():
            sheet = sheets()[kind]
            page.freeze_panes(1, 2)
            page.set_row(0, 32)
            for at, column in enumerate(sheet.columns):
                form = formats["text"] if column.is_text else formats["day"] if column.kind == "day" else None
                page.set_column(at, at, 16, form)
                page.write_string(0, at, column.titles[language], bold)
                said = _codes_of(column, choices or {})
                if said:
                    source = places.get(column.key) or _list(lists, len(places), said)
                    places[column.key] = source
                    page.data_validation(1, at, ROWS, at, _drop_down(source, column))
    return file.getvalue()


Said = Callable[[RowAnswer], Sequence[str]]
"""What is written beside a row, a text for each header."""


def receipt(answer: RowAnswer) -> Sequence[str]:
    """What is written beside a row for programs and in English, under ``RECEIPT``."""
    said = [f"{one.column}: {one.sentence}" if one.column else one.sentence for one in answer.remarks()]
    return answer.status, " ".join(said), answer.todo


def annotated(
    book: Book, answers: Iterable[RowAnswer], headers: Sequence[str] = RECEIPT, said: Said = receipt
) -> bytes:
    """The roster as it came, with what became of each row beside it, under these headers."""
    by_row = {(answer.sheet, answer.row): (answer.status, said(answer)) for answer in answers}
    file = BytesIO()
    with xlsxwriter.Workbook(file, _OPTIONS) as out:
        formats = {status: out.add_format({"bg_color": colour}) for status, colour in _COLOURS.items()}
        formats |= {"day": out.add_format({"num_format": "yyyy-mm-dd"}), "bold": out.add_format({"bold": True})}
        formats |= {"text": out.add_format({"num_format": "@"})}
        names = _sheet_names([found.name for found in book.sheets])
        for name, found in zip(names, book.sheets, strict=True):
            _annotate(out.add_worksheet(name), book, found, by_row, headers, formats)
    return file.getvalue()


def _explain(page: Worksheet, language: str, bold: Format, wrapped: Format) -> None:
    page.set_column(0, 1, 26, wrapped)
    page.set_column(2, 2, 10, wrapped)
    page.set_column(3, 4, 60, wrapped)
    for at, name in enumerate(("sheet", "column", "needed", "meaning", "codes")):
        page.write_string(0, at, word(name, language), bold)
    lines = ((sheets()[kind], column) for kind in KINDS for column in sheets()[kind].columns)
    for row, (sheet, column) in enumerate(lines, 1):
        for at, text in enumerate(_explained(sheet, column, language)):
            page.write_string(row, at, text)


def _explained(sheet: Sheet, column: Column, language: str) -> tuple[str, ...]:
    needed = "✓" if column.key in sheet.required else ""
    listed = ", ".join(codes(column.of)) if column.of else ""
    return sheet.titles[language], column.titles[language], needed, column.help[language], listed


def _codes_of(column: Column, choices: Mapping[str, Sequence[str]]) -> Sequence[str]:
    return choices.get(column.key) or (
        codes(column.of) if column.of else codes("country") if column.kind == "country" else ()
    )


def _list(page: Worksheet, at: int, said: Sequence[str]) -> str:
    """Write a list of codes in a column of its own; the range that a drop-down names."""
    for row, code in enumerate(said):
        page.write_string(row, at, code)
    letter = xlsxwriter.utility.xl_col_to_name(at)
    return f"={_LISTS}!${letter}$1:${letter}${len(said)}"


def _drop_down(source: str, column: Column) -> dict[str, Any]:
    # Words in other languages are understood too, so that a code that is not in the list is only asked about.
    del column
    return {"validate": "list", "source": source, "error_type": "warning"}


def _sheet_names(names: Sequence[str]) -> list[str]:
    """The names of sheets as Excel takes them: without some signs, short, no two alike but for case."""
    taken = {"history"}  # Excel keeps it for itself
    usable = []
    for number, name in enumerate(names, 1):
        wanted = "".join(letter for letter in name if letter not in "[]:*?/\\").strip("'") or f"Sheet {number}"
        called, again = _cut(wanted, SHEET_NAME), 1
        while called.lower() in taken:
            again += 1
            ending = f" ({again})"
            called = _cut(wanted, SHEET_NAME - len(ending)) + ending
        taken.add(called.lower())
        usable.append(called)
    return usable


def _cut(name: str, units: int) -> str:
    """Excel counts UTF-16's units, and wants no apostrophe at the end."""
    return name.encode("utf-16-le")[: 2 * units].decode("utf-16-le", errors="ignore").rstrip("'")


def _annotate(
    page: Worksheet,
    book: Book,
    found: Found,
    by_row: Mapping[tuple[str, int], tuple[str, Sequence[str]]],
    headers: Sequence[str],
    formats: Mapping[str, Format],
) -> None:
    beside = len(found.columns)
    while beside and found.columns[beside - 1] is None:
        beside -= 1  # empty columns that only look like some
    widest = beside
    rows = 0
    for place, cells in book.rows(found.name):
        rows = place
        for at, cell in enumerate(cells[:COLUMNS_LIMIT]):
            _write(page, place - 1, at, cell, found, formats)
            if cell not in (None, ""):
                widest = max(widest, at + 1)
    if not found.header:
        return
    for at, header in enumerate(headers):
        page.write_string(found.header - 1, widest + at, header, formats["bold"])
    page.set_column(widest, widest, 12)
    page.set_column(widest + 1, widest + 2, 60)
    for place in range(1, rows + 1):
        answer = by_row.get((found.name, place))
        if answer is None:
            continue
        status, texts = answer
        for at, text in enumerate(texts):
            page.write_string(place - 1, widest + at, text, formats[status])


def _write(page: Worksheet, row: int, at: int, cell: Any, found: Found, formats: Mapping[str, Format]) -> None:
    if cell is None or cell == "":
        return
    if isinstance(cell, bool):
        page.write_boolean(row, at, cell)
    elif isinstance(cell, int | float) and isfinite(cell):
        page.write_number(row, at, cell)
    elif isinstance(cell, datetime | date) and cell.year >= 1900:
        page.write_datetime(row, at, cell, formats["day"])
    elif isinstance(cell, timedelta):
        page.write_number(row, at, cell.total_seconds() / 86_400)
    else:
        column = found.columns[at] if at < len(found.columns) else None
        page.write_string(row, at, str(cell), formats["text"] if column and column.is_text else None)
