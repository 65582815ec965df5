"""How a text file was saved. Spreadsheet programs do not say, so the encoding is taken whose header row is recognised; where that
leaves more than one, the one whose letters hang together; and where even that does, none.
"""

import codecs
import csv
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from shared.rosters.columns import KINDS, Kind, recognised

ENCODINGS: Final = ("utf-8-sig", "utf-16", "gb18030", "cp1252", "cp874")
"""What spreadsheet programs write: UTF-8 with or without its mark, UTF-16, Chinese, Western and Thai Windows."""
NAMES: Final = {
    **{name: name for name in ENCODINGS},
    "utf-8": "utf-8-sig",
    "utf8": "utf-8-sig",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "windows-1252": "cp1252",
    "tis-620": "cp874",
    "windows-874": "cp874",
}
DELIMITERS: Final = (",", ";", "\t")
_LOOKED_AT: Final = 256 * 1024
_HEADER_WITHIN: Final = 10

_THAI: Final = re.compile(
    "(?:[\u0e40-\u0e44]?[\u0e01-\u0e2e][\u0e31\u0e34-\u0e39\u0e47-\u0e4d]*[\u0e30\u0e32\u0e33\u0e46]?\u00a0?){2,}"
)
"""Thai as it is spelt: signs on consonants, and no letter by itself."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """How a text file is to be read."""

    encoding: str
    delimiter: str


def encoding_of(content: bytes, kind: Kind | None = None, named: str | None = None) -> Encoded | None:
    """How a file was saved; None when it cannot be told. ``named`` is what the officer says."""
    start = content[:_LOOKED_AT]
    if named is not None:
        candidates = [NAMES[named.lower()]] if named.lower() in NAMES else []
    elif start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        candidates = ["utf-16"]
    elif _decodes(content, "utf-8-sig"):
        candidates = ["utf-8-sig"]
    else:
        candidates = [name for name in ENCODINGS[2:] if _decodes(content, name)]
    found: list[tuple[int, Encoded]] = []
    for name in candidates:
        text = codecs.getincrementaldecoder(name)(errors="replace").decode(start)
        found += [(_headers(text, delimiter, kind), Encoded(name, delimiter)) for delimiter in DELIMITERS]
    best = max((fit for fit, _ in found), default=0)
    left = [encoded for fit, encoded in found if fit == best]
    if best == 0:
        # Unrecognised columns are told of by what reads the sheet; which encoding it is matters no more.
        return left[0] if left and len(candidates) == 1 else None
    if len({encoded.encoding for encoded in left}) > 1:
        left = [encoded for encoded in left if _hangs_together(start, encoded.encoding)]
    return left[0] if len({encoded.encoding for encoded in left}) == 1 else None


def _decodes(content: bytes, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for at in range(0, len(content), _LOOKED_AT):  # piece by piece: the text is four times as large
            decoder.decode(content[at : at + _LOOKED_AT])
        decoder.decode(b"", final=True)
    except UnicodeError:
        return False
    return True


def _headers(text: str, delimiter: str, kind: Kind | None) -> int:
    """How many headers are recognised in the best of the first rows."""
    best = 0
    for row in _rows(text, delimiter):
        best = max(best, *(recognised(each, row) for each in ((kind,) if kind else KINDS)))
    return best


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    lines = text.splitlines(keepends=True)[:_HEADER_WITHIN]
    try:
        yield from csv.reader(lines, delimiter=delimiter)
    except csv.Error:
        return


def _hangs_together(start: bytes, encoding: str) -> bool:
    """Whether the letters beyond ASCII are such as stand beside each other in that encoding's languages."""
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(start)
    runs = re.findall(r"[^\x00-\x7f]+", text)
    if encoding == "cp1252":  # an accent here and there, never a whole word of them
        return all(len(run) <= 2 and all(unicodedata.category(one)[0] == "L" for one in run) for run in runs)
    if encoding == "gb18030":
        ours = re.compile("[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef\u00b7]+")
        beside = re.search("[A-Za-z][\u4e00-\u9fff]|[\u4e00-\u9fff][a-z]", text)
        return beside is None and all(ours.fullmatch(run) for run in runs)
    return all(_THAI.fullmatch(run) for run in runs)
