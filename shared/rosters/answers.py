"""The answer to a roster: what became of every row, in words that its officer can act on."""

from collections import Counter
from collections.abc import Mapping
from typing import Final, Literal

from pydantic import BaseModel, Field

from shared.rosters.cells import Flaw
from shared.rosters.rows import Address, Complaint, Key, Row

Status = Literal["accepted", "duplicate", "waiting", "conflict", "rejected"]
Change = Literal["new", "corrected", "unchanged"]
_WORST: Final[tuple[Status, ...]] = ("rejected", "conflict", "waiting", "accepted", "duplicate")
WHAT_TO_DO: Final[Mapping[str, str]] = {
    "accepted": "",
    "duplicate": "",
    "waiting": "Nothing, if what it waits for is on its way: it is taken up by itself.",
    "conflict": "Compare it with what is on record, and correct the one that is wrong.",
    "rejected": "Correct the row and send the file again.",
}
"""What to do about a row whose cells are right, by how its event stands."""


class Offered(BaseModel):
    """What a cell could mean, and the word with which it is accepted for the whole file."""

    accept: str
    value: str


class Remark(BaseModel):
    """What is wrong in one cell."""

    column: str | None = None
    code: str
    sentence: str
    todo: str
    offer: Offered | None = None


class RowAnswer(BaseModel):
    """What became of one row. ``column`` is the cell's letter and header; ``more`` holds what else is wrong."""

    sheet: str
    row: int
    column: str | None = None
    status: Status
    change: Change | None = None
    code: str
    sentence: str
    todo: str = ""
    event: str | None = None
    offer: Offered | None = None
    more: list[Remark] = Field(default_factory=list)

    def remarks(self) -> list[Remark]:
        """Everything that is said of the row."""
        own = Remark(column=self.column, code=self.code, sentence=self.sentence, todo=self.todo, offer=self.offer)
        return [own, *self.more]


class MissingRow(BaseModel):
    """A row that an earlier file of the office had and this one has not: what it said still stands."""

    kind: str
    cohort: str
    number: str = ""
    part: str = ""


class LeftSheet(BaseModel):
    """A sheet that was left alone, and why."""

    sheet: str
    code: str
    sentence: str


class RosterAnswer(BaseModel):
    """The answer to a roster: rows, what was left alone, what earlier files had besides, and how many of each.

    ``accept`` counts the rows that would be right with an offer accepted, by the word that accepts it.
    """

    dry_run: bool
    rows: list[RowAnswer] = Field(default_factory=list)
    missing: list[MissingRow] = Field(default_factory=list)
    left: list[LeftSheet] = Field(default_factory=list)
    counts: dict[str, int] = Field(default_factory=dict)
    changes: dict[str, int] = Field(default_factory=dict)
    accept: dict[str, int] = Field(default_factory=dict)


class Counts:
    """Adds up what becomes of rows, as they come."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.changes: Counter[str] = Counter()
        self.accept: Counter[str] = Counter()

    def add(self, answer: RowAnswer) -> None:
        """One more row."""
        self.statuses[answer.status] += 1
        if answer.change:
            self.changes[answer.change] += 1
        self.accept.update({remark.offer.accept for remark in answer.remarks() if remark.offer})

    @property
    def http_status(self) -> int:
        """200 when nothing was rejected, 207 when some was, 422 when all was."""
        if not self.statuses["rejected"]:
            return 200
        return 422 if self.statuses["rejected"] == self.statuses.total() else 207


def worst(statuses: list[Status]) -> Status:
    """The status of a row that became several events."""
    return min(statuses, key=_WORST.index)


def refused(row: Row, complaints: list[Complaint]) -> RowAnswer:
    """A row that cannot be taken for what is in its cells."""
    first, *more = [_remark(complaint) for complaint in complaints]
    return RowAnswer(sheet=row.sheet, row=row.place, status="rejected", **first.model_dump(), more=more)


def refused_for(sheet: str, place: int, flaw: Flaw) -> RowAnswer:
    """A row, or a sheet's header, that cannot be taken."""
    return RowAnswer(sheet=sheet, row=place, status="rejected", code=flaw.code, sentence=flaw.sentence, todo=flaw.todo)


def missing_row(key: Key) -> MissingRow:
    """A row of an earlier file."""
    return MissingRow(kind=key.kind, cohort=key.cohort, number=key.number, part=key.part)


def _remark(complaint: Complaint) -> Remark:
    flaw = complaint.flaw
    offer = Offered(accept=flaw.offer.accept, value=flaw.offer.value) if flaw.offer else None
    return Remark(column=complaint.column, code=flaw.code, sentence=flaw.sentence, todo=flaw.todo, offer=offer)


def overtaken(here: Address) -> RowAnswer:
    """The answer to a row that was signed before its office said something else of the same."""
    return RowAnswer(
        sheet=here[0],
        row=here[1],
        status="duplicate",
        change="unchanged",
        code="said_later",
        sentence="Your office has said something else of this since the roster was signed: that stands.",
    )


def repeats(here: Address, first: Address) -> RowAnswer:
    """The answer to a row that says again what an earlier one says."""
    return RowAnswer(
        sheet=here[0],
        row=here[1],
        status="duplicate",
        change="unchanged",
        code="row_twice",
        sentence=f"Row {first[1]} of {first[0]} says the same.",
    )
