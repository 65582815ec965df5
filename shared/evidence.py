"""What the log says of one certificate, as a document of its own: certification writes it, anybody checks it without asking.

It proves what it holds: that these standings are in the log at these places. It cannot prove that nothing came after them; the
newer the checkpoint in it, the less can have.
"""

import json
from base64 import b64encode
from datetime import date
from typing import Annotated, Final

from pydantic import BaseModel, Field, ValidationError

from shared.checkpoints import Checkpoint, LogKey, NotACheckpoint, Statement, hashes_of, opened
from shared.merkle import LONGEST_PROOF, includes, leaf_hash

LONGEST: Final = 1_000_000
"""Bytes of a document; one with a hundred standings is about a tenth of it."""
_Short = Annotated[str, Field(max_length=1000)]


class LoggedStatement(BaseModel):
    """What a leaf commits to. ``digest`` is the SHA-256 of the signed document, in hexadecimal."""

    certificate: _Short
    public_id: _Short
    digest: _Short
    status: _Short
    on: date | None


class LoggedStanding(BaseModel):
    """A standing at its place in the log: with ``salt`` (hexadecimal) it gives ``leaf``, with ``proof`` (base64) the root."""

    place: Annotated[int, Field(ge=0)]
    leaf: _Short
    standing: LoggedStatement
    salt: Annotated[str, Field(pattern="^([0-9a-f]{2}){0,64}$")]
    proof: Annotated[list[_Short], Field(max_length=LONGEST_PROOF)]


class LogEvidence(BaseModel):
    """Every standing that a certificate has had, oldest first, and the signed checkpoint to which their proofs lead."""

    checkpoint: Annotated[str, Field(max_length=10_000)]
    standings: Annotated[list[LoggedStanding], Field(max_length=1000)]


def read(body: bytes) -> LogEvidence:
    """Raises NotACheckpoint when this is no such document."""
    if len(body) > LONGEST:
        raise NotACheckpoint("This is too large to be what a log says of one certificate.")
    try:
        return LogEvidence.model_validate_json(body)
    except ValidationError:
        raise NotACheckpoint(
            "This is not what a log says of a certificate. Ask its public page for the proof."
        ) from None


def proved(evidence: LogEvidence, key: LogKey) -> tuple[Checkpoint, list[Statement]]:
    """The checkpoint and what is proved to be in the log up to it. Raises NotACheckpoint when any of it does not fit."""
    checkpoint = opened(evidence.checkpoint, key)
    statements = []
    for one in evidence.standings:
        said = Statement(**one.standing.model_dump())
        commitment = said.commitment(bytes.fromhex(one.salt)).hex()
        if _committed(one.leaf) != commitment:
            raise NotACheckpoint(f"The log's leaf {one.place} does not say what is claimed of it.")
        hashes = hashes_of(one.proof)
        if not includes(checkpoint.root, checkpoint.size, one.place, leaf_hash(one.leaf.encode()), hashes):
            raise NotACheckpoint(f"The log's leaf {one.place} is not in the log that was signed.")
        statements.append(said)
    if [one.place for one in evidence.standings] != sorted({one.place for one in evidence.standings}):
        raise NotACheckpoint("The standings are not in the order of the log.")
    return checkpoint, statements


def encoded(hashes: list[bytes]) -> list[str]:
    """A proof's hashes as the log gives them."""
    return [b64encode(one).decode() for one in hashes]


def _committed(leaf: str) -> object:
    try:
        found = json.loads(leaf)
    except ValueError:
        return None
    return found.get("commitment") if isinstance(found, dict) else None
