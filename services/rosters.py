"""Posting a spreadsheet: each sheet to the service that takes it, and what became of every row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from services.client import Client
from services.errors import ClientError
from services.eventfiles import ServiceName, content_of
from shared.bundles import Refused, is_roster, opened_roster
from shared.events.receipts import REFUSALS
from shared.rosters.answers import RowAnswer
from shared.rosters.books import Book, kinds_named, open_book
from shared.rosters.columns import OF_CERTIFICATION, OF_ENROLMENT, Kind
from shared.rosters.refusing import BookRefused
from shared.rosters.workbooks import annotated

SUFFIXES: Final = {
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
}
"""What a spreadsheet's name ends with, and the content type of each."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How rosters are to be taken."""

    dry_run: bool = False
    accept: Sequence[str] = ()
    sheets: Sequence[str] = ()
    encoding: str | None = None
    source: str | None = None

    def parameters(self) -> list[tuple[str, str]]:
        """As the services are asked."""
        asked = [("accept", word) for word in self.accept] + [("sheet", name) for name in self.sheets]
        asked += [(name, said) for name, said in (("encoding", self.encoding), ("source", self.source)) if said]
        return asked + ([("dry_run", "true")] if self.dry_run else [])


class Brought(NamedTuple):
    """A line of a bundle that holds a roster."""

    file: str
    place: int
    line: bytes


class Rejected(NamedTuple):
    """A roster of a bundle that cannot be taken, and why; the bundle's other lines can."""

    brought: Brought
    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Roster:
    """A spreadsheet on this machine, and the services that take its sheets."""

    path: Path
    content: bytes
    book: Book
    services: tuple[ServiceName, ...]
    brought: Brought | None = None
    """The line of a bundle that it came in, if it did: that is sent, as it was signed."""

    def post(self, client: Client, wishes: Wishes) -> Iterator[tuple[ServiceName, dict[str, Any]]]:
        """Each line of each service's answer, as it comes. Raises ``ClientError``; what was taken by then stays taken."""
        for service in self.services:
            if service == "certification" and "enrolment" in self.services and not wishes.dry_run:
                client.wait_until_certification_heard()  # or every assessment would wait for its trainee
            if self.brought is not None:
                lines = client.post_file(service, "/v1/bundles/rosters", self.brought.line, "application/json", [])
            else:
                kind = SUFFIXES[self.path.suffix.lower()]
                lines = client.post_file(service, "/v1/rosters", self.content, kind, wishes.parameters())
            for line in lines:
                if line["line"] == "failed":
                    raise ClientError(f"{self.path.name}, at {service}: {line['message']}")
                if line.get("code") != "wrong_service":  # it is on its way to the other one
                    yield service, line

    def with_receipts(self, rows: Sequence[RowAnswer]) -> bytes:
        """The spreadsheet with a receipt beside each row."""
        return annotated(self.book, rows)


def read_roster(path: Path, wishes: Wishes) -> Roster:
    """Look at a spreadsheet before any of it is sent. Raises ``ClientError``."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ClientError(f"{path} cannot be read: {error.strerror or error}.") from None
    try:
        kinds = kinds_named(wishes.sheets)
        # Called as the service calls it, which does not learn the file's name.
        book = open_book(content, kind=kinds[0] if len(kinds) == 1 else None, encoding=wishes.encoding)
    except BookRefused as refused:
        raise ClientError(f"{path}: {refused.sentence} Nothing was sent.") from None
    return Roster(path, content, book, _services(book, kinds))


def rosters_in(path: Path) -> list[Roster | Rejected]:
    """The rosters in a bundle, called by what they are called in it; each stands by itself. Raises ``ClientError``."""
    return [
        _roster_of(Brought(path.name, place, line.strip()))
        for place, line in enumerate(content_of(path).split(b"\n"), start=1)
        if is_roster(line)
    ]


def _roster_of(brought: Brought) -> Roster | Rejected:
    try:
        _, said = opened_roster(brought.line)
        kinds = kinds_named(said.sheets)
        book = open_book(said.content, kind=kinds[0] if len(kinds) == 1 else None, encoding=said.encoding)
    except Refused as refused:
        return Rejected(brought, refused.code, REFUSALS[refused.code])
    except BookRefused as refused:
        return Rejected(brought, refused.code, refused.sentence)
    return Roster(Path(said.name), said.content, book, _services(book, kinds), brought)


def _services(book: Book, kinds: Sequence[Kind]) -> tuple[ServiceName, ...]:
    there = {sheet.kind for sheet in book.sheets} & (set(kinds) if kinds else {*OF_ENROLMENT, *OF_CERTIFICATION})
    services: list[ServiceName] = []
    if there & set(OF_ENROLMENT) or not there & set(OF_CERTIFICATION):
        services.append("enrolment")  # which says what is wrong with a file that is nobody's
    if there & set(OF_CERTIFICATION):
        services.append("certification")
    return tuple(services)
