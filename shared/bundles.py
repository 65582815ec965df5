"""Bundles: events and rosters that an office signed while it had no connection, for anybody to carry to a service.

A line of a bundle holds the event's own text (or a roster's: the spreadsheet, and how it is to be taken), the public key of the
officer's NATS credentials and an Ed25519 signature by it over the text. Each line stands by itself, so lines may be lost,
repeated, mixed and sent in any order. Whoever carries them can read them, and can neither change an event nor make one.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import nkeys
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shared.events.receipts import REFUSALS
from shared.events.wire import ONE, BodyRefused, Raw, read_body

FORM: Final = "bundle.v1"
"""What a line of a bundle calls itself, in its field ``sampan``."""
_SIGNED: Final = b"sampan bundle.v1\n"
"""Stands before what is signed: the same key signs the broker's challenges, and neither signature passes for the other."""
ROSTER_FORM: Final = "roster.v1"
"""What a line calls itself that holds a roster."""
_SIGNED_ROSTER: Final = b"sampan roster.v1\n"
_OPENS: Final = f'{{"sampan":"{ROSTER_FORM}",'.encode()
ROSTER_LINE_LIMIT: Final = 23 * 1024 * 1024
"""Bytes: a spreadsheet of 16 MB in base 64, and what is around it."""
_SEED = re.compile(r"-----BEGIN USER NKEY SEED-----\s+(SU[A-Z2-7]{56})\s")
_KEY = re.compile(r"U[A-Z2-7]{55}")


class NoSeed(Exception):
    """The text is not that of a NATS credentials file."""


class Signer:
    """Signs events with an officer's NATS credentials; needs no connection."""

    def __init__(self, credentials: str) -> None:
        """``credentials`` is the text of the file. Raises NoSeed."""
        found = _SEED.search(credentials)
        if found is None:
            raise NoSeed
        self._pair = nkeys.from_seed(bytearray(found[1].encode()))
        self.key: str = self._pair.public_key.decode()

    def line(self, event: bytes) -> bytes:
        """An event's text as a line of a bundle."""
        signature = base64.b64encode(self._pair.sign(_SIGNED + event)).decode()
        line = {"sampan": FORM, "key": self.key, "signature": signature, "event": event.decode()}
        return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode()

    def roster_line(self, roster: "Roster") -> bytes:
        """A roster as a line of a bundle."""
        fields: dict[str, object] = {
            "signed": roster.signed.isoformat(),
            "name": roster.name,
            "accept": list(roster.accept),
        }
        fields |= {"sheets": list(roster.sheets), "encoding": roster.encoding}
        text = json.dumps({**fields, "file": base64.b64encode(roster.content).decode()}, separators=(",", ":"))
        signature = base64.b64encode(self._pair.sign(_SIGNED_ROSTER + text.encode())).decode()
        line = {"sampan": ROSTER_FORM, "key": self.key, "signature": signature, "roster": text}
        return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Roster:
    """A spreadsheet as an office signed it, when, and how it is to be taken."""

    name: str
    content: bytes = field(repr=False)
    signed: datetime
    accept: Sequence[str] = ()
    sheets: Sequence[str] = ()
    encoding: str | None = None


class Refused(Exception):
    """A line that holds no roster as somebody signed it; the code is one of ``REFUSALS``."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def is_roster(line: bytes) -> bool:
    """Whether a line of a file is a roster's."""
    return line.lstrip().startswith(_OPENS)


def opened_roster(line: bytes) -> tuple[str, Roster]:
    """The key that signed a roster's line, and the roster. Raises ``Refused``. Takes seconds for a large one."""
    try:
        fields = json.loads(line)
        key, signature, text = (fields[name] for name in ("key", "signature", "roster"))
        if fields["sampan"] != ROSTER_FORM or not all(isinstance(one, str) for one in (key, signature, text)):
            raise Refused("bundle_unreadable")
        if not _holds(key, signature, _SIGNED_ROSTER + text.encode()):
            raise Refused("signature_wrong")
        said = json.loads(text)
        roster = Roster(
            name=str(said["name"])[-100:],
            content=base64.b64decode(said["file"], validate=True),
            signed=datetime.fromisoformat(said["signed"]),
            accept=[str(word) for word in said["accept"]],
            sheets=[str(name) for name in said["sheets"]],
            encoding=said["encoding"] if said["encoding"] is None else str(said["encoding"])[:20],
        )
        if roster.signed.tzinfo is None:
            raise Refused("bundle_unreadable")
    except (ValueError, KeyError, TypeError, RecursionError):  # binascii's error is a ValueError
        raise Refused("bundle_unreadable") from None
    return key, roster


@dataclass(frozen=True, slots=True)
class Opened:
    """One line of a bundle: its place, the key that signed it, and the event; or the code of why there is none."""

    place: int
    key: str = ""
    event: Raw = field(default=Raw(0, {}), repr=False)
    code: str | None = None
    sentence: str = ""


def event_of(fields: Mapping[str, object]) -> bytes | None:
    """The event's text in a line of a bundle; None when it is no such line."""
    event = fields.get("event")
    return event.encode() if fields.get("sampan") == FORM and isinstance(event, str) else None


def opened(lines: Sequence[Raw]) -> list[Opened]:
    """The lines of a bundle, each with its signature verified. Takes a tenth of a millisecond for each."""
    return [_opened(line) for line in lines]


def _opened(line: Raw) -> Opened:
    event, key, signature = event_of(line.fields), line.fields.get("key"), line.fields.get("signature")
    if line.flaw is not None or event is None or not isinstance(key, str) or not isinstance(signature, str):
        return Opened(line.place, code="bundle_unreadable", sentence=REFUSALS["bundle_unreadable"])
    if not _holds(key, signature, _SIGNED + event):
        return Opened(line.place, code="signature_wrong", sentence=REFUSALS["signature_wrong"])
    try:
        (raw,) = read_body(ONE, event)
    except BodyRefused as refused:
        return Opened(line.place, key, code=refused.code, sentence=refused.sentence)
    return Opened(line.place, key, replace(raw, place=line.place))


def _holds(key: str, signature: str, signed: bytes) -> bool:
    """Whether this public key signed this text. A key is a byte for its kind, the 32 of Ed25519 and a checksum, in base 32."""
    if not _KEY.fullmatch(key):
        return False
    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b32decode(key)[1:33])
        public.verify(base64.b64decode(signature, validate=True), signed)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
