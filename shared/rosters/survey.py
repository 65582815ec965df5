"""A first reading of a roster, before anything is taken: how many rows, which say the same thing twice or contradict each other,
and what each session was. Only keys and digests are held, so a long file takes little memory.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from typing import Any, Final

from shared.rosters.books import Book, Found
from shared.rosters.cells import Flaw
from shared.rosters.rows import Address, Key, Row, read_rows
from shared.rosters.statements import Keyed

_TERMS: Final = ("date", "hours", "trade", "held_for", "mode")


@dataclass(slots=True)
class Session:
    """One session, from all of its rows that are right by themselves: what they agree on, who was remarked; and the first row of
    it that is not right."""

    terms: dict[str, Any]
    remarked: dict[str, list[Any]] = field(default_factory=dict)
    rows: list[tuple[Address, str]] = field(default_factory=list)
    columns: set[str] = field(default_factory=set)
    """Those of the sheets in which its rows stand."""
    broken_by: Address | None = None


@dataclass(slots=True)
class Survey:
    """What a first reading found."""

    rows: int = 0
    keys: set[Key] = field(default_factory=set)
    clashes: dict[Address, Flaw] = field(default_factory=dict)
    """Rows that contradict another one."""
    repeated: dict[Address, Address] = field(default_factory=dict)
    """Rows that say again what an earlier one said."""
    sessions: dict[Key, Session] = field(default_factory=dict)
    last: dict[str, Address] = field(default_factory=dict)
    """Of each cohort, the last row that has a key, attendance apart."""


def survey(book: Book, sheets: Iterable[Found], accepted: Set[str], keyed: Keyed) -> Survey:
    """Read these sheets once. Raises ``BookRefused``."""
    found = Survey()
    first: dict[Key, tuple[Address, str]] = {}
    for sheet in sheets:
        for row in read_rows(book, sheet, accepted):
            found.rows += 1
            if row.key is not None:
                _compare(found, first, row, row.key, keyed)
            if row.kind == "attendance":
                _gather(found, row)
            elif row.key is not None:
                found.last[row.key.cohort] = (row.sheet, row.place)
    return found


def _compare(found: Survey, first: dict[Key, tuple[Address, str]], row: Row, key: Key, keyed: Keyed) -> None:
    here, digest = (row.sheet, row.place), keyed(row.values)
    found.keys.add(key)
    there, said = first.setdefault(key, (here, digest))
    if there == here:
        return
    if said == digest and not row.complaints:
        found.repeated[here] = there
        return
    found.clashes[here] = _contradicts(there)
    found.clashes.setdefault(there, _contradicts(here))


def _gather(found: Survey, row: Row) -> None:
    values, here = row.values, (row.sheet, row.place)
    if "cohort" not in values or "session" not in values:
        return
    key = Key("attendance", values["cohort"], "", str(values["session"]))
    terms = row.says(*_TERMS)
    if "trade" in terms:
        terms.setdefault("held_for", "trade")
    session = found.sessions.setdefault(key, Session(terms))
    session.columns |= row.columns
    if row.complaints:
        session.broken_by = session.broken_by or here
        return
    if here in found.clashes:
        session.broken_by = session.broken_by or here
    elif terms != session.terms:
        found.clashes[here] = Flaw(
            "session_differs",
            "Rows of this session before this one give another date, hours, trade or mode.",
            "Make all rows of the session agree.",
        )
        session.broken_by = session.broken_by or here
    number = values.get("number", "")
    session.rows.append((here, number))
    if number and "attendance" in values:
        session.remarked[number] = [values["attendance"], values.get("hours_present")]


def _contradicts(other: Address) -> Flaw:
    sheet, place = other
    return Flaw(
        "rows_contradict",
        f"Row {place} of {sheet} is about the same and says something else.",
        "Keep the one that is right, and delete the other.",
    )


def header_flaw(sheet: Found) -> Flaw | None:
    """Why no row of a sheet can be taken, if none can."""
    if sheet.kind is None:
        return None
    if not sheet.header or sheet.missing:
        names = ", ".join(column.titles["en"] for column in sheet.missing) or "the header"
        return Flaw(
            "column_missing",
            f"The sheet has no column for: {names}. No row of it was taken.",
            "Name the columns as in the template (GET /v1/rosters/template.xlsx).",
        )
    if sheet.twice:
        names = ", ".join(column.titles["en"] for column in sheet.twice)
        return Flaw(
            "column_twice", f"The sheet has two columns for: {names}. No row of it was taken.", "Delete one of them."
        )
    return None
