"""What `sampan post` does with events besides sending them: try them out, sign them for later, remember what was answered."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from services.errors import ClientError
from services.eventfiles import Line
from shared.bundles import NoSeed, Signer, event_of
from shared.bundles import Roster as SignedRoster
from shared.events import offices_to_certification, offices_to_enrolment
from shared.events.envelope import Refusal, read_event
from shared.events.wire import NDJSON, ONE, read_body

_TYPES = {
    "enrolment": (offices_to_enrolment.TYPES, offices_to_certification.TYPES),
    "certification": (offices_to_certification.TYPES, offices_to_enrolment.TYPES),
}


class Flawed(NamedTuple):
    """An event that its service would reject, whatever else it knows, and why."""

    line: Line
    id: str | None
    code: str
    sentence: str


def try_out(lines: Iterable[Line]) -> Iterator[Flawed]:
    """The events that cannot be taken, found without asking anybody.

    What depends on the office's roles or on other events is decided by the services.
    """
    now = datetime.now(UTC)
    for line in lines:
        raw = read_body(NDJSON, line.body)[0]
        if line.signed:
            raw = read_body(ONE, event_of(raw.fields) or b"")[0]
        own, others = _TYPES[line.service]
        read = read_event(
            raw, types=own, elsewhere=dict.fromkeys(others.keys() - own.keys(), "the other service"), now=now
        )
        if isinstance(read, Refusal):
            yield Flawed(line, read.id, read.code, read.sentence)


def _signer(credentials: Path) -> Signer:
    try:
        return Signer(credentials.read_text())
    except OSError as error:
        raise ClientError(f"{error.filename} cannot be read: {error.strerror}.") from None
    except (NoSeed, UnicodeDecodeError):
        raise ClientError(
            f"{credentials} is no file of NATS credentials: name the one from the hand-over sheet."
        ) from None


def sign(lines: Sequence[Line], credentials: Path, bundle: Path) -> int:
    """Add events to a bundle, signed with an officer's NATS credentials; how many were not in it yet. Raises ClientError."""
    by = _signer(credentials)
    for line in lines:
        if not line.signed and read_body(NDJSON, line.body)[0].flaw is not None:
            raise ClientError(
                f"{line.file}, line {line.place} cannot be read: mend it first. Nothing was added to {bundle}."
            )
    return _added(bundle, [line.body if line.signed else by.line(line.body.strip()) for line in lines])


def sign_rosters(rosters: Sequence[SignedRoster | bytes], credentials: Path, bundle: Path) -> int:
    """The same for rosters, and for lines of another bundle that hold one."""
    by = _signer(credentials)
    return _added(bundle, [one if isinstance(one, bytes) else by.roster_line(one) for one in rosters])


def _added(bundle: Path, signed: Sequence[bytes]) -> int:
    try:
        before = bundle.read_bytes() if bundle.exists() else b""
    except OSError as error:
        raise ClientError(f"{error.filename} cannot be read: {error.strerror}.") from None
    there = set(before.split(b"\n"))
    new = [line for line in dict.fromkeys(signed) if line not in there]
    # Half a line that was written when the computer was switched off must not swallow the next one.
    begin = b"\n" if new and before and not before.endswith(b"\n") else b""
    try:
        # What is in it holds names: for its owner only. Appended and on the disk before anybody is told so.
        with open(os.open(bundle, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            file.write(begin + b"".join(line + b"\n" for line in new))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with suppress(OSError):
            os.truncate(bundle, len(before))  # on a full disk the last line is half a line
        raise ClientError(f"{bundle} cannot be written: {error.strerror}. Nothing was added to it.") from None
    return len(new)


class Answered:
    """Remembers, while a post is under way, which lines were answered, so that the next try goes on from there.

    It is kept beside the user's other state, by what is posted and where to, and is gone once everything was answered: whoever
    posts a file again later posts all of it. What was rejected is not kept: another token may be all that it takes.
    """

    def __init__(self, server: str, lines: Sequence[Line]) -> None:
        content = hashlib.sha256(server.encode())
        for line in lines:
            content.update(hashlib.sha256(line.body).digest())
        home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        self._file = home / "sampan" / "posting" / f"{content.hexdigest()}.ndjson"
        self._lines = lines
        self._places: set[int] = set()

    def load(self) -> int:
        """Remember what an earlier try came to; how many lines were answered."""
        try:
            said = self._file.read_text(errors="replace").splitlines()
        except OSError:
            return 0
        for line in said:
            try:
                self._places.update(place for place in json.loads(line) if isinstance(place, int))
            except (ValueError, TypeError):
                continue  # cut off in the middle: those are sent again, which is safe
        return len(self._places)

    def forget(self) -> None:
        """Everything is answered, or is to be sent again."""
        self._places = set()
        self._file.unlink(missing_ok=True)

    def left(self) -> list[Line]:
        """The lines that are not answered yet."""
        return [line for index, line in enumerate(self._lines) if index not in self._places]

    def add(self, lines: Sequence[Line], statuses: Sequence[str]) -> None:
        """These were answered, with these receipts' statuses."""
        places = {id(line): index for index, line in enumerate(self._lines)}
        now = [places[id(line)] for line in lines]
        self._places.update(now)
        kept = [place for place, status in zip(now, statuses, strict=True) if status != "rejected"]
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._file.open("a") as file:
                file.write(json.dumps(kept) + "\n")
        except OSError:
            return  # then the next try sends all of it again, which is safe


def named(lines: Sequence[Line]) -> str:
    """Which lines these are, in words: by file, in runs."""
    files = []
    for file, group in groupby(lines, key=lambda line: line.file):
        runs: list[list[int]] = []
        for line in group:
            if runs and runs[-1][1] == line.place - 1:
                runs[-1][1] = line.place
            else:
                runs.append([line.place, line.place])
        shown = [f"{first}-{last}" if first != last else f"{first}" for first, last in runs[:5]]
        files.append(f"{file} {', '.join(shown)}{' and more' if len(runs) > 5 else ''}")
    return "; ".join(files)
