"""A sheet's rows, read: the key of each, its values, and everything that is wrong with its cells, each with its address."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from shared.rosters.books import Book, Found, letter_of
from shared.rosters.cells import Around, Flaw, Wrong, is_empty, read_cell
from shared.rosters.columns import PARTS, Column, Kind, sheets


class Key(NamedTuple):
    """What a row is about, whatever it says: an office's row with the same key corrects the one before."""

    kind: Kind
    cohort: str
    number: str
    """The trainee's; empty for a session of which nobody is remarked."""
    part: str
    """The session, or scheme, occupation and attempt; empty for a trainee."""


Address = tuple[str, int]
"""A row's place: its sheet and its number."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with a row, and in which of its cells: the column's letter and header, or None for the whole row."""

    flaw: Flaw
    column: str | None = None


@dataclass(slots=True)
class Row:
    """One row: where it stands, what it is about (if that much can be read), what it says, what is wrong with it."""

    sheet: str
    place: int
    kind: Kind
    key: Key | None
    values: Mapping[str, Any] = field(repr=False)
    complaints: list[Complaint] = field(default_factory=list)
    columns: frozenset[str] = frozenset()
    """The columns that the sheet has, whether or not this row has anything in them."""

    def says(self, *names: str) -> dict[str, Any]:
        """What the row says under these names."""
        return {name: self.values[name] for name in names if name in self.values}


NEEDED: Final[Mapping[Kind, Sequence[str]]] = {
    "trainees": ("cohort", "number"),
    "attendance": ("cohort", "session", "date", "hours"),
    "assessments": ("cohort", "number", "scheme", "occupation", "level", "date", "result"),
    "awards": ("cohort", "number", "scheme", "occupation", "level"),
}
"""Cells that may not be empty."""


def read_rows(book: Book, found: Found, accepted: Set[str] = frozenset()) -> Iterator[Row]:
    """The rows of a sheet below its header; empty ones are passed over. Raises ``BookRefused``."""
    assert found.kind is not None
    columns = [(position, column) for position, column in enumerate(found.columns) if column]
    headers = {column.key: f"{letter_of(position)} ({column.titles['en']})" for position, column in columns}
    there = frozenset(headers)
    for place, cells in book.rows(found.name):
        if place <= found.header:
            continue
        said = [(column, cells[at]) for at, column in columns if at < len(cells) and not is_empty(cells[at])]
        if said:
            yield _row(found, place, said, headers, there, accepted)


def _row(
    found: Found,
    place: int,
    said: Sequence[tuple[Column, Any]],
    headers: Mapping[str, str],
    columns: frozenset[str],
    accepted: Set[str],
) -> Row:
    assert found.kind is not None
    values: dict[str, Any] = {}
    complaints: list[Complaint] = []
    # Country and language are read first: whether a name is in an old font depends on them.
    first = {"country", "name_language"}
    for column, cell in sorted(said, key=lambda pair: pair[0].key not in first):
        around = Around(accepted, values.get("name_language"), values.get("country"))
        try:
            values[column.key] = read_cell(cell, column, around)
        except Wrong as wrong:
            complaints.append(Complaint(wrong.flaw, headers[column.key]))
    there = {column.key for column, _ in said}
    titles = {column.key: column.titles["en"] for column in sheets()[found.kind].columns}
    for name in NEEDED[found.kind]:
        if name not in there:
            flaw = Flaw("cell_empty", f"{titles[name]} is empty.", "Fill in the cell.")
            complaints.append(Complaint(flaw, headers.get(name)))
    complaints += [Complaint(flaw, headers.get(name)) for name, flaw in _together(found.kind, values, there)]
    order = {header: at for at, header in enumerate(headers.values())}
    complaints.sort(key=lambda complaint: order.get(complaint.column or "", len(order)))
    key = key_of(found.kind, values, there - values.keys())
    return Row(found.name, place, found.kind, key, values, complaints, columns)


def key_of(kind: Kind, values: Mapping[str, Any], wrong: Set[str] = frozenset()) -> Key | None:
    """The key of a row with these values, or None when the cells that make it are empty or ``wrong``."""
    parts = {
        "trainees": (),
        "attendance": ("session",),
        "assessments": ("scheme", "occupation", "attempt"),
        "awards": ("scheme", "occupation"),
    }[kind]
    known = {"attempt": 1, **values}
    if kind == "attendance":
        known = {"number": "", **known}
    if any(name not in known or name in wrong for name in ("cohort", "number", *parts)):
        return None
    return Key(kind, known["cohort"], known["number"], "/".join(str(known[name]) for name in parts))


def _together(kind: Kind, values: Mapping[str, Any], there: Set[str]) -> Iterator[tuple[str, Flaw]]:
    """What cells that are each right contradict in one another."""
    checks = {
        "trainees": _of_a_trainee,
        "attendance": _of_attendance,
        "assessments": _of_an_assessment,
        "awards": _of_an_award,
    }
    return checks[kind](values, there)


def _missing(name: str, sentence: str, todo: str) -> tuple[str, Flaw]:
    return name, Flaw("cell_empty", sentence, todo)


PERSONAL: Final = (
    "name",
    "name_romanised",
    "sex",
    "birth_date",
    "national_id",
    "passport",
    "centre_number",
    "phone",
    "email",
)


def _of_a_trainee(values: Mapping[str, Any], there: Set[str]) -> Iterator[tuple[str, Flaw]]:
    if not there & {"proposed_on", "enrolled_on"}:
        yield _missing(
            "enrolled_on",
            "The row has neither the day of the proposal nor that of the enrolment.",
            "Fill in one of the two, or both.",
        )
    if there & {"proposed_on"}:
        for name in ("role", "country", "trade"):
            if name not in there:
                yield _missing(name, f"A proposal needs role, country and trade: {name} is empty.", "Fill in the cell.")
    if there & {*PERSONAL, "disability", "consent_by"}:
        for name, other in (("name", "name_romanised"), ("name_romanised", "name")):
            if name not in there:
                yield _missing(
                    name,
                    "A person has a name in the original script and one in Latin letters.",
                    "Fill in both; where they are the same, write it twice." if other in there else "Fill in both.",
                )
    consent = {"consent_by", "consent_on", "consent_notice"}
    if there & {*consent, "consent_purposes"} and not consent <= there:
        for name in sorted(consent - there):
            yield _missing(
                name, "Consent needs who gave it, the day and the notice that was shown.", "Fill in the cell."
            )
    if {"proposed_on", "enrolled_on"} <= values.keys() and values["enrolled_on"] < values["proposed_on"]:
        yield (
            "enrolled_on",
            Flaw(
                "dates_out_of_order", "The trainee is enrolled before being proposed.", "Correct one of the two dates."
            ),
        )


def _of_attendance(values: Mapping[str, Any], there: Set[str]) -> Iterator[tuple[str, Flaw]]:
    if "number" in there and "attendance" not in there:
        yield _missing(
            "attendance", "The row names a trainee and does not say whether they were there.", "Fill in the cell."
        )
    if "attendance" in there and "number" not in there:
        yield _missing("number", "The row says who was there, and names no trainee.", "Fill in the trainee number.")
    if values.get("attendance") == "partly" and "hours_present" not in there:
        yield _missing(
            "hours_present", "Partly there needs the hours.", "Fill in how many hours the trainee was there."
        )
    if values.get("attendance") in ("present", "absent") and "hours_present" in there:
        yield (
            "hours_present",
            Flaw("cells_contradict", "Hours present are for who was partly there.", "Write partly, or empty the cell."),
        )
    if "hours_present" in values and "hours" in values and values["hours_present"] > values["hours"]:
        yield (
            "hours_present",
            Flaw("cells_contradict", "More hours present than the session had.", "Correct one of the two."),
        )
    if values.get("held_for") == "trade" and "trade" not in there:
        yield _missing("trade", "A session for a trade needs the trade.", "Fill in the trade.")
    if values.get("held_for") in ("everyone", "listed") and "trade" in there:
        yield (
            "held_for",
            Flaw(
                "cells_contradict",
                "The session has a trade, and is not for that trade.",
                "Write trade, or empty the trade.",
            ),
        )


def _of_an_assessment(values: Mapping[str, Any], there: Set[str]) -> Iterator[tuple[str, Flaw]]:
    for part in PARTS:
        mark = f"{part}_mark"
        of_part = {f"{part}_{name}" for name in ("out_of", "passed", "from_attempt")}
        if mark not in there:
            for name in sorted(of_part & there):
                yield name, Flaw("cells_contradict", "This part has no mark.", "Fill in the mark, or empty the cell.")
            continue
        if mark in values and values[mark] > values.get(f"{part}_out_of", 100):
            yield (
                mark,
                Flaw(
                    "cells_contradict", "The mark is more than can be had.", "Correct the mark, or what it is out of."
                ),
            )
        if f"{part}_passed" not in there and values.get("result", "pass") != "pass":
            yield _missing(
                f"{part}_passed",
                "Where the result is no pass, each part says whether it was passed.",
                "Write yes or no.",
            )


def _of_an_award(values: Mapping[str, Any], there: Set[str]) -> Iterator[tuple[str, Flaw]]:
    del values
    if not there & {"awarded_on", "certificate_number"}:
        yield _missing(
            "awarded_on",
            "The row has neither a day of award nor a certificate number.",
            "Fill in one of the two, or both.",
        )
    if "certificate_number" in there and not there & {"awarded_on", "numbered_on"}:
        yield _missing(
            "numbered_on", "A number without an award needs the day on which it was given.", "Fill in the day."
        )
    if "numbered_on" in there and "certificate_number" not in there:
        yield _missing("certificate_number", "There is a day of numbering, and no number.", "Fill in the number.")
