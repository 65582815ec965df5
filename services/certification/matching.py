"""Whether a name that somebody typed is the one of a certificate. Pure: no name is kept, and nothing is said but yes or no."""

import unicodedata
from collections.abc import Iterable


def is_one_of(typed: str, names: Iterable[str]) -> bool:
    """Whether what was typed is one of these names, in whichever order its words come."""
    wanted = _words(typed)
    return bool(wanted) and any(wanted == _words(name) for name in names)


def _words(name: str) -> list[str]:
    """The words of a name in order of the alphabet, without case, signs that nobody sees, and marks between words."""
    written = unicodedata.normalize("NFKC", name).casefold()
    kept = (
        one if unicodedata.category(one)[0] in "LMN" else "" if unicodedata.category(one) == "Cf" else " "
        for one in written
    )
    return sorted("".join(kept).split())
