"""Khmer and Lao typed with a font from before Unicode: what is stored are Latin or Thai letters, which mean nothing without it.

Such a font (Limon, ABC or Khek for Khmer; Alice, Saysettha of old or LaoTH for Lao) drew Khmer or Lao letters in the places of
others. There were dozens with layouts of their own, and the cell no longer says which it was: it cannot be turned back safely,
so it is refused. What is looked for is what no name in Latin letters has.
"""

import re
from typing import Final

_SCRIPTS: Final = {"km": re.compile("[\u1780-\u17ff]"), "lo": re.compile("[\u0e80-\u0eff]")}
_OF_COUNTRY: Final = {"KH": "km", "LA": "lo"}
_LETTERS_IN_WRONG_PLACES: Final = re.compile(
    r"[A-Za-z][;:\[\]{}|\\^~_=+<>@#$%&*\"!?/]"  # a sign within or after a word
    r"|[;:\[\]{}|\\^~_=+<>@#$%&*\"!?/][A-Za-z]"
    r"|\b(?!Mc|Mac|De|Di|La|Le|O['’])[A-Za-z]*[a-z][A-Z]"  # a capital within a word
    r"|\b[A-Z]{2,}[a-z]"
    r"|[A-Za-z][0-9]|[0-9][A-Za-z]"
    r"|[\u00a1-\u00bf\u00d7\u00f7\u0192\u02c6\u02dc\u2020-\u2022\u2026\u2030\u2039\u203a\u2122]"  # symbols of Windows' Latin
    r"|[\ue000-\uf8ff]"  # a symbol font's own places
)
_ACCENTED: Final = re.compile("[\u00c0-\u00ff]")
_THAI: Final = re.compile("[\u0e01-\u0e5b]")


def is_legacy(text: str, language: str | None, country: str | None) -> bool:
    """Whether a Khmer or Lao name was typed with a font from before Unicode.

    ``language`` is what the row says the name's is; without it the sending country's script is looked for, and a plain name in
    Latin letters passes.
    """
    said = (language or "").split("-")[0].lower()
    expected = said or _OF_COUNTRY.get(country or "", "")
    script = _SCRIPTS.get(expected)
    if script is None or script.search(text):
        return False
    if said and re.search(r"[^\W\d_]", text):  # letters, and none of them of the language that the row names
        return True
    if expected == "lo" and _THAI.search(text):
        return True
    accents = len(_ACCENTED.findall(text))
    return bool(_LETTERS_IN_WRONG_PLACES.search(text)) or accents * 2 > sum(map(str.isalpha, text))
