"""A spreadsheet's errors (#N/A, #DIV/0!, Err:502) as text: the library reads their cells as empty ones, or as 0.

So where such a cell starts, its tag is written anew on the way, and what reads the cells finds the error's word in it.
"""

import re
from collections.abc import Mapping
from typing import Final
from xml.parsers import expat

_ATTRIBUTE: Final = re.compile(rb"""\s+([^\s=]+)\s*=\s*(?:"[^"]*"|'[^']*')""")
_TAG: Final = re.compile(rb"(<[^\s/>]+)((?:%s)*)" % _ATTRIBUTE.pattern)
_LONGEST: Final = 10_000
"""Characters in a formula's cell and its notes that are looked at for an error."""


def is_error(text: str) -> bool:
    """Whether this is what a spreadsheet shows where a formula failed, in whatever language its program speaks."""
    if text.startswith("#"):
        return text.rstrip("!?").isupper() and text.endswith(("!", "?", "A"))
    return bool(re.fullmatch(r"Err:[0-9]{3}", text))


class Mistakes:
    """The cells of one part that hold an error, by where their tags start; and the part with those tags written anew."""

    def __init__(self, parser: expat.XMLParserType) -> None:
        self._parser = parser
        self._held = bytearray()
        self._from = 0  # where in the part that is
        self._starts: list[int] = []
        self._formula: int | None = None  # where a formula's cell starts of which nobody knows yet whether it failed
        self._text = ""  # of its paragraph
        self._shown = 0

    def cell(self, attributes: Mapping[str, str]) -> None:
        """The tag that starts here is a cell's."""
        if attributes.get("t") == "e" or attributes.get("calcext:value-type") == "error":
            self._starts.append(self._parser.CurrentByteIndex)
        elif "table:formula" in attributes:  # only LibreOffice says of an error that it is one
            self._formula, self._text, self._shown = self._parser.CurrentByteIndex, "", 0
            self._parser.CharacterDataHandler = self._shows

    def _shows(self, text: str) -> None:
        self._text += text
        self._shown += len(text)
        if self._shown > _LONGEST:
            self._known()

    def paragraph_ends(self) -> None:
        """A paragraph ends here: of a cell, or of a note in it."""
        if self._formula is not None and is_error(self._text.strip()):
            self._starts.append(self._formula)
            self._known()
        self._text = ""

    def cell_ends(self) -> None:
        """A cell ends here."""
        if self._formula is not None:
            self._known()

    def _known(self) -> None:
        self._formula = None
        self._parser.CharacterDataHandler = None

    def rewritten(self, piece: bytes) -> bytes:
        """What may go on once this piece was parsed: all that came, but for the tag that is not at its end yet."""
        self._held += piece
        until = self._parser.CurrentByteIndex
        if self._formula is not None:
            until = min(until, self._formula)
        return self._upto(until)

    def rest(self) -> bytes:
        """What was held back, once the part is at its end."""
        return self._upto(self._from + len(self._held))

    def _upto(self, until: int) -> bytes:
        if until <= self._from:
            return b""
        done = bytearray()
        at = 0
        for start in self._starts:
            if start >= until:
                break
            tag = _TAG.match(self._held, start - self._from)
            assert tag is not None  # it was parsed
            done += self._held[at : tag.start()] + _as_text(tag[1], tag[2])
            at = tag.end()
        self._starts = [start for start in self._starts if start >= until]
        end = max(until - self._from, at)
        done += self._held[at:end]
        del self._held[:end]
        self._from += end
        return bytes(done)


def _as_text(name: bytes, attributes: bytes) -> bytes:
    ods = name.startswith(b"<table:")
    others = [
        one[0]
        for one in _ATTRIBUTE.finditer(attributes)  # one after the other, lest what stands within a value pass for one
        if not (one[1].startswith(b"office:") if ods else one[1] == b"t")
    ]
    as_text = b' office:value-type="string" office:string-value="#N/A"' if ods else b' t="str"'
    return name + b"".join(others) + as_text
