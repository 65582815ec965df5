"""A figure beside what it was: what came and what went, by why and whose they are, and in a sentence. No I/O."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal

from pydantic import BaseModel

from services.reporting.ledger import Asked, Step
from services.reporting.queries import Number
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


class Comparison(BaseModel):
    """A figure beside what it was, in a sentence, and why."""

    asked: str
    position: dict[str, int]
    value: Number
    difference: Number
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
    found: Counter[tuple[str, str, str | None, str | None]] = Counter()
    differences: Counter[tuple[str, str, str | None, str | None]] = Counter()
    for key in now.keys() | before.keys():
        difference = parts(now, key)[0] - parts(before, key)[0]
        if not difference:
            continue
        line, its_why = now.get(key) or before[key], why(key)
        centre = line.sending_centre if key in seen and its_why != "cohort" else None
        cohort = line.cohort if key in seen and not centre else None
        reason = "came" if difference > 0 else "went", its_why, centre, cohort
        found[reason] += 1
        differences[reason] += difference
    reasons = [
        Reason.model_validate(
            {
                "direction": direction,
                "why": why,
                "sending_centre": centre,
                "cohort": cohort,
                "enrolments": number,
                "difference": reckoner.shown(differences[direction, why, centre, cohort]),
            }
        )
        for (direction, why, centre, cohort), number in sorted(found.items(), key=lambda one: (-one[1], str(one[0])))
    ]
    value = sum(line.value for line in before.values())
    total = sum(line.value for line in now.values())
    return Comparison(
        asked=compare.text,
        position=dict(then.position),
        value=reckoner.shown(value),
        difference=reckoner.shown(total - value),
        sentence=_sentence(reckoner.shown(total), reckoner.shown(value), compare, reasons),
        reasons=reasons,
    )


_WORDS = {
    "reached": "reached us after {when}",
    "trainee": "{was} changed after {when}",
    "cohort": "{counts} otherwise, because the cohort was changed after {when}",
    "certificate": "{counts} otherwise by assessments and certificates that reached us after {when}",
    "recounted": "{was} counted otherwise",
}


def _sentence(now: Number, before: Number, compare: Asked, reasons: Sequence[Reason]) -> str:
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
        + (" and no longer counts" if one.enrolments == 1 else " and no longer count") * (one.direction == "went")
        for one in reasons[:REASONS_TOLD]
    ]
    left = len(reasons) - len(told)
    more = f"; and {left} further reasons" if left else ""
    beginning = f"{now}, not {before}" if now != before else f"{now} again, but of others"
    return f"{beginning}: {'; '.join(told)}{more}."


def _whose(reason: Reason) -> str:
    named = reason.sending_centre or reason.cohort
    return f" of {named}" if named else ""
