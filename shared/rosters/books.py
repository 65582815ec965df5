"""Files to sheets and rows of cells, in bounded memory: .xlsx and .ods by calamine, everything else as CSV.

A spreadsheet is a ZIP, and a small one can unpack to anything: ``unpacking`` looks at it before it is read.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from typing import Any, Final, Literal

from python_calamine import CalamineError, CalamineWorkbook, load_workbook

from shared.rosters.columns import KINDS, Column, Kind, kind_named, kind_of, sheets
from shared.rosters.encodings import Encoded, encoding_of
from shared.rosters.refusing import (
    COLUMNS_LIMIT,
    ROWS_LIMIT,
    BookRefused,
    no_spreadsheet,
    old_form,
    too_many_rows,
    unreadable,
)
from shared.rosters.unpacking import unpacked

FILE_LIMIT: Final = 16 * 1024 * 1024
"""Bytes in a file: it is held in memory, since names in it have no business on a disk."""
SHEETS_LIMIT: Final = 20
HEADER_WITHIN: Final = 10
"""The header is looked for in so many rows from the top: many put a title above it."""


_NO_TEXT: Final = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"{\\rtf", b"<?xml", b"<html", b"<!DOC")
"""How files begin that are sent by mistake, or are spreadsheets in a form that is not read, and would pass for text."""


@dataclass(frozen=True, slots=True)
class Found:
    """One sheet of a file: what it is, in which row its header stands (from 1), and its columns by position."""

    name: str
    kind: Kind | None
    header: int
    columns: tuple[Column | None, ...]

    @property
    def twice(self) -> tuple[Column, ...]:
        """Columns that stand there twice."""
        known = [column for column in self.columns if column]
        return tuple({column.key: column for column in known if known.count(column) > 1}.values())

    @property
    def missing(self) -> tuple[Column, ...]:
        """Required columns that are not there."""
        if self.kind is None:
            return ()
        there = {column.key for column in self.columns if column}
        sheet = sheets()[self.kind]
        return tuple(column for column in sheet.columns if column.key in set(sheet.required) - there)


class Book:
    """A file that was looked at and can be read, several times if need be."""

    def __init__(self, content: bytes, form: Literal["xlsx", "ods", "csv"], encoded: Encoded | None, name: str) -> None:
        self.form = form
        self._content = content
        self._encoded = encoded
        self._name = name
        self.sheets: list[Found] = []

    def rows(self, sheet: str) -> Iterator[tuple[int, Sequence[Any]]]:
        """Every row of a sheet with its number as the spreadsheet shows it. Raises ``BookRefused``."""
        rows = self._of_text() if self._encoded else self._of_spreadsheet(sheet)
        for place, cells in rows:
            if place > ROWS_LIMIT:
                raise too_many_rows()
            yield place, cells

    def names(self) -> list[str]:
        """The names of its sheets."""
        if self._encoded:
            return [self._name]
        with self._open() as book:
            return list(book.sheet_names)

    def _of_spreadsheet(self, sheet: str) -> Iterator[tuple[int, Sequence[Any]]]:
        with self._open() as book:
            try:
                read = book.get_sheet_by_name(sheet)
            except (CalamineError, ValueError):
                raise unreadable() from None
            right = read.start[1] if read.start else 0  # the library leaves out what lies left of the first value
            for place, cells in enumerate(read.iter_rows(), 1):
                yield place, [None] * right + list(cells)

    def _of_text(self) -> Iterator[tuple[int, Sequence[Any]]]:
        assert self._encoded
        with TextIOWrapper(BytesIO(self._content), encoding=self._encoded.encoding, newline="") as file:
            place = 0
            try:
                for place, cells in enumerate(csv.reader(file, delimiter=self._encoded.delimiter, strict=True), 1):
                    if self.sheets and place >= self.sheets[0].header:
                        width = len(self.sheets[0].columns)
                        if any(_swallowed(cell, width, self._encoded.delimiter) for cell in cells):
                            raise _never_closed(place)
                    yield place, cells
            except csv.Error:
                raise _never_closed(place + 1) from None
            except UnicodeError:
                raise BookRefused(
                    "encoding_unknown", f"The file is not wholly in {self._encoded.encoding}. Save it as UTF-8."
                ) from None

    def _open(self) -> CalamineWorkbook:
        try:
            return load_workbook(BytesIO(self._content))
        except (CalamineError, OSError, ValueError):
            raise unreadable() from None


def open_book(content: bytes, *, name: str = "roster", kind: Kind | None = None, encoding: str | None = None) -> Book:
    """Look at a file: its form, its sheets, their headers.

    ``kind`` says what a CSV file holds (it is recognised by its columns otherwise), ``encoding`` how it was saved, ``name`` what
    its one sheet is called in answers. Raises ``BookRefused``.
    """
    if len(content) > FILE_LIMIT:
        raise BookRefused(
            "file_too_large",
            f"The file is larger than {FILE_LIMIT // 1024 // 1024} MB. Send it in parts; sending twice is safe.",
        )
    start = content[:8]
    if not start:
        raise BookRefused("file_empty", "The file is empty.")
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        raise old_form()
    if start.startswith(_NO_TEXT):
        raise no_spreadsheet()
    if not start.startswith(b"PK"):
        encoded = encoding_of(content, kind, encoding)
        if encoded is None:
            raise BookRefused(
                "encoding_unknown",
                "It cannot be told how this text file was saved. Save it as CSV in UTF-8, or as .xlsx or .ods.",
            )
        book = Book(content, "csv", encoded, name)
        book.sheets = [_found(book, name, kind)]
        return book
    form, safe = unpacked(content)
    book = Book(safe, form, None, name)
    names = book.names()
    if len(names) > SHEETS_LIMIT:
        raise BookRefused(
            "too_many_sheets", f"The file has more than {SHEETS_LIMIT} sheets. Leave those that belong here."
        )
    book.sheets = [_found(book, each, kind_named(each)) for each in names]
    return book


def _swallowed(cell: str, width: int, delimiter: str) -> bool:
    """Whether a cell has further rows of a text file in it, since its quotation mark is closed only in one of them.

    Where one row goes on in the next, there are as many delimiters between the two places as there are in a row. A remark may
    have several lines, and hardly ever so many.
    """
    if width < 2 or ("\n" not in cell and "\r" not in cell):
        return False
    found = [line.count(delimiter) for line in re.split(r"\r\n|\r|\n", cell)]
    return max(found) >= width - 1 or sum(found) >= (width - 1) * (len(found) - 1)


def _never_closed(place: int) -> BookRefused:
    return BookRefused(
        "file_unreadable",
        f"The file cannot be read as CSV: look for a quotation mark that is not closed, or not doubled, in row {place}.",
        row=place,
    )


def letter_of(position: int) -> str:
    """A column as spreadsheets name it: 0 is A, 26 is AA."""
    letters = ""
    position += 1
    while position:
        position, rest = divmod(position - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _found(book: Book, name: str, kind: Kind | None) -> Found:
    best = Found(name, kind, 0, ())
    for place, cells in book.rows(name):
        if place > HEADER_WITHIN:
            break
        headers = [cell if isinstance(cell, str) else "" for cell in cells[:COLUMNS_LIMIT]]
        meant = kind or kind_of(headers)
        if meant is None:
            continue
        columns = tuple(sheets()[meant].find(header) for header in headers)
        if sum(map(bool, columns)) > sum(map(bool, best.columns)):
            best = Found(name, meant, place, columns)
    return best


def kinds_named(names: Sequence[str]) -> list[Kind]:
    """The kinds of sheets that were asked for by name, in any language. Raises ``BookRefused``."""
    asked: list[Kind] = []
    for name in names:
        kind = kind_named(name)
        if kind is None:
            raise BookRefused("unknown_sheet", f"sheet: name one of {', '.join(KINDS)}.")
        with suppress(ValueError):
            asked.remove(kind)
        asked.append(kind)
    return asked
