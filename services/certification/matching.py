"""Whether a name that somebody typed is the one of a certificate. Pure: no name is kept, and nothing is said but yes or no.

Of a name that a document said before it was corrected only a digest is kept, keyed with the person's own key: a paper with that
name is still out there, and whoever holds it is to be told so. Once the person is forgotten the digest means nothing.
"""

import hashlib
import hmac
import unicodedata
from collections.abc import Iterable
from typing import Final

DIGEST_BYTES: Final = 32


def is_one_of(typed: str, names: Iterable[str]) -> bool:
    """Whether what was typed is one of these names, in whichever order its words come."""
    wanted = _words(typed)
    return bool(wanted) and any(wanted == _words(name) for name in names)


def digest_of(name: str, key: bytes) -> bytes:
    """What is kept of a name that is not said any more; equal for names that ``is_one_of`` takes for the same."""
    return hmac.digest(key, b"said before " + "\0".join(_words(name)).encode(), hashlib.sha256)


def was_one_of(typed: str, digests: bytes, key: bytes) -> bool:
    """Whether what was typed is one of the names whose digests these are, one after the other."""
    wanted = digest_of(typed, key)
    kept = [digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES)]
    return bool(_words(typed)) and any(hmac.compare_digest(wanted, one) for one in kept)


def _words(name: str) -> list[str]:
    """The words of a name in order of the alphabet, without case, signs that nobody sees, and marks between words."""
    written = unicodedata.normalize("NFKC", name).casefold()
    kept = (
        one if unicodedata.category(one)[0] in "LMN" else "" if unicodedata.category(one) == "Cf" else " "
        for one in written
    )
    return sorted("".join(kept).split())
