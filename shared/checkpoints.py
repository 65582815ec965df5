"""Signed checkpoints of a Merkle log, as C2SP tlog-checkpoint and signed-note define them, and a leaf's way to one.

A checkpoint is a short text: which log, how many leaves, their root, and a signature. Whoever keeps one can tell later whether
the log that is shown to them then is the one it was. Only Ed25519 signatures (type 1) are made and checked; lines signed by
others are passed over, as the format asks.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared import merkle
from shared.events.envelope import canonical

LONGEST_CHECKPOINT: Final = 10_000
"""Characters; a checkpoint that others signed too is a few hundred."""
_LARGEST_SIZE: Final = 2**62
_ED25519: Final = b"\x01"


class NotACheckpoint(ValueError):
    """The text is no checkpoint, or not one that this key signed; the message says which, for a person."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a log reaches: its name, its number of leaves and the root over them."""

    origin: str
    size: int
    root: bytes

    @property
    def body(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class LogKey:
    """A log's name and the public key of its checkpoints: what a partner writes down once, from a source they trust."""

    origin: str
    public: bytes

    @property
    def id(self) -> bytes:
        """Four bytes by which a signature names its key."""
        return sha256(f"{self.origin}\n".encode() + _ED25519 + self.public).digest()[:4]

    @property
    def text(self) -> str:
        """The key as one line, in the form of Go's ``note`` package."""
        return f"{self.origin}+{self.id.hex()}+{b64encode(_ED25519 + self.public).decode()}"

    @classmethod
    def read(cls, text: str) -> "LogKey":
        """Raises NotACheckpoint when the line is no such key."""
        try:
            origin, named, encoded = text.strip().split("+", 2)
            key = b64decode(encoded, validate=True)
        except (ValueError, binascii.Error):
            raise NotACheckpoint("This is not a log's key: it should be one line of name, id and key.") from None
        found = cls(origin, key[1:])
        if key[:1] != _ED25519 or len(key) != 33 or found.id.hex() != named:
            raise NotACheckpoint("The log's key does not fit its own id. Copy it again, all of it.")
        return found


def signed(checkpoint: Checkpoint, private: Ed25519PrivateKey) -> str:
    """The checkpoint as a signed note."""
    key = LogKey(checkpoint.origin, private.public_key().public_bytes_raw())
    signature = b64encode(key.id + private.sign(checkpoint.body.encode())).decode()
    return f"{checkpoint.body}\n\N{EM DASH} {checkpoint.origin} {signature}\n"


def opened(note: str, key: LogKey) -> Checkpoint:
    """The checkpoint in a signed note. Raises NotACheckpoint unless this key signed it."""
    checkpoint, signatures = _parts(note)
    if checkpoint.origin != key.origin:
        raise NotACheckpoint(f"This is a checkpoint of another log, not of {key.origin}.")
    public = Ed25519PublicKey.from_public_bytes(key.public)
    for name, signature in signatures:
        if name == key.origin and signature[:4] == key.id:
            try:
                public.verify(signature[4:], note.rpartition("\n\n")[0].encode() + b"\n")
            except InvalidSignature:
                break
            return checkpoint
    raise NotACheckpoint("The log's key did not sign this checkpoint: it was changed, or somebody else made it.")


def _parts(note: str) -> tuple[Checkpoint, list[tuple[str, bytes]]]:
    body, blank, tail = note.rpartition("\n\n")
    lines = body.split("\n")
    if len(note) > LONGEST_CHECKPOINT or not blank or len(lines) < 3 or not tail.endswith("\n"):
        raise NotACheckpoint("This is not a checkpoint: it should be three lines, an empty one and a signature.")
    try:
        root = b64decode(lines[2], validate=True)
        size = int(lines[1])
        signatures = [_signature(line) for line in tail[:-1].split("\n")]
    except (ValueError, binascii.Error):
        raise NotACheckpoint("This checkpoint cannot be read: its size, its root or a signature is not one.") from None
    if str(size) != lines[1] or not 0 <= size < _LARGEST_SIZE or len(root) != merkle.HASH_BYTES or not lines[0]:
        raise NotACheckpoint("This checkpoint cannot be read: its name, its size or its root is not one.")
    return Checkpoint(lines[0], size, root), signatures


def _signature(line: str) -> tuple[str, bytes]:
    dash, name, encoded = line.split(" ")
    if dash != "\N{EM DASH}":
        raise ValueError("a signature's line begins with a dash")
    return name, b64decode(encoded, validate=True)


# ---- what the leaves of this log are


@dataclass(frozen=True, slots=True)
class Statement:
    """What a leaf commits to: the public standing of one certificate from a moment on. Names nobody."""

    certificate: str
    public_id: str
    digest: str
    """SHA-256 of the signed document, in hexadecimal; empty while there is none."""
    status: str
    on: date | None

    def commitment(self, salt: bytes) -> bytes:
        """Whoever does not know the salt cannot try out what was committed to."""
        said = {
            "certificate": self.certificate,
            "public_id": self.public_id,
            "digest": self.digest,
            "status": self.status,
            "on": None if self.on is None else self.on.isoformat(),
        }
        return sha256(salt + canonical(said)).digest()


def leaf(what: str, commitment: bytes, at: datetime) -> bytes:
    """A leaf's content: what is hashed, and all of it that the log shows."""
    return canonical({"what": what, "commitment": commitment.hex(), "at": at.isoformat()})


def hashes_of(encoded: Iterable[Any]) -> list[bytes]:
    """The hashes of a proof as the log gives them, in base64. Raises NotACheckpoint for anything else."""
    try:
        return [b64decode(one, validate=True) for one in encoded]
    except (ValueError, TypeError, binascii.Error):
        raise NotACheckpoint("The proof cannot be read: its hashes are not base64.") from None
