"""Files of events: their lines, which service each goes to, and how many go in one POST."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from services.errors import ClientError
from shared.bundles import event_of, is_roster
from shared.events import offices_to_certification, offices_to_enrolment
from shared.events.wire import BATCH, BODY_LIMIT, NDJSON, ONE, BodyRefused, Raw, read_body

ServiceName = Literal["enrolment", "certification", "reporting"]
EVENTS_PER_POST = 500
BYTES_PER_POST = BODY_LIMIT // 2
VOID = "event.voided.v1"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """One event of a file: its place, where it goes, who says it, and its bytes as they stood in the file.

    A line of a bundle is ``signed``: it says what the event in it says, and goes to where bundles are taken.
    """

    file: str
    place: int
    service: ServiceName
    source: str | None
    body: bytes
    signed: bool = False


def content_of(path: Path) -> bytes:
    """A file of events or rosters as it was meant. Raises ``ClientError``."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ClientError(f"{path} cannot be read: {error.strerror or error}.") from None
    # Windows' programs put a mark before the first line (and in the middle, once files were joined); it means nothing.
    return content.removeprefix(_BYTE_ORDER_MARK).replace(b"\n" + _BYTE_ORDER_MARK, b"\n")


def read_events(path: Path) -> list[Line]:
    """The events of a .ndjson or .json file, each with the service that owns its type.

    An event that no service knows goes to enrolment, which answers with the reason; a bundle's rosters are left out. Raises
    ``ClientError`` when the file as a whole cannot be read.
    """
    content = content_of(path)
    if path.suffix == ".json":
        return _of_document(path, content)
    if path.suffix not in {".ndjson", ".jsonl"}:
        raise ClientError(
            f"{path}: this is no form that is taken. Give events as .ndjson (one to a line) or .json, and spreadsheets as "
            ".xlsx, .ods or .csv: open another spreadsheet and save it as .xlsx."
        )
    raws = []
    for place, line in enumerate(content.split(b"\n"), start=1):
        if is_roster(line):
            continue  # goes another way: see rosters.py
        if len(line) > BODY_LIMIT:
            raise ClientError(
                f"{path}, line {place}: longer than {BODY_LIMIT} bytes, which no event is. Nothing was sent."
            )
        if line.strip():
            raws.append((replace(read_body(NDJSON, line)[0], place=place), line))
    return _lines(path, raws)


def _of_document(path: Path, content: bytes) -> list[Line]:
    try:
        raws = read_body(BATCH if content.lstrip()[:1] == b"[" else ONE, content)
    except BodyRefused as refused:
        raise ClientError(f"{path}: {refused.sentence}") from None
    for raw in raws:
        if raw.flaw is not None:
            raise ClientError(f"{path}, event {raw.place}: {raw.flaw.value[1]}")
    return _lines(path, [(raw, json.dumps(raw.fields, ensure_ascii=False).encode()) for raw in raws])


def _lines(path: Path, raws: Sequence[tuple[Raw, bytes]]) -> list[Line]:
    said = [_signed_event(raw.fields) or raw.fields for raw, _ in raws]
    known = {(str(fields.get("source")), str(fields.get("id"))): fields for fields in said}
    lines = []
    for (raw, body), fields in zip(raws, said, strict=True):
        source, kind = fields.get("source"), _kind(fields, known)
        certification = (
            isinstance(kind, str) and kind in offices_to_certification.TYPES and kind not in offices_to_enrolment.TYPES
        )
        service: ServiceName = "certification" if certification else "enrolment"
        signed = fields is not raw.fields
        lines.append(Line(path.name, raw.place, service, source if isinstance(source, str) else None, body, signed))
    return lines


def _signed_event(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """The event in a line of a bundle; None when this is another line."""
    event = event_of(fields)
    if event is None:
        return None
    try:
        return read_body(ONE, event)[0].fields
    except BodyRefused:
        return {}


def _kind(fields: Mapping[str, Any], known: Mapping[tuple[str, str], Mapping[str, Any]]) -> object:
    """The type that says where an event goes: a void's is that of what it voids, as far as it or the file tells."""
    met: set[str] = set()
    while fields.get("type") == VOID and isinstance(data := fields.get("data"), dict):
        kind, event = data.get("about") or data.get("type"), str(data.get("event"))
        target = known.get((str(fields.get("source")), event))
        if kind != VOID or target is None or event in met:
            return kind
        met.add(event)
        fields = target
    return fields.get("type")


def batches(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """The lines in their order, in runs of one service each and no longer than a POST should be."""
    run: list[Line] = []
    size = 0
    for line in lines:
        size += len(line.body) + 1
        elsewhere = bool(run) and (run[-1].service, run[-1].signed) != (line.service, line.signed)
        if run and (elsewhere or len(run) == EVENTS_PER_POST or size > BYTES_PER_POST):
            yield run
            run = []
            size = len(line.body) + 1
        run.append(line)
    if run:
        yield run
