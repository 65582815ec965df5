"""Keys as documents name them: Multikey in base58 (W3C Controlled Identifiers 1.0), and the DID document with them (did:web)."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey

from shared.vc import moments

_ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ED25519: Final = b"\xed\x01"
_LONGEST: Final = 200
"""Characters: decoding base58 is quadratic, and nothing here is longer than a signature."""


class NotAKey(ValueError):
    """A text or document that is no Ed25519 key in this form."""


@dataclass(frozen=True, repr=False)
class SigningKey:
    """A private key (32 bytes) and the whole address under which its public half is found: ``did:web:...#key-1``.

    Its other forms are made once: making one takes as long as signing.
    """

    id: str
    private: bytes

    @cached_property
    def opened(self) -> Ed25519PrivateKey:
        """What signs."""
        return Ed25519PrivateKey.from_private_bytes(self.private)

    @cached_property
    def public(self) -> bytes:
        """The public half, 32 bytes."""
        return self.opened.public_key().public_bytes_raw()

    @cached_property
    def jwk(self) -> OKPKey:
        """What signs JWTs."""
        return jwk(self.public, self.private)


def jwk(public: bytes, private: bytes | None = None) -> OKPKey:
    """A key as JOSE has it (RFC 8037)."""
    fields: dict[str, str | list[str]] = {"kty": "OKP", "crv": "Ed25519", "x": _base64url(public)}
    return OKPKey.import_key(fields if private is None else fields | {"d": _base64url(private)})


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def base58(data: bytes) -> str:
    """Bytes as multibase base58-btc: ``z`` and the digits."""
    number, digits = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        digits = _ALPHABET[digit] + digits
    return "z" + "1" * (len(data) - len(data.lstrip(b"\0"))) + digits


def from_base58(text: str) -> bytes:
    """The bytes again. Raises NotAKey."""
    digits = text[1:]
    if text[:1] != "z" or len(text) > _LONGEST or any(digit not in _ALPHABET for digit in digits):
        raise NotAKey("not base58 behind a z")
    number = 0
    for digit in digits:
        number = number * 58 + _ALPHABET.index(digit)
    zeros = len(digits) - len(digits.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def multikey(public: bytes) -> str:
    """A public key as ``publicKeyMultibase``."""
    return base58(_ED25519 + public)


def from_multikey(text: str) -> bytes:
    """The 32 bytes of a public key. Raises NotAKey."""
    data = from_base58(text)
    if len(data) != 34 or data[:2] != _ED25519:
        raise NotAKey("not an Ed25519 key")
    return data[2:]


def did_document(did: str, keys: Mapping[str, bytes], given_up: Mapping[str, datetime] | None = None) -> dict[str, Any]:
    """The DID document with these public keys, by fragment (``key-1``).

    Of keys that were ``given_up`` it says only since when: without the key itself nothing verifies by them, whoever reads it.
    """
    methods = [
        {"id": f"{did}#{name}", "type": "Multikey", "controller": did, "publicKeyMultibase": multikey(public)}
        for name, public in keys.items()
    ]
    gone = [
        {"id": f"{did}#{name}", "type": "Multikey", "controller": did, "revoked": moments.moment(at)}
        for name, at in (given_up or {}).items()
    ]
    return {
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
        "id": did,
        "verificationMethod": methods + gone,
        "assertionMethod": [method["id"] for method in methods],
    }


def keys_of(document: Any) -> tuple[str, dict[str, bytes]]:
    """The DID of a DID document and its public keys that may sign, by whole address. Raises NotAKey."""
    try:
        did, signing = document["id"], set(document["assertionMethod"])
        methods = {method["id"]: method for method in document["verificationMethod"] if method["id"] in signing}
        if not isinstance(did, str) or any(method["controller"] != did for method in methods.values()):
            raise NotAKey("not the DID document of one issuer")
        if any(not name.startswith(f"{did}#") for name in methods):
            raise NotAKey("a key that belongs to somebody else")
        return did, {name: from_multikey(method["publicKeyMultibase"]) for name, method in methods.items()}
    except (KeyError, TypeError, AttributeError):
        raise NotAKey("not a DID document with keys that may sign") from None


def given_up_of(document: Any) -> dict[str, datetime]:
    """The keys that an issuer's DID document (which ``keys_of`` took) says are given up, by whole address: since when."""
    found = {}
    for method in document["verificationMethod"]:
        if method["id"] not in document["assertionMethod"] and str(method["id"]).startswith(f"{document['id']}#"):
            with suppress(KeyError, TypeError, ValueError):
                found[method["id"]] = moments.read(method["revoked"])
    return found
