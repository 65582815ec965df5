"""A figure beside what it was: what came and what went, by why and whose they are, and in a sentence. No I/O."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from pydantic import BaseModel

from services.reporting.ledger import Asked, Step
from services.reporting.queries import Number
from services.reporting.rates import RATES
from services.reporting.reckoning import Counted, Reckoner

REASONS_TOLD = 3


class Reason(BaseModel):
    """What many lines have in common that came or went: why, and of which sending centre or, without one, of which cohort.

    Of lines that the caller may not see there is neither: they are counted together.
    """

    direction: Literal["came", "went"]
    why: Literal["reached", "trainee", "cohort", "certificate", "recounted"]
    sending_centre: str | None
    cohort: str | None
    enrolments: int
    difference: Number
    of_difference: int | None = None


class Comparison(BaseModel):
    """A figure beside what it was, in a sentence, and why; of a rate ``value`` is the numerator, and ``of`` the denominator."""

    asked: str
    position: dict[str, int]
    value: Number
    difference: Number
    of: int | None = None
    of_difference: int | None = None
    sentence: str
    reasons: list[Reason]


def parts(lines: Mapping[str, Counted], key: str) -> tuple[int, int]:
    """What a line counts, and its part of a rate's denominator."""
    line = lines.get(key)
    return (line.value, line.of) if line else (0, 0)


def compared(
    reckoner: Reckoner,
    compare: Asked,
    then: Step,
    now: Mapping[str, Counted],
    before: Mapping[str, Counted],
    why: Callable[[str], str],
    seen: Collection[str],
) -> Comparison:
    """What came and went, and ``why``; sending centres and cohorts are named of the lines that are ``seen``, and of no others."""
    groups: dict[_Group, Counter[str]] = defaultdict(Counter)
    for key in now.keys() | before.keys():
        value, of = (new - old for new, old in zip(parts(now, key), parts(before, key), strict=True))
        if not (value or of):
            continue
        line, its_why = now.get(key) or before[key], why(key)
        centre = line.sending_centre if key in seen and its_why != "cohort" else None
        cohort = line.cohort if key in seen and not centre else None
        group = _Group("came" if (value or of) > 0 else "went", its_why, centre, cohort, (of > 0) - (of < 0))
        groups[group].update({"enrolments": 1, "value": value, "of": of})
    rate = reckoner.measure in RATES
    reasons = [
        Reason.model_validate(
            {
                "direction": group.direction,
                "why": group.why,
                "sending_centre": group.centre,
                "cohort": group.cohort,
                "enrolments": sums["enrolments"],
                "difference": reckoner.shown(sums["value"]),
                "of_difference": sums["of"] if rate else None,
            }
        )
        for group, sums in sorted(groups.items(), key=lambda one: (-one[1]["enrolments"], str(one[0])))
    ]
    value, of = _sums(now)
    value_then, of_then = _sums(before)
    told, told_then = str(reckoner.shown(value)), str(reckoner.shown(value_then))
    if rate:
        told, told_then = f"{told} of {of}", f"{told_then} of {of_then}"
    return Comparison(
        asked=compare.text,
        position=dict(then.position),
        value=reckoner.shown(value_then),
        difference=reckoner.shown(value - value_then),
        of=of_then if rate else None,
        of_difference=of - of_then if rate else None,
        sentence=_sentence(told, told_then, compare, reasons),
        reasons=reasons,
    )


class _Group(NamedTuple):
    """What is counted together; ``of`` is which way the lines moved in a rate's denominator."""

    direction: str
    why: str
    centre: str | None
    cohort: str | None
    of: int


def _sums(lines: Mapping[str, Counted]) -> tuple[int, int]:
    return sum(line.value for line in lines.values()), sum(line.of for line in lines.values())


_WORDS = {
    "reached": "reached us after {when}",
    "trainee": "{was} changed after {when}",
    "cohort": "{counts} otherwise, because the cohort was changed after {when}",
    "certificate": "{counts} otherwise by assessments and certificates that reached us after {when}",
    "recounted": "{was} counted otherwise",
}


def _sentence(now: str, before: str, compare: Asked, reasons: Sequence[Reason]) -> str:
    """ "86, not 74: 12 enrolments of ntti reached us after 2025-05-03." """
    if not reasons:
        return f"{now}, as it was known at {compare.text}."
    told = [
        f"{one.enrolments} {'enrolment' if one.enrolments == 1 else 'enrolments'}{_whose(one)} "
        + _WORDS[one.why].format(
            when=compare.text,
            was="was" if one.enrolments == 1 else "were",
            counts="counts" if one.enrolments == 1 else "count",
        )
        + _no_longer(one)
        for one in reasons[:REASONS_TOLD]
    ]
    left = len(reasons) - len(told)
    more = f"; and {left} further reasons" if left else ""
    beginning = f"{now}, not {before}" if now != before else f"{now} again, but of others"
    return f"{beginning}: {'; '.join(told)}{more}."


def _no_longer(reason: Reason) -> str:
    if reason.direction == "came":
        return ""
    # What went out of a rate's numerator may be in its denominator as before.
    still = reason.of_difference is not None and reason.of_difference >= 0
    return f" and no longer {'counts' if reason.enrolments == 1 else 'count'}{' in the first number' if still else ''}"


def _whose(reason: Reason) -> str:
    named = reason.sending_centre or reason.cohort
    return f" of {named}" if named else ""
