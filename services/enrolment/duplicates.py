"""Likely duplicates: enrolments whose names and birth dates are close in either script, though nothing links them.

Compared when somebody asks, from details that are opened for it: nothing that a name could be found by is kept. Only those are
compared that share something (a birth date, a year with the beginning of a name, a whole name), never all with all.
"""

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from rapidfuzz import fuzz

from services.enrolment.details import Details

CLOSE = 80
"""From 0 to 100: how alike two names must be when the birth dates are close."""
ALIKE = 95
"""The same when one of the two has no birth date."""
BEGINNING = 3
"""Letters of a name that two share, within one year of birth."""
BLOCK = 400
"""Enrolments that share something, at most: of a larger block nothing is compared, since what all share tells nobody apart."""
PAIRS = 200
"""Pairs that are listed, the likeliest first."""


@dataclass(frozen=True, slots=True)
class Likely:
    """Two enrolments (the smaller first) that may be one person's: how alike the names are, from 0 to 100, and the dates."""

    one: str
    other: str
    names: int
    birth_dates: str


def likely(details: Mapping[str, Details], settled: Callable[[str, str], bool]) -> list[Likely]:
    """The likeliest pairs, but those that are ``settled``: one person's already, or said to be two persons'."""
    found = {}
    for one, other in _sharing(details):
        if (one, other) in found or settled(one, other):
            continue
        compared = _compare(one, other, details[one], details[other])
        if compared is not None:
            found[one, other] = compared
    return sorted(found.values(), key=lambda pair: (-pair.names, pair.one, pair.other))[:PAIRS]


def _compare(one: str, other: str, here: Details, there: Details) -> Likely | None:
    names = _alike(here, there)
    dates = _dates(here.birth_date, there.birth_date)
    if dates is None or names < (ALIKE if dates == "unknown" else CLOSE):
        return None
    return Likely(one, other, names, dates)


def _alike(here: Details, there: Details) -> int:
    """In whichever script the two names are closer; the order of a name's parts does not matter."""
    written = [(_plain(here, script), _plain(there, script)) for script in ("romanised", "original")]
    return int(max((fuzz.token_sort_ratio(*names, score_cutoff=CLOSE) for names in written if all(names)), default=0))


def _dates(one: str | None, other: str | None) -> str | None:
    """How two birth dates are close: the same, written in another order, one digit off; None when they are not."""
    if one is None or other is None:
        return "unknown"
    if one == other:
        return "same"
    (year, month, day), (other_year, other_month, other_day) = one.split("-"), other.split("-")
    if year == other_year and (month, day) == (other_day, other_month):
        return "day and month exchanged"
    if sum(a != b for a, b in zip(one, other, strict=True)) == 1:
        return "one digit differs"
    return None


def _sharing(details: Mapping[str, Details]) -> Iterator[tuple[str, str]]:
    blocks: dict[tuple[str, ...], set[str]] = {}
    for enrolment, known in details.items():
        for block in _blocks(known):
            blocks.setdefault(block, set()).add(enrolment)
    for members in blocks.values():
        if len(members) <= BLOCK:
            yield from combinations(sorted(members), 2)


def _blocks(known: Details) -> Iterator[tuple[str, ...]]:
    born = known.birth_date
    if born:
        yield ("born", born)
    for script in ("romanised", "original"):
        name = _plain(known, script)
        if name:
            yield ("name", " ".join(sorted(name.split())))
            if born:
                for part in name.split():
                    yield ("year", born[:4], part[:BEGINNING])


def _plain(known: Details, script: str) -> str:
    """A name without what people write differently: case, accents, hyphens, and the invisible marks between words."""
    written = unicodedata.normalize("NFKD", (known.names or {}).get(script, "")).casefold().translate(_STROKES)
    letters = (" " if not _counts(letter) else letter for letter in written if not _unseen(letter))
    return " ".join("".join(letters).split())


_STROKES = str.maketrans("đðøł", "ddol")
"""Letters whose stroke is no accent of its own."""


def _counts(letter: str) -> bool:
    # Vowel signs of Khmer, Lao and Burmese are marks: without them, names of different people are one.
    return letter.isalnum() or unicodedata.category(letter) in ("Mc", "Mn")


def _unseen(letter: str) -> bool:
    """Accents of Latin letters, and what only tells where a line may break."""
    return unicodedata.category(letter) == "Cf" or "\u0300" <= letter <= "\u036f"
