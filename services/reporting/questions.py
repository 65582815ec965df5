"""Questions to the cube, as an address asks them: which measures, by what, of what, and as known when. No I/O."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import get_args

from services.reporting.domain import COUNTED, DIMENSIONS, MEASURES, NOT_APPLICABLE
from services.reporting.ledger import HOW_TO_ASK, Asked, NotAMoment
from services.reporting.measures import PEOPLE_BY
from services.reporting.partners import is_detail
from services.reporting.rates import BASES, NOT_BY, RATES, Basis
from shared.events.codes import AgeBand, Mode, Outcome, Sex, TraineeRole, YesNo

PARAMETERS = ("measure", "by", "from", "to", "basis", "as_of", *DIMENSIONS)

ASKED = (*COUNTED, *RATES)
"""What can be asked for by name: counts, what they leave out, and rates."""

_MONTHS = ("month", "start_month", "end_month")
NUMBERED = (*_MONTHS, "months_after")
"""Dimensions by time: any will do that is written as one."""
FIXED: Mapping[str, tuple[str, ...]] = {
    "sex": get_args(Sex),
    "role": get_args(TraineeRole),
    "age_band": get_args(AgeBand),
    "disability": get_args(YesNo),
    "mode": get_args(Mode),
    "outcome": get_args(Outcome),
}
"""Dimensions whose values are always these; what others have depends on what was told (``values``)."""
_MONTH = re.compile(r"(19|20|21)\d{2}-(0[1-9]|1[0-2])", re.ASCII)
_VALUE = re.compile(r"[A-Za-z0-9_-]{1,63}")


class UnknownQuestion(Exception):
    """A question that names something there is not; the message says what there is."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Question:
    """Which measures, by which dimensions, of which values only, in which months (both included), as known when."""

    measures: tuple[str, ...] = tuple(MEASURES)
    by: tuple[str, ...] = ()
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()
    from_month: str | None = None
    to_month: str | None = None
    as_of: Asked | None = None
    basis: Basis | None = None
    """Without one, rates follow cohorts and counts follow events."""
    own: str | None = None
    """The country to which detail is limited, as one that sends or hosts; None for who sees all of it."""

    @property
    def limited_to(self) -> str | None:
        """The country to which this question is limited, because it asks for detail."""
        return self.own if is_detail([*self.by, *(name for name, _ in self.where)]) else None

    @property
    def keeps_people(self) -> bool:
        """Whether people are kept counted by all that is asked: no months, no two values of which one person may have both."""
        single = all(len(values) == 1 for _, values in self.where)
        asked = {*self.by, *(name for name, _ in self.where)}
        together = not asked.issuperset({"cohort", "sex"})  # a cohort's people are not kept by sex
        together = together and self.limited_to is None
        return single and together and asked.issubset(PEOPLE_BY) and not (self.from_month or self.to_month)

    def basis_of(self, measure: str) -> Basis:
        """What ``from`` and ``to`` mean for a measure."""
        return self.basis or ("cohort" if measure in RATES else "event")


def read_question(parameters: Iterable[tuple[str, str]]) -> Question:
    """The question that an address's parameters ask; each may stand several times, or hold a list with commas.

    Raises ``UnknownQuestion``.
    """
    given: dict[str, list[str]] = {}
    for name, values in parameters:
        _known("parameter", [name], PARAMETERS)
        wanted = given.setdefault(name, [])
        wanted += [value for value in dict.fromkeys(values.split(",")) if value not in wanted]
    basis = _basis(given)
    question = Question(
        measures=_known("measure", given["measure"], ASKED) if "measure" in given else (),
        by=_known("dimension", given.get("by", []), DIMENSIONS),
        where=tuple((name, _values(name, given[name])) for name in DIMENSIONS if name in given),
        from_month=_month("from", given),
        to_month=_month("to", given),
        as_of=_asked("as_of", given),
        basis=basis,
    )
    if question.from_month and question.to_month and question.to_month < question.from_month:
        raise UnknownQuestion("invalid_month", "from lies after to.")
    if not question.measures:
        question = replace(question, measures=_all(question))
    check_rates(question)
    return question


def _all(question: Question) -> tuple[str, ...]:
    """All counts; people only where they are kept counted, because to count them anew takes its time."""
    return tuple(name for name in MEASURES if name != "people" or question.keeps_people)


def check_rates(question: Question) -> None:
    """Raise ``UnknownQuestion`` for a rate by what rates cannot be counted by."""
    rates = [name for name in question.measures if name in RATES]
    asked = {*question.by, *(name for name, _ in question.where)}
    if not rates:
        return
    if unfit := sorted(asked.intersection(NOT_BY)):
        raise UnknownQuestion("not_by", f"{rates[0]} is not by {unfit[0]}: only a part of what it counts has one.")
    if "month" in asked and question.basis_of(rates[0]) == "cohort":
        raise UnknownQuestion(
            "not_by", f"{rates[0]} follows cohorts: ask for end_month in the place of month, or for basis=event."
        )


def _known(what: str, names: list[str], known: Collection[str]) -> tuple[str, ...]:
    for name in names:
        if name not in known:
            # The name itself is not repeated: it may be anything.
            raise UnknownQuestion(f"unknown_{what}", f"There is no such {what}. There are: {', '.join(known)}.")
    return tuple(names)


def _values(name: str, values: list[str]) -> tuple[str, ...]:
    for value in values:
        if name in _MONTHS:
            _check_month(name, value)
        elif not _VALUE.fullmatch(value):
            raise UnknownQuestion("invalid_value", f"{name}: a value is made of letters, digits, - and _ (at most 63).")
        elif name == "months_after" and not value.isdecimal() and value != NOT_APPLICABLE:
            raise UnknownQuestion("invalid_value", f"{name}: write a number of months.")
        elif name in FIXED and value not in (*FIXED[name], NOT_APPLICABLE):
            raise UnknownQuestion("unknown_value", f"There is no such {name}. There are: {', '.join(FIXED[name])}.")
    return tuple(values)


def _month(name: str, given: dict[str, list[str]]) -> str | None:
    if name not in given:
        return None
    if len(given[name]) > 1:
        raise UnknownQuestion("invalid_month", f"{name}: give one month.")
    return _check_month(name, given[name][0])


def _basis(given: dict[str, list[str]]) -> Basis | None:
    if "basis" not in given:
        return None
    for basis in BASES:
        if given["basis"] == [basis]:
            return basis
    raise UnknownQuestion("unknown_basis", f"basis: give one of {', '.join(BASES)}.")


def _asked(name: str, given: dict[str, list[str]]) -> Asked | None:
    if name not in given:
        return None
    if len(given[name]) > 1:
        raise UnknownQuestion("invalid_moment", f"{name}: give one.")
    return read_moment(name, given[name][0])


def read_moment(name: str, asked: str | None) -> Asked | None:
    """A position or a moment that a parameter names. Raises ``UnknownQuestion``."""
    if asked is None:
        return None
    try:
        return Asked.read(asked)
    except NotAMoment:
        raise UnknownQuestion("invalid_moment", f"{name}: {HOW_TO_ASK}.") from None


def read_limit(asked: str) -> int:
    """How many lines a page is to have. Raises ``UnknownQuestion``."""
    if asked.isascii() and asked.isdigit() and len(asked) < 5 and 1 <= int(asked) <= 1000:
        return int(asked)
    raise UnknownQuestion("invalid_limit", "limit: write a number from 1 to 1000.")


def _check_month(name: str, value: str) -> str:
    if not _MONTH.fullmatch(value):
        raise UnknownQuestion("invalid_month", f"{name}: write a month as YYYY-MM, from 1900-01 to 2199-12.")
    return value
