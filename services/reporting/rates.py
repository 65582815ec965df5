"""Rates: what share of whom. Each is two counts of the cube, and the first is part of the second by its rule. No I/O.

What is no part of the second, such as a completion without a start, is left out (``measures.EXCEPTIONS``): so no rate passes
100 % where both counts are of the same cohorts. Where both are of the events of a time, they may be of different people.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from services.reporting.measures import NO_ANSWER

Basis = Literal["cohort", "event"]
BASES: Mapping[Basis, str] = {
    "cohort": "Of the cohorts that were to end from the first month to the last: whatever happened in them, whenever.",
    "event": "Of what happened from the first month to the last, in whatever cohort.",
}
"""What from and to mean."""

NOT_BY = ("outcome", "months_after")
"""A rate cannot be broken down by what only a part of it has; by month only with ``basis=event``."""

_ANSWERS = ("employed", "self-employed", "studying", "teaching", "seeking")


@dataclass(frozen=True, slots=True)
class Term:
    """A count of the cube, of these values only, to be added or (-1) taken off."""

    measure: str
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sign: int = 1

    def takes(self, cell: Mapping[str, str]) -> bool:
        """Whether a cell is of this count; it must have the dimensions that ``only`` names."""
        return cell["measure"] == self.measure and all(cell[name] in values for name, values in self.only.items())


@dataclass(frozen=True, slots=True)
class Rate:
    """What is the share of what, in a sentence, and the counts of the two."""

    says: str
    numerator: tuple[Term, ...]
    denominator: tuple[Term, ...]

    @property
    def terms(self) -> tuple[Term, ...]:
        return (*self.numerator, *self.denominator)

    def parts(self, cells: Iterable[tuple[Mapping[str, str], int]]) -> tuple[int, int]:
        """Numerator and denominator, from cells with all their dimensions that a term asks for."""
        numerator = denominator = 0
        for cell, value in cells:
            numerator += sum(term.sign * value for term in self.numerator if term.takes(cell))
            denominator += sum(term.sign * value for term in self.denominator if term.takes(cell))
        return numerator, denominator


def _answers(months: str, *outcomes: str) -> Term:
    return Term("outcomes", {"months_after": (months,), "outcome": outcomes or _ANSWERS})


def _after(months: str) -> str:
    return "1 month" if months == "1" else f"{months} months"


def _response(months: str) -> Rate:
    outside = Term("answered_outside", {"months_after": (months,)}, -1)
    return Rate(
        f"Of those who completed, who told what they do {_after(months)} after; whoever was asked and did not say has not.",
        (_answers(months), outside),
        (Term("completed"),),
    )


def _employment(months: str) -> Rate:
    return Rate(
        f"Of those who told what they do {_after(months)} after, who is employed or self-employed.",
        (_answers(months, "employed", "self-employed"),),
        (_answers(months),),
    )


RATES: Mapping[str, Rate] = {
    "completion_rate": Rate(
        "Of those who started, who completed.",
        (Term("completed"), Term("completed_outside", sign=-1)),
        (Term("started"),),
    ),
    "pass_rate": Rate(
        "Of those assessed, who passed; once per scheme and level.",
        (Term("passed"), Term("passed_outside", sign=-1)),
        (Term("assessed"),),
    ),
    "certification_rate": Rate(
        "Of those assessed, here or by the awarding body alone, who was awarded a certificate; once per scheme and level.",
        (Term("certified"),),
        (Term("assessed"), Term("certified_outside")),
    ),
    "womens_share": Rate("Of those enrolled, women.", (Term("enrolled", {"sex": ("F",)}),), (Term("enrolled"),)),
    "response_rate_1": _response("1"),
    "response_rate_6": _response("6"),
    "employment_rate_1": _employment("1"),
    "employment_rate_6": _employment("6"),
}
"""Each rate, asked for by name like a measure."""

assert NO_ANSWER not in _ANSWERS
