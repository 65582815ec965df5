"""Bundles: events that an office signed while it had no connection, for anybody to carry to a service.

A line of a bundle holds the event's own text, the public key of the officer's NATS credentials and an Ed25519 signature by it
over the text. Each line stands by itself, so lines may be lost, repeated, mixed and sent in any order. Whoever carries them can
read them, and can neither change an event nor make one.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    if not _holds(key, signature, event):
        return Opened(line.place, code="signature_wrong", sentence=REFUSALS["signature_wrong"])
    try:
        (raw,) = read_body(ONE, event)
    except BodyRefused as refused:
        return Opened(line.place, key, code=refused.code, sentence=refused.sentence)
    return Opened(line.place, key, replace(raw, place=line.place))


def _holds(key: str, signature: str, event: bytes) -> bool:
    """Whether this public key signed this text. A key is a byte for its kind, the 32 of Ed25519 and a checksum, in base 32."""
    if not _KEY.fullmatch(key):
        return False
    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b32decode(key)[1:33])
        public.verify(base64.b64decode(signature, validate=True), _SIGNED + event)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
