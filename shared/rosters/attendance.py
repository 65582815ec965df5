"""A session's rows against what was said of it before: each remark of a trainee is a row by itself, and the last one said stands,
though all of them are one event. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.rosters.recognised import Recognised, Said, recognise, remarked_in, whole_numbers
from shared.rosters.rows import Key
from shared.rosters.statements import Keyed, Remembered, Statement, held, silent_of_a_session
from shared.rosters.survey import Session


@dataclass(frozen=True, slots=True)
class Attended:
    """What a session is by now. ``remarked`` says of each trainee how they attended, for how many hours, and when that was said.

    ``late`` are rows that were signed before others of the session which came first: they tell only of whom nothing was said
    since, and these are ``taken``. ``differs`` is whether they give the session another date, hours, trade or mode.
    """

    statement: Statement
    remarked: Mapping[str, Sequence[Any]]
    recognised: Recognised
    late: bool = False
    taken: frozenset[str] = frozenset()
    differs: bool = False


def attended(
    key: Key, one: Session, said: Iterable[Said], known: Remembered | None, at: datetime, keyed: Keyed
) -> Attended:
    """A session's rows, said at this moment, with what was ``said`` of it otherwise and what rows were ``known`` for."""
    said = list(said)
    there = (known or Remembered(said=remarked_in(said))).said
    mine = {number: [*remark, at.isoformat()] for number, remark in one.remarked.items()}
    record = next((other.data for other in reversed(said) if other.own), None)
    if known is not None and known.at is not None and known.at > at and record is not None:
        since = {number for number, remark in there.items() if _said_at(remark, known.at) > at}
        mine = {number: remark for number, remark in mine.items() if number not in since}
        statement = _as_recorded(key, record, one, {**there, **mine})
        recognised = recognise(said, [statement], keyed, known)
        terms = {name: one.terms[name] for name in ("date", "hours", "trade", "mode") if name in one.terms}
        differs = any(statement.data.get(name) != value for name, value in terms.items())
        return Attended(statement, {**there, **mine}, recognised, True, frozenset(mine), differs)
    # Who an earlier file remarked and this one leaves out stays as remarked: a row that is missing changes nothing.
    remarked = {**there, **mine}
    statement = held(key, one.terms, remarked)
    empty = {"trade", "group"} - statement.data.keys() if "held_for" in one.terms else ()
    silent = silent_of_a_session(one.terms, one.columns)
    return Attended(statement, remarked, recognise(said, [statement], keyed, known, empty=empty, silent=silent))


def _said_at(remark: Sequence[Any], otherwise: datetime) -> datetime:
    return datetime.fromisoformat(remark[2]) if len(remark) > 2 else otherwise


def _as_recorded(key: Key, record: Mapping[str, Any], one: Session, remarked: Mapping[str, Sequence[Any]]) -> Statement:
    """The session as it is on record, with these remarks."""
    terms = {"date": one.terms["date"], **whole_numbers(record)}
    statement = held(key, terms, remarked)
    if group := record.get("group"):
        statement = Statement(
            statement.name,
            statement.type,
            statement.day,
            {**statement.data, "group": sorted({*group, *one.remarked.keys() & remarked.keys()})},
        )
    return statement
