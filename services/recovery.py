"""The recovery key: what is kept of an installation's secrets can be opened with it and with nothing else.

It is a key of `age` (https://age-encryption.org): an installation holds its public half only, and whoever has the other opens
backups with any program that reads the format, also where there is no Sampan.
"""

from pathlib import Path

import pyrage
from pyrage.x25519 import Identity, Recipient

from services.processes import StandaloneError, write_whole

RECIPIENT = "recovery-recipient"
"""The file with the public half, among the other secrets."""


def make(secrets: Path) -> str:
    """A new recovery key: its public half is kept in the folder ``secrets``, the key itself nowhere. Raises StandaloneError."""
    path = secrets / RECIPIENT
    if path.exists():
        raise StandaloneError(
            f"There is a recovery key: its public half is in {path}. If the key is lost or somebody else has it, delete that "
            "file, make a new key, and make a backup at once: what was sealed for the old one opens with the old one only."
        )
    if not secrets.is_dir():
        raise StandaloneError(f"There is no {secrets}: start Sampan once (`sampan up`), then make its recovery key.")
    key = Identity.generate()
    write_whole(path, f"{key.to_public()}\n", 0o600)
    return str(key)


def seal(secrets: Path, plain: bytes) -> bytes:
    """Encrypt for the recovery key of the installation whose folder of secrets this is. Raises StandaloneError."""
    path = secrets / RECIPIENT
    try:
        recipient = Recipient.from_str(written(path).strip())
    except FileNotFoundError:
        raise StandaloneError(
            "There is no recovery key yet, and a backup is sealed for it: "
            "make one with `sampan keys recovery` (containers: `backup key`), and keep it elsewhere."
        ) from None
    except pyrage.RecipientError:
        raise StandaloneError(f"{path} holds no public half of a recovery key (age1...): put it back.") from None
    return bytes(pyrage.encrypt(plain, [recipient]))


def written(file: Path) -> str:
    """The text of a file that should hold a key; a file of anything else is one that holds none. Raises OSError."""
    return file.read_text(encoding="utf-8-sig", errors="replace")  # Windows' programs put a mark in front


def unseal(key: str, sealed: Path) -> bytes:
    """Decrypt a file of a backup. Raises StandaloneError when the key is none, or another one's."""
    try:
        identity = Identity.from_str(key.strip())
    except pyrage.IdentityError:
        raise StandaloneError(
            "That is no recovery key: it begins with AGE-SECRET-KEY-1 and was printed by `sampan keys recovery`."
        ) from None
    try:
        return bytes(pyrage.decrypt(sealed.read_bytes(), [identity]))
    except pyrage.DecryptError:
        raise StandaloneError(
            f"The recovery key does not open {sealed}: it was sealed for another key, or the file is damaged. "
            "Try the key that was in use when it was made, or another backup."
        ) from None
