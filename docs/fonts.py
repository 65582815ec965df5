"""The paper's fonts, cut from the originals to the characters that a certificate needs: ``python -m docs.fonts FOLDER``.

FOLDER holds the originals, as Debian's fonts-noto-core and fonts-noto-cjk install them (``/usr/share/fonts``). It needs
fonttools, and is run only when fonts are to change: what it wrote is in the repository (docs/decisions/0030-paper.md).
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from fontTools import subset
from fontTools.ttLib import TTFont

FONTS: Final = Path(__file__).parents[1] / "services" / "certification" / "fonts"
_PUNCTUATION: Final = (0x2000, 0x206F), (0x20A0, 0x20BF), (0x2100, 0x214F), (0x2190, 0x21FF)
_LATIN: Final = ((0x20, 0x24F), (0x2B0, 0x36F), (0x1E00, 0x1EFF), (0x25CC, 0x25CC), *_PUNCTUATION)
_CHINESE: Final = "chinese"
_KEPT: Final = (
    ("NotoSerif-Regular.ttf", _LATIN),
    ("NotoSerif-Bold.ttf", _LATIN),
    ("NotoSerif-Italic.ttf", _LATIN),
    ("NotoSans-Regular.ttf", _LATIN),
    ("NotoSans-Bold.ttf", _LATIN),
    ("NotoSerifKhmer-Regular.ttf", None),
    ("NotoSerifKhmer-Bold.ttf", None),
    ("NotoSansLao-Regular.ttf", None),
    ("NotoSansLao-Bold.ttf", None),
    ("NotoSansMyanmar-Regular.ttf", None),
    ("NotoSansMyanmar-Bold.ttf", None),
    ("NotoSerifCJK-Regular.ttc", _CHINESE),
)
"""A script with ``None`` is kept whole, without its hints: printers and screens of today do without."""


def main(folder: Path) -> None:
    """Write every font, and which characters they have."""
    FONTS.mkdir(exist_ok=True)
    covered: set[int] = set()
    for name, wanted in _KEPT:
        found = next(folder.rglob(name))
        # Of the five faces of a Chinese collection, the third is the one for simplified characters.
        font = TTFont(found, fontNumber=2 if found.suffix == ".ttc" else -1)
        options = subset.Options(hinting=False, layout_features=["*"], name_IDs=["*"], notdef_outline=True)
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=_chinese() if wanted is _CHINESE else _among(font.getBestCmap(), wanted))
        cutter.subset(font)
        suffix = ".otf" if "CFF " in font else ".ttf"
        font.save(FONTS / found.with_suffix(suffix).name.replace("CJK", "SC"))
        covered |= set(font.getBestCmap())
    (FONTS / "coverage.txt").write_text("".join(f"{first:04x}-{last:04x}\n" for first, last in _runs(covered)))


def _among(there: Iterable[int], wanted: tuple[tuple[int, int], ...] | None) -> set[int]:
    return {one for one in there if wanted is None or any(first <= one <= last for first, last in wanted)}


def _chinese() -> set[int]:
    """GB 2312: the 6,763 characters of everyday texts, with their punctuation."""
    codes: set[int] = set()
    for first in range(0xA1, 0xF8):
        for second in range(0xA1, 0xFF):
            try:
                codes |= {ord(one) for one in bytes((first, second)).decode("gb2312")}
            except UnicodeDecodeError:
                continue
    return codes | set(range(0x20, 0x7F)) | set(range(0x3000, 0x3020)) | set(range(0xFF00, 0xFF5F))


def _runs(codes: set[int]) -> Iterator[tuple[int, int]]:
    first = last = -1
    for code in sorted(codes):
        if code == last + 1:
            last = code
            continue
        if first >= 0:
            yield first, last
        first = last = code
    yield first, last


if __name__ == "__main__":
    main(Path(sys.argv[1]))
