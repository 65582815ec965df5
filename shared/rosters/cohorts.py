"""How a roster is cut to be looked at: by cohorts, since what a row rests on may stand in another sheet among its cohort's."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from shared.rosters.rows import Key, Row
from shared.rosters.survey import Session, Survey

One = tuple[Key, Row | Session]
"""Something to take, and its key."""


def by_cohort(
    rows: Iterable[Row], found: Survey, settled: Callable[[Row], bool], portion: int, together: int
) -> Iterator[list[One]]:
    """What there is to take in portions of whole cohorts: so many that there are ``portion`` rows and sessions, or all there are.

    A cohort with more than ``together`` is cut; the rows of one trainee stay together as long as they are no more than that
    themselves. ``rows`` are all rows in the order of the survey; those that are ``settled`` are left out.
    """
    whole: list[One] = []
    for cohort in _cohorts(rows, found, settled):
        for some in [cohort] if len(cohort) <= together else _of_one_trainee(cohort):
            if whole and len(whole) + len(some) > together:
                yield whole
                whole = []
            whole += some
            while len(whole) > together:
                yield whole[:together]
                del whole[:together]
        if len(whole) >= portion:
            yield whole
            whole = []
    if whole:
        yield whole


def _cohorts(rows: Iterable[Row], found: Survey, settled: Callable[[Row], bool]) -> Iterator[list[One]]:
    """The rows and then the sessions of one cohort after the other, each as soon as its last row was read."""
    sessions, held = defaultdict[str, list[One]](list), defaultdict[str, list[One]](list)
    for key, session in found.sessions.items():
        sessions[key.cohort].append((key, session))
    for row in rows:
        to_take = not settled(row) and row.kind != "attendance"
        if row.key is None:
            continue
        cohort = row.key.cohort
        if to_take:
            held[cohort].append((row.key, row))
        if found.last.get(cohort) == (row.sheet, row.place):
            yield held.pop(cohort, []) + sessions.pop(cohort, [])
    yield from sessions.values()


def _of_one_trainee(cohort: Iterable[One]) -> Iterator[list[One]]:
    """The rows of one trainee after the other, then each session."""
    for _, some in groupby(sorted(cohort, key=_whose), key=_whose):
        yield list(some)


def _whose(one: One) -> tuple[bool, str, str]:
    key = one[0]
    return (True, "", key.part) if key.kind == "attendance" else (False, key.number, "")
