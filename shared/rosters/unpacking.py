"""What a spreadsheet unpacks to: a small ZIP can hold anything, so that it is looked at before the library reads it.

The library makes room for every cell up to the last one: a single one at XFD1048576 would take all memory there is. It also
takes XML that is none, finds its sheets under any name, and has its own idea of a ZIP's directory. So it is given a new archive,
with nothing in it but XML that was parsed here and whose cells were counted as the library counts them: by names as they are
written, whatever the namespaces say.
"""

import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import lru_cache
from io import BytesIO
from typing import Final, Literal, Protocol
from xml.parsers import expat

from shared.rosters.mistakes import Mistakes
from shared.rosters.refusing import (
    COLUMNS_LIMIT,
    ROWS_LIMIT,
    BookRefused,
    no_spreadsheet,
    old_form,
    too_many_columns,
    too_many_rows,
    unreadable,
)

UNPACKED_LIMIT: Final = 200 * 1024 * 1024
"""Bytes in a spreadsheet once it is unpacked."""
PARTS_LIMIT: Final = 2_000
CELLS_LIMIT: Final = 4_000_000
"""Cells that the library may make room for, empty ones among them: 50,000 rows of 80."""
TAGS_LIMIT: Final = 20_000_000
"""Tags in all parts of a spreadsheet: reading a million takes a second."""
PIECE: Final = 1 << 20
"""Bytes of a part that are looked at together."""
SPACES_LIMIT: Final = 1_000
"""Spaces in a row that an .ods may say by a number."""

_PLACE: Final = re.compile(r"([A-Za-z]*)([0-9]+)")
_NOT_NEEDED: Final = ("customxml/", "docprops/")
_ODS_CELLS: Final = frozenset({"table:table-cell", "table:covered-table-cell"})
_ENCRYPTION: Final = "manifest:encryption-data"
_MANIFEST: Final = "META-INF/manifest.xml"

Attributes = Mapping[str, str]


class _Extents(Protocol):
    """Counts the cells of one part. Raises ``BookRefused`` when they are too many, or nobody can tell where they are."""

    mistakes: Mistakes | None

    def starts(self, name: str, attributes: Attributes, /) -> None: ...
    def ends(self, name: str, /) -> None: ...
    def says(self, text: str, /) -> None: ...


def unpacked(content: bytes) -> tuple[Literal["xlsx", "ods"], bytes]:
    """The form of a spreadsheet, and a ZIP of those of its parts that matter, within the limits. Raises ``BookRefused``."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            inside = archive.infolist()
            if sum(part.file_size for part in inside) > UNPACKED_LIMIT or len(inside) > PARTS_LIMIT:
                raise BookRefused(
                    "unpacked_too_large",
                    f"The spreadsheet unpacks to more than {UNPACKED_LIMIT // 1024 // 1024} MB. Leave out pictures.",
                )
            names = [part.filename for part in inside]
            if len(set(names)) < len(names):
                raise unreadable()
            with closing(_Parts(archive)) as parts:
                if "xl/workbook.xml" in names:
                    return "xlsx", _of_xlsx(parts, names)
                if "content.xml" in names:
                    return "ods", _of_ods(parts, names)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, OSError, RuntimeError, EOFError):
        raise unreadable() from None
    raise no_spreadsheet()


class _Parts:
    """Parts of a spreadsheet piece by piece, each after it was looked at; and a new archive of those that are copied."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._size = self._tags = 0
        self._file = BytesIO()
        self._safe = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)

    def copy(self, name: str, extents: _Extents) -> None:
        with self._safe.open(name, "w") as copy:
            for piece in self.checked(name, extents):
                copy.write(piece)

    def write(self, name: str, content: bytes) -> None:
        self._safe.writestr(name, content)

    def head(self, name: str) -> bytes:
        with self._archive.open(name) as part:
            return part.read(100)

    def checked(self, name: str, extents: _Extents, *, doctype: bool = False) -> Iterator[bytes]:
        # As UTF-8 whatever it says of itself: the library reads bytes, and might find other tags in them.
        parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler = extents.starts
        parser.EndElementHandler = extents.ends
        parser.CharacterDataHandler = extents.says
        parser.EntityDeclHandler = _refuse
        extents.mistakes = mistakes = Mistakes(parser)
        if not doctype:
            parser.StartDoctypeDeclHandler = _refuse
        try:
            with self._archive.open(name) as part:
                while piece := part.read(PIECE):
                    self._size += len(piece)
                    self._tags += piece.count(b"<")
                    if self._size > UNPACKED_LIMIT or self._tags > TAGS_LIMIT:
                        raise BookRefused(
                            "unpacked_too_large", "The spreadsheet holds more than can be read. Send it in parts."
                        )
                    if b"\0" in piece:  # UTF-16, which the parser would tell by its first two bytes
                        raise unreadable()
                    parser.Parse(piece, False)
                    yield mistakes.rewritten(piece)
            parser.Parse(b"", True)
            yield mistakes.rest()
        except expat.ExpatError:
            raise unreadable() from None

    def packed(self) -> bytes:
        self.close()
        return self._file.getvalue()

    def close(self) -> None:
        self._safe.close()


def _of_xlsx(parts: _Parts, names: list[str]) -> bytes:
    """The XML parts: which of them are sheets, others of them say, so each is looked at as if it were one."""
    texts = _SharedTexts()
    for name in names:
        lower = name.lower()
        if lower.endswith((".xml", ".rels")) and not lower.startswith(_NOT_NEEDED):
            if lower.endswith("sharedstrings.xml"):
                if texts.lengths:
                    raise unreadable()
                parts.copy(name, _XlsxExtents(texts, texts.lengths))
            else:
                parts.copy(name, _XlsxExtents(texts, []))
    texts.check()
    return parts.packed()


def _of_ods(parts: _Parts, names: list[str]) -> bytes:
    if _MANIFEST in names:
        for _ in parts.checked(_MANIFEST, _Encryption(), doctype=True):
            pass
    if "mimetype" in names:
        parts.write("mimetype", parts.head("mimetype"))
    parts.write(_MANIFEST, b"<manifest/>")
    parts.copy("content.xml", _OdsExtents())
    return parts.packed()


def _refuse(*_: object) -> None:
    raise unreadable()


class _Encryption:
    mistakes: Mistakes | None = None

    def starts(self, name: str, _: Attributes) -> None:
        if name == _ENCRYPTION:
            raise old_form()

    def ends(self, name: str) -> None:
        pass

    def says(self, text: str) -> None:
        pass


class _SharedTexts:
    """Texts that cells name by their number: the library writes each out for every cell."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.named: Counter[int] = Counter()
        """How often each; -1 is one of which it cannot be told which."""

    def check(self) -> None:
        longest = max(self.lengths, default=0)
        known = len(self.lengths)
        total = sum(
            times * (self.lengths[number] if 0 <= number < known else longest) for number, times in self.named.items()
        )
        if total > UNPACKED_LIMIT:
            raise _too_much_text()


class _XlsxExtents:
    """A cell without a place is right of the one before, a row without a number below the one before."""

    mistakes: Mistakes | None = None

    def __init__(self, texts: _SharedTexts, lengths: list[int]) -> None:
        """``lengths`` are for the texts of this part."""
        self._texts = texts
        self._lengths = lengths
        self._begins = {"c": self._cell, "row": self._line, "si": self._text, "sst": self._texts_begin}
        self._said: list[str] | None = None  # of a text, or of a text's number, that is open
        self._shared = False  # the cell that is open names a text by its number
        self._row = self._column = 0  # of the next cell that does not say it, from 0
        self._place: tuple[int, int] | None = None  # of the cell that is open
        self._last_row = self._last_column = 0

    def starts(self, name: str, attributes: Attributes) -> None:
        local = name.rpartition(":")[2] if ":" in name else name
        if (begins := self._begins.get(local)) is not None:
            begins(attributes)
        elif self._place is not None:  # a cell that holds something: those that only look well may be anywhere
            row, column = self._place
            if row >= self._last_row or column >= self._last_column:
                self._last_row = max(self._last_row, row + 1)
                self._last_column = max(self._last_column, column + 1)
                _bounded(self._last_row, self._last_column)
            if self._shared and local == "v":
                self._said = []

    def _cell(self, attributes: Attributes) -> None:
        if self._place is not None:
            raise unreadable()
        self._shared = attributes.get("t") == "s"
        place = attributes.get("r")
        if place is None:
            self._place = self._row, self._column
        else:
            row, column = _place(place)
            if column < 0:
                raise unreadable()
            self._place, self._column = (row, column), column
        if self.mistakes:
            self.mistakes.cell(attributes)

    def _line(self, attributes: Attributes) -> None:
        if self._place is not None:
            raise unreadable()
        if "r" in attributes:
            self._row, _ = _place(attributes["r"])

    def _text(self, _: Attributes) -> None:
        if self._said is not None or self._place is not None:
            raise unreadable()
        self._said = []

    def _texts_begin(self, attributes: Attributes) -> None:
        if _number(attributes.get("uniqueCount", "0")) > TAGS_LIMIT:  # the library makes room for so many
            raise unreadable()

    def says(self, text: str) -> None:
        if self._said is not None:
            self._said.append(text)

    def ends(self, name: str) -> None:
        local = name.rpartition(":")[2] if ":" in name else name
        if local == "c":
            self._place = None
            self._column += 1
        elif local == "v" and self._said is not None and self._place is not None:
            # In several pieces, as with a comment between them, the library may read another number.
            number = self._said[0] if len(self._said) == 1 else ""
            self._texts.named[int(number) if number.isdecimal() and len(number) < 10 else -1] += 1
            self._said = None
        elif local == "si" and self._said is not None:
            self._lengths.append(sum(map(len, self._said)))
            self._said = None
        elif local == "row":
            self._row += 1
            self._column = 0


def _place(written: str) -> tuple[int, int]:
    """A place as row and column from 0; the column is -1 when there is none."""
    found = _PLACE.fullmatch(written)
    if found is None:
        raise unreadable()
    letters, digits = found[1], found[2]
    if len(digits) > 9:
        raise too_many_rows()
    if len(letters) > 5:
        raise too_many_columns()
    row = int(digits) - 1
    if row < 0:
        raise unreadable()
    return row, _position(letters)


@lru_cache(maxsize=1000)
def _position(letters: str) -> int:
    column = 0
    for letter in letters.upper():
        column = column * 26 + ord(letter) - 64
    return column - 1


class _OdsExtents:
    """Rows and cells say how often they are repeated. All sheets of a file are in memory at once."""

    mistakes: Mistakes | None = None

    def __init__(self) -> None:
        self._open: list[str] = []  # tables, rows and cells
        self._rows = 0  # before this one
        self._repeated = 0  # of this row
        self._column = 0
        self._pending = 0  # empty cells, for which room is made when another one comes
        self._width = 0
        self._made = 0  # in rows before they are repeated
        self._area = 0  # of the sheets before
        self._said = 0  # characters in this cell
        self._times = 0  # for which it stands
        self._text = 0  # in all cells

    def starts(self, name: str, attributes: Attributes) -> None:
        if name == "table:table":
            self._opens(name, ())
            self._rows = self._repeated = self._width = 0
        elif name == "text:s":
            spaces = _number(attributes.get("text:c", "1"))
            if spaces > SPACES_LIMIT:
                raise unreadable()
            self._said += spaces
        elif not self._open:  # what was changed, and is shown nowhere
            return
        elif name == "table:table-row":
            self._opens(name, ("table:table",))
            self._rows += self._repeated
            self._repeated = _number(attributes.get("table:number-rows-repeated", "1"))
            self._column = self._pending = 0
        elif name in _ODS_CELLS:
            self._opens(name, ("table:table", "table:table-row"))
            self._cell(attributes)
            if self.mistakes:
                self.mistakes.cell(attributes)

    def _cell(self, attributes: Attributes) -> None:
        repeated = _number(attributes.get("table:number-columns-repeated", "1"))
        written = "table:formula" in attributes or any(key.startswith("office:") for key in attributes)
        self._column += repeated
        self._said = sum(map(len, attributes.values()))
        self._times = repeated * self._repeated if written else 0
        self._made += self._pending
        self._pending = 0 if written else repeated
        if written:
            self._width = max(self._width, self._column)
            _bounded(self._rows + self._repeated, self._width, self._area)
            self._made += repeated
        if self._made > CELLS_LIMIT:
            raise _too_many_cells()

    def ends(self, name: str) -> None:
        if self.mistakes and name == "text:p":
            self.mistakes.paragraph_ends()
        elif self.mistakes and name in _ODS_CELLS:
            self.mistakes.cell_ends()
        if self._open and name == self._open[-1]:
            self._open.pop()
            if name in _ODS_CELLS:
                self._text += self._said * self._times
                if self._text > UNPACKED_LIMIT:
                    raise _too_much_text()
            if name == "table:table":
                self._area += (self._rows + self._repeated) * self._width if self._width else 0

    def says(self, text: str) -> None:
        self._said += len(text)

    def _opens(self, name: str, within: tuple[str, ...]) -> None:
        if tuple(self._open) != within:
            raise unreadable()
        self._open.append(name)


def _number(written: str) -> int:
    if not (written.isascii() and written.isdecimal() and len(written) < 10):
        raise unreadable()
    return int(written)


def _bounded(rows: int, columns: int, more: int = 0) -> None:
    if rows > ROWS_LIMIT:
        raise too_many_rows()
    if columns > COLUMNS_LIMIT:
        raise too_many_columns()
    if rows * columns + more > CELLS_LIMIT:
        raise _too_many_cells()


def _too_much_text() -> BookRefused:
    return BookRefused("unpacked_too_large", "The cells hold more text than can be read. Send them in parts.")


def _too_many_cells() -> BookRefused:
    return BookRefused(
        "too_many_rows",
        f"A sheet reaches over more than {CELLS_LIMIT:,} cells. Send it in parts; sending twice is safe.",
    )
