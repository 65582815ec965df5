"""Status lists: W3C Bitstring Status List 1.0, read within limits. A set bit: do not accept this, for now at least.

The purpose is ``suspension``, since whatever an awarding body said can be taken back here (an event may be voided), and
``revocation`` promises that it cannot. Why a bit is set is in a list beside it, at the same places and with purpose ``message``,
to which no credential points: verifiers look at one entry only, and at one bit of it. See docs/decisions/0026.
"""

import binascii
import gzip
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from shared.vc.loading import CREDENTIALS
from shared.vc.moments import moment

PURPOSE: Final = "suspension"
REASONS: Final = "message"
LEAST_PLACES: Final = 131_072
"""What the specification asks for, so that who is asked about stays hidden among many."""
MOST_PLACES: Final = 2**24
WORDS: Final = ("valid", "suspended", "revoked", "superseded", "void")
"""The reasons by their number."""
_REASON_BITS: Final = 4


class NotAList(ValueError):
    """Something that is no status list of this form."""


def encode(set_places: Iterable[int], places: int = LEAST_PLACES) -> str:
    """Bits as ``encodedList``: place 0 is the highest bit of the first byte."""
    bits = bytearray(places // 8)
    for place in set_places:
        bits[place // 8] |= 128 >> place % 8
    return _packed(bits)


def encode_reasons(reasons: Mapping[int, str], places: int = LEAST_PLACES) -> str:
    """Four bits for each place: the number of its word."""
    bits = bytearray(places * _REASON_BITS // 8)
    for place, word in reasons.items():
        bits[place // 2] |= WORDS.index(word) << (0 if place % 2 else 4)
    return _packed(bits)


def decode(encoded: Any) -> bytes:
    """The bytes of an ``encodedList``, in bounded memory. Raises NotAList."""
    if not isinstance(encoded, str) or encoded[:1] != "u" or len(encoded) > MOST_PLACES:
        raise NotAList("the list's bits are not written as they should be")
    most = MOST_PLACES // 2
    try:
        packed = urlsafe_b64decode(encoded[1:] + "=" * (-(len(encoded) - 1) % 4))
        bits = zlib.decompressobj(wbits=31).decompress(packed, most)
    except (binascii.Error, ValueError, zlib.error):
        raise NotAList("the list's bits cannot be unpacked") from None
    if not LEAST_PLACES // 8 <= len(bits) < most:
        raise NotAList("the list is shorter or longer than a list may be")
    return bits


def is_set(bits: bytes, place: int) -> bool:
    """Whether a place is set. Raises NotAList when the list has no such place."""
    if not 0 <= place < len(bits) * 8:
        raise NotAList("the list has no such place")
    return bool(bits[place // 8] & 128 >> place % 8)


def reason(bits: bytes, place: int) -> str | None:
    """The word at a place of a list of reasons; None where there is none."""
    if not 0 <= place < len(bits) * 2:
        return None
    number = bits[place // 2] >> (0 if place % 2 else 4) & 15
    return WORDS[number] if number < len(WORDS) else None


def status_credential(
    id: str,  # noqa: A002 - as documents call it
    issuer: str,
    set_places: Iterable[int],
    at: datetime,
    good_for: timedelta,
    places: int = LEAST_PLACES,
) -> dict[str, Any]:
    """The list as a credential without a proof. ``issuer`` is the DID; verifiers ask for it anew after ``good_for``."""
    subject = {"statusPurpose": PURPOSE, "encodedList": encode(set_places, places)}
    return _credential(id, issuer, subject, at, good_for)


def reasons_credential(
    id: str,  # noqa: A002
    issuer: str,
    reasons: Mapping[int, str],
    at: datetime,
    good_for: timedelta,
    places: int = LEAST_PLACES,
) -> dict[str, Any]:
    """The list of reasons as a credential without a proof."""
    subject = {"statusPurpose": REASONS, "encodedList": encode_reasons(reasons, places)}
    words = ", ".join(f"{number} {word}" for number, word in enumerate(WORDS))
    description = f"Why a place of the list beside it is set, in {_REASON_BITS} bits for each: {words}."
    return _credential(id, issuer, subject, at, good_for) | {"description": description}


def _credential(
    id: str,  # noqa: A002
    issuer: str,
    subject: Mapping[str, Any],
    at: datetime,
    good_for: timedelta,
) -> dict[str, Any]:
    return {
        "@context": [CREDENTIALS],
        "id": id,
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": issuer,
        "validFrom": moment(at),
        "validUntil": moment(at + good_for),
        "credentialSubject": {"id": f"{id}#list", "type": "BitstringStatusList", **subject},
    }


def _packed(bits: bytearray) -> str:
    return "u" + urlsafe_b64encode(gzip.compress(bytes(bits), mtime=0)).decode().rstrip("=")
