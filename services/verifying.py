"""Checking credentials on this machine: what is trusted lies in a folder, fetched when somebody says from which address."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import httpx

from services import logbook
from services.errors import ClientError
from services.logbook import Seen
from shared.vc.embedding import LARGEST_FILE
from shared.vc.trust import LARGEST_LIST, NotTrusted, Trust

DID: Final = "did.json"
LISTS: Final = "status-{}.json"
CHECKPOINT: Final = "log.checkpoint"
"""The log's newest checkpoint when it was trusted last; its key lies beside it (``logbook.key_file``)."""
MOST_LISTS: Final = 1_000
FETCH_SECONDS: Final = 20.0
_LOCAL: Final = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was got from an issuer, and where it lies now; ``log`` is what was found of its log, if it has one."""

    did: str
    folder: Path
    lists: int
    log: Seen | None


def read_file(path: Path) -> bytes:
    """A file to be checked, as much of it as is looked at. Raises ClientError."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ClientError(f"{path} cannot be read: {error.strerror or error}.") from None


def own_folder() -> Path:
    """The user's own. Never one of the folder in which they stand: it may be somebody else's, and come with the certificate."""
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return home / "sampan" / "trust"


def trusted(folder: Path, lists: list[Path]) -> Trust:
    """What a folder holds, a subfolder for each issuer, and status lists that were given besides. Raises ClientError."""
    trust = Trust()
    try:
        for file in sorted(folder.glob(f"*/{DID}")):
            content = file.read_bytes()
            (did,) = Trust().with_issuer(content).keys
            if file.parent != folder_of(did, folder):
                raise ClientError(
                    f"{file.parent} holds the keys of another issuer than its name says. Find out how they came there, delete "
                    "it, and get the keys anew with `sampan trust ADDRESS`."
                )
            trust = trust.with_issuer(content)
            trust = trust.with_lists(one.read_bytes() for one in sorted(file.parent.glob(LISTS.format("*"))))
        return trust.with_lists(_given(lists))
    except NotTrusted as error:
        raise ClientError(f"{error} Get it anew with `sampan trust ADDRESS`.") from None
    except OSError as error:
        raise ClientError(f"{folder} cannot be read: {error.strerror or error}.") from None


def fetch(address: str, folder: Path, transport: httpx.BaseTransport | None = None) -> Fetched:
    """Get an issuer's keys and its status lists, and its log's key and checkpoint.

    The log must begin with what was kept of it before. Raises ClientError (LogDiffers when it does not); nothing is kept then.
    """
    parts = urlsplit(address.rstrip("/"))
    if parts.hostname is None or not (
        parts.scheme == "https" or (parts.scheme, parts.hostname in _LOCAL) == ("http", True)
    ):
        raise ClientError(
            "Give the issuer's whole address, such as https://skills.example.org (http only for this machine)."
        )
    path = [quote(part, safe="") for part in parts.path.split("/") if part]
    expected = ":".join(["did", "web", quote(parts.netloc, safe=""), *path])
    base = f"{parts.scheme}://{parts.netloc}{parts.path}"
    into = folder_of(expected, folder)
    files: dict[str, bytes] = {}
    with httpx.Client(timeout=FETCH_SECONDS, follow_redirects=False, transport=transport) as http:

        def ask(path: str, asked: Mapping[str, str | int]) -> bytes:
            return _got(http, f"{base}/v1/log/{path}{_query(asked)}")

        files[DID] = _got(http, f"{base}/did.json" if path else f"{base}/.well-known/did.json")
        try:
            trust = Trust().with_issuer(files[DID])
            if set(trust.keys) != {expected}:
                raise ClientError(
                    f"{address} has the keys of another issuer. Ask the issuer for the address that is theirs."
                )
            for name, content in _lists(http, base):
                trust = trust.with_list(content)
                files[name] = content
        except NotTrusted as error:
            raise ClientError(f"What {address} gave cannot be relied on: {error}") from None
        log = None
        if _found(http, f"{base}/v1/log/checkpoint") is not None:
            log = logbook.look(ask, into / CHECKPOINT, every_leaf=False)
        _kept(into, files)
        if log is not None:
            logbook.keep(ask, log, into / CHECKPOINT)
    return Fetched(expected, into, len(trust.lists), log)


def folder_of(did: str, folder: Path) -> Path:
    """Where what was got from an issuer lies."""
    return folder / quote(did, safe="")


def _query(asked: Mapping[str, str | int]) -> str:
    return f"?{urlencode(asked)}" if asked else ""


def _lists(http: httpx.Client, base: str) -> Iterator[tuple[str, bytes]]:
    for number in range(1, MOST_LISTS):
        content = _found(http, f"{base}/v1/status/{number}")
        if content is None:
            return
        yield LISTS.format(number), content
        if reasons := _found(http, f"{base}/v1/status/{number}/reasons"):
            yield LISTS.format(f"{number}-reasons"), reasons


def _got(http: httpx.Client, address: str) -> bytes:
    content = _found(http, address)
    if content is None:
        raise ClientError(
            f"There is nothing at {address}: this is not an issuer's address, or nothing is issued there yet."
        )
    return content


def _found(http: httpx.Client, address: str) -> bytes | None:
    """What is at an address, None if there is nothing. Raises ClientError."""
    try:
        with http.stream("GET", address) as answer:
            if answer.status_code == httpx.codes.NOT_FOUND:
                return None
            if answer.status_code != httpx.codes.OK:
                raise ClientError(f"{address} answered {answer.status_code}. Try again later.")
            content = bytearray()
            for part in answer.iter_bytes():
                content += part
                if len(content) > LARGEST_LIST:
                    raise ClientError(f"{address} answers with far more than it should.")
            return bytes(content)
    except httpx.HTTPError:
        raise ClientError(f"{address} cannot be reached. Check the address and the connection.") from None


def _kept(folder: Path, files: dict[str, bytes]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(LISTS.format("*")):
            old.unlink()
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise ClientError(f"{folder} cannot be written: {error.strerror or error}.") from None


def _given(lists: list[Path]) -> Iterator[bytes]:
    for path in lists:
        yield read_file(path)
