"""A session's rows against what was said of it before: each remark of a trainee is a row by itself, and the last one said stands,
though all of them are one event. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from shared.rosters.recognised import Recognised, Said, recognise, remarked_in, whole_numbers
from shared.rosters.rows import Key
from shared.rosters.statements import Keyed, Remembered, Statement, held, says_anew, silent_of_a_session
from shared.rosters.survey import Session

_PRESENT: Final = ("present", None)


@dataclass(frozen=True, slots=True)
class Attended:
    """What a session is by now. ``remarked`` says of each trainee how they attended, for how many hours, and when that was said.

    ``late`` are rows that were signed before others of the session which came first: they tell only of whom nothing was said
    since, and these are ``taken``. ``differs`` is whether they give the session another date, hours, trade or mode.
    ``otherwise`` are the trainees of whom the rows say what they said before, and the office said something else by hand since.
    """

    statement: Statement
    remarked: Mapping[str, Sequence[Any]]
    recognised: Recognised
    late: bool = False
    taken: frozenset[str] = frozenset()
    differs: bool = False
    otherwise: frozenset[str] = frozenset()


def attended(
    key: Key, one: Session, said: Iterable[Said], known: Remembered | None, at: datetime, keyed: Keyed
) -> Attended:
    """A session's rows, said at this moment, with what was ``said`` of it otherwise and what rows were ``known`` for."""
    said = list(said)
    mine = {number: [*remark, at.isoformat()] for number, remark in one.remarked.items()}
    record = next((other.data for other in reversed(said) if other.own), None)
    there = _by_now(known, record, said)
    if known is not None and known.at is not None and known.at > at and record is not None:
        since = {number for number, remark in there.items() if _said_at(remark, known.at) > at}
        mine = {number: remark for number, remark in mine.items() if number not in since}
        statement = _as_recorded(key, record, one, {**there, **mine})
        recognised = recognise(said, [statement], keyed, known)
        terms = {name: one.terms[name] for name in ("date", "hours", "trade", "mode") if name in one.terms}
        differs = any(statement.data.get(name) != value for name, value in terms.items())
        return Attended(statement, {**there, **known.said, **mine}, recognised, True, frozenset(mine), differs)
    # Who an earlier file remarked and this one leaves out stays as remarked: a row that is missing changes nothing.
    rows = known.said if known is not None else there
    group = (record or {}).get("group") or ()
    silent = silent_of_a_session(one.terms, one.columns)
    new = {number for number, remark in one.remarked.items() if known is None or _remark(known, number) != remark}
    joined = group and "group" in silent and not new <= {*group}
    silent -= {"group"} if joined else set()
    statement = held(key, one.terms, {**rows, **mine})
    statement = _in_a_group(statement, {*group, *new}) if joined else statement
    empty = {"trade", "group"} - statement.data.keys() if "held_for" in one.terms else ()
    recognised = recognise(said, [statement], keyed, known, empty=empty, silent=silent)
    if record is None or known is None or not says_anew(statement, known, silent, keyed):
        return Attended(statement, {**rows, **mine}, recognised)
    # It says something new: that goes with what is on record by now, which the office may have corrected by hand since.
    statement = held(key, one.terms, {**there, **{number: mine[number] for number in new}})
    if joined or (group and "group" in statement.data):
        statement = _in_a_group(statement, {*group, *new})
    recognised = recognise(said, [statement], keyed, known, empty=empty, silent=silent)
    as_before = one.remarked.keys() - new
    otherwise = frozenset(n for n in as_before if tuple(there.get(n, _PRESENT)[:2]) != tuple(one.remarked[n]))
    return Attended(statement, {**there, **rows, **mine}, recognised, otherwise=otherwise)


def _by_now(
    known: Remembered | None, record: Mapping[str, Any] | None, said: Iterable[Said]
) -> Mapping[str, Sequence[Any]]:
    """How each trainee attended: as it is on record, with the moments at which rows said it and whom they called present."""
    if known is not None and record is None:
        return known.said
    remarked = remarked_in(said)
    by_rows = known.said if known is not None else {}
    return remarked | {number: [*remarked.get(number, _PRESENT), *by_rows[number][2:]] for number in by_rows}


def _remark(known: Remembered, number: str) -> list[Any]:
    return list(known.said.get(number, ())[:2])


def _said_at(remark: Sequence[Any], otherwise: datetime) -> datetime:
    return datetime.fromisoformat(remark[2]) if len(remark) > 2 else otherwise


def _as_recorded(key: Key, record: Mapping[str, Any], one: Session, remarked: Mapping[str, Sequence[Any]]) -> Statement:
    """The session as it is on record, with these remarks."""
    terms = {"date": one.terms["date"], **whole_numbers(record)}
    statement = held(key, terms, remarked)
    group = record.get("group")
    return _in_a_group(statement, {*group, *one.remarked.keys() & remarked.keys()}) if group else statement


def _in_a_group(statement: Statement, group: Iterable[str]) -> Statement:
    return replace(statement, data={**statement.data, "group": sorted(group)})
