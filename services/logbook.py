"""What somebody outside does with the transparency log: keep a checkpoint, and see later whether the log still begins with it.

Nothing is taken from the log's word: every checkpoint must be signed by the key that was kept, every proof must give its root.
Only addresses that the user gives are asked.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import httpx

from services.errors import ClientError
from shared.checkpoints import LONGEST_CHECKPOINT, Checkpoint, LogKey, NotACheckpoint, Statement, hashes_of, opened
from shared.evidence import LONGEST, proved, read
from shared.merkle import EMPTY, Node, covering, extends, grown, leaf_hash, root_of

ANSWER_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of one answer: a thousand leaves are about a quarter of a megabyte."""
SECONDS: Final = 30.0
PUBLIC_ID_PATTERN: Final = "[a-z2-7]{26}"
FEW_LEAVES: Final = 20_000
"""So many are read without being asked to: some five megabytes, twenty requests."""
ATTEMPTS: Final = 8
"""Tries of one request while the log says that this address asks too fast."""

Ask = Callable[[str, Mapping[str, str | int]], bytes]
"""The body of an address below the log's, such as ``checkpoint``; raises ClientError when there is none."""


class LogDiffers(ClientError):
    """The log is not what was kept of it, or not what it says of itself: somebody must be asked why."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found of a log: its checkpoint as it is shown now, and the one that was kept, if there was one."""

    note: str
    now: Checkpoint
    kept: Checkpoint | None
    whole: bool
    """Whether every leaf was read."""


def key_file(checkpoint: Path) -> Path:
    """Where a log's key is kept: beside its checkpoint."""
    return checkpoint.with_name(checkpoint.name + ".key")


def asking(address: str) -> Ask:
    """Asks the log at an installation's address."""
    root = address.rstrip("/").removesuffix("/v1/log") + "/v1/log/"

    def ask(path: str, parameters: Mapping[str, str | int]) -> bytes:
        for _ in range(ATTEMPTS):
            status, wait, body = _asked(root + path, parameters)
            if status != 429:
                break
            time.sleep(wait)
        if status != 200:
            raise ClientError(f"{root}{path} answers {status}. Check the address, or try again later.")
        return body

    return ask


def _asked(address: str, parameters: Mapping[str, str | int]) -> tuple[int, int, bytes]:
    """The status of an answer, the seconds that it asks to wait, and its body."""
    try:
        with httpx.stream("GET", address, params=dict(parameters), timeout=SECONDS) as answer:
            body = bytearray()
            for part in answer.iter_bytes():
                body += part
                if len(body) > ANSWER_LIMIT:
                    raise ClientError(f"{address} answers far too much for a log. Check the address.")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ClientError(f"{address} cannot be reached: {error or type(error).__name__}.") from None
    wait = answer.headers.get("retry-after", "1")
    return answer.status_code, min(int(wait), 60) if wait.isdecimal() else 1, bytes(body)


def look(ask: Ask, checkpoint: Path | None, *, every_leaf: bool | None = None) -> Seen:
    """Look at a log, and compare it with the checkpoint that is kept in a file, if there is one.

    ``every_leaf`` is whether its leaves are read too; of a log of a few, they are when it is not said.
    Raises LogDiffers when the log is not the one of which it was kept, and when it contradicts itself.
    """
    key, kept = _kept(checkpoint)
    note = _text(ask("checkpoint", {}))
    try:
        now = opened(note, key or LogKey.read(_text(ask("key", {}))))
    except NotACheckpoint as wrong:
        raise LogDiffers(f"The log's newest checkpoint is not good: {wrong}") from None
    if kept is not None:
        _compare(ask, kept, now)
    whole = now.size <= FEW_LEAVES if every_leaf is None else every_leaf
    if whole:
        _read_all(ask, now, kept)
    return Seen(note, now, kept, whole)


def keep(ask: Ask, seen: Seen, checkpoint: Path) -> None:
    """Write down the checkpoint as it is now; the first time also the log's key."""
    if not key_file(checkpoint).exists():
        key_file(checkpoint).write_bytes(ask("key", {}))
    checkpoint.write_text(seen.note, encoding="utf-8")


def evidence_of(body: bytes, checkpoint: Path, key_at: Path | None = None) -> tuple[Checkpoint, list[Statement]]:
    """What a document of a log proves, with the key that is kept beside a checkpoint (or at ``key_at``); asks nobody.

    Raises LogDiffers when it does not fit the kept checkpoint's key, or itself, or shows another log of the same size.
    """
    key, kept = _kept(checkpoint, key_at)
    if key is None:
        raise ClientError(
            f"There is no key of the log in {key_file(checkpoint)}. Get it first: `sampan trust ADDRESS`, or `sampan log look`."
        )
    try:
        evidence = read(body)
        if (origin := evidence.checkpoint.partition("\n")[0]) != key.origin:
            raise LogDiffers(
                f"This proof is of the log {_printable(origin)}, and the key that you keep is of {key.origin}: it says "
                "nothing of this certificate. Get the proof from its own page, or the other log's key with `sampan trust`."
            )
        shown, statements = proved(evidence, key)
    except NotACheckpoint as wrong:
        raise LogDiffers(f"The proof is not good: {wrong}") from None
    if kept is not None and kept.size == shown.size and kept.root != shown.root:
        raise LogDiffers(_FORKED.format(size=kept.size))
    return shown, statements


def continues(place: str, shown: Checkpoint, checkpoint: Path, key_at: Path | None = None) -> str:
    """Whether the log of a proof begins with the one of which a checkpoint is kept, in words; empty when there is none.

    The log is asked when ``place`` is its address; a file alone cannot tell. Raises LogDiffers when it does not.
    """
    _, kept = _kept(checkpoint, key_at)
    if kept is None:
        return ""
    if kept.size == shown.size:
        return f"It is the log of your checkpoint, of {kept.size} leaves."
    if _is_address(place):
        _compare(asking(place), kept, shown)
        return f"It begins with the {kept.size} leaves of your checkpoint."
    return (
        f"Your checkpoint is of {kept.size} leaves: whether the one log begins with the other stands in no file. "
        "Give the log's address, or run `sampan log look`."
    )


def evidence_at(place: str, credential: Mapping[str, Any]) -> bytes:
    """What a log says of a credential: from a file, or asked at an installation's address that the user gave.

    Of the credential only its public id is used, never an address.
    """
    if not _is_address(place):
        try:
            with Path(place).open("rb") as file:
                return file.read(LONGEST + 1)
        except OSError as error:
            raise ClientError(f"{place} cannot be read: {error.strerror or error}.") from None
    public_id = _public_id(credential)
    if not re.fullmatch(PUBLIC_ID_PATTERN, public_id):
        raise ClientError("The certificate has no id that a log could be asked for.")
    return asking(place)(f"certificates/{public_id}", {})


def logged(
    credential: Mapping[str, Any], content: bytes | None, proof: bytes, checkpoint: Path, key_at: Path | None = None
) -> tuple[bool, str, Checkpoint]:
    """Whether the log has a credential as one to be accepted, what to say of it, and how far the log reached then.

    ``content`` is the signed document's own bytes when they are at hand: the log knows their digest. Raises LogDiffers.
    """
    shown, statements = evidence_of(proof, checkpoint, key_at)
    public_id = _public_id(credential)
    if not statements or any(one.public_id != public_id for one in statements):
        return False, "The log's proof is of another certificate.", shown
    last = statements[-1]
    digest = None if content is None else sha256(content).hexdigest()
    if digest is not None and digest not in {one.digest for one in statements}:
        return False, "The log has this certificate, but with another document than this one.", shown
    since = "" if last.on is None else f" since {last.on}"
    said = f"{last.status}{since}, in the log of {shown.size} leaves that {shown.origin} signed"
    if digest not in {None, last.digest}:
        said += "; another document of it was made since, and says what holds now: ask for that one"
    return last.status == "valid", said, shown


def _printable(text: str) -> str:
    return "".join(one for one in text[:100] if one.isprintable())


def _is_address(place: str) -> bool:
    return place.startswith(("https://", "http://"))


def _public_id(credential: Mapping[str, Any]) -> str:
    return str(credential.get("id", "")).rpartition("/")[2]


_FORKED: Final = (
    "The log was signed twice at {size} leaves, with different contents. Keep both checkpoints and show them to whoever runs it "
    "and to the other partners: one of them was shown a log that others do not see."
)


def _kept(checkpoint: Path | None, key_at: Path | None = None) -> tuple[LogKey | None, Checkpoint | None]:
    if checkpoint is None:
        return None, None
    found = [one for one in (key_file(checkpoint), key_at) if one is not None and one.exists()]
    try:
        key = LogKey.read(found[0].read_text("utf-8")) if found else None
        if not checkpoint.exists():
            return key, None
        if key is None:
            raise ClientError(f"{checkpoint} is there, but not {key_file(checkpoint)}: put the log's key there.")
        return key, opened(checkpoint.read_text("utf-8"), key)
    except NotACheckpoint as wrong:
        raise ClientError(f"{checkpoint} is not a checkpoint that was kept of this log: {wrong}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ClientError(f"{checkpoint} cannot be read: {error}.") from None


def _compare(ask: Ask, kept: Checkpoint, now: Checkpoint) -> None:
    if now.size < kept.size:
        raise LogDiffers(
            f"The log has {now.size} leaves, and had {kept.size} when its checkpoint was kept: it was cut, or an older copy was "
            "put back. Keep your checkpoint, and ask whoever runs the log."
        )
    if now.size == kept.size and now.root != kept.root:
        raise LogDiffers(_FORKED.format(size=kept.size))
    hashes = _proof(ask("proof/consistency", {"from": kept.size, "to": now.size}))
    if not extends(kept.size, kept.root, now.size, now.root, hashes):
        raise LogDiffers(
            f"The log's first {kept.size} leaves are not those that it had when its checkpoint was kept: something in them was "
            "changed, taken out or moved, or an older copy was put back and went on otherwise. Keep your checkpoint, and ask "
            "whoever runs the log."
        )


def _read_all(ask: Ask, now: Checkpoint, kept: Checkpoint | None) -> None:
    """Read every leaf, and see whether they give the roots."""
    size, edge = 0, dict[Node, bytes]()
    while size < now.size:
        leaves = _leaves(ask("leaves", {"from": size}))[: now.size - size]
        if not leaves:
            raise LogDiffers(f"The log shows {size} leaves, and signed that there are {now.size}.")
        made = grown(size, edge, [leaf_hash(leaf.encode()) for leaf in leaves])
        if kept is not None and size < kept.size <= size + len(leaves):
            _same(root_of(kept.size, edge | made), kept)
        size += len(leaves)
        edge = {node: (edge | made)[node] for node in covering(0, size)}
    _same(root_of(size, edge) if size else EMPTY, now)


def _same(root: bytes, checkpoint: Checkpoint) -> None:
    if root != checkpoint.root:
        raise LogDiffers(
            f"The leaves that the log shows are not those that it signed at {checkpoint.size}: one was changed, taken out, put "
            "in or moved. Keep your checkpoint, and ask whoever runs the log."
        )


def _proof(body: bytes) -> list[bytes]:
    try:
        return hashes_of(_fields(body).get("proof") or [])
    except NotACheckpoint as wrong:
        raise LogDiffers(str(wrong)) from None


def _leaves(body: bytes) -> list[str]:
    leaves = _fields(body).get("leaves")
    if not isinstance(leaves, list) or not all(isinstance(leaf, str) for leaf in leaves):
        raise LogDiffers("The log's leaves cannot be read.")
    return leaves


def _fields(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise LogDiffers("The log's answer cannot be read. Check its address.")
    return found


def _text(body: bytes) -> str:
    try:
        return body[:LONGEST_CHECKPOINT].decode()
    except UnicodeDecodeError:
        raise LogDiffers("The log's answer is no text. Check its address.") from None
