"""The same credential as a signed JWT: W3C VC-JOSE-COSE, ``alg: Ed25519`` (RFC 9864 retires ``EdDSA``).

Beside the credential's own fields stand the claims that Open Badges 3.0 (8.2.4) wants in a JWT; they say the same once more.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError

from shared.vc import moments
from shared.vc.keys import SigningKey, jwk
from shared.vc.proof import BadProof, OtherProof, UnknownKey
from shared.vc.reading import PART, NotReadable

ALGORITHM: Final = "Ed25519"
TYPE: Final = "vc+jwt"
_SIGNATURE: Final = 86
"""Characters of a whole signature."""
_UNREADABLE: Final = "It looks like a JWT and cannot be read as one, or only a part of it is there."


def sign(document: Mapping[str, Any], key: SigningKey) -> str:
    """The document (without a proof) as a compact JWS."""
    header = {"alg": ALGORITHM, "typ": TYPE, "cty": "vc", "kid": key.id}
    payload = json.dumps({**claims(document), **document}, ensure_ascii=False, separators=(",", ":")).encode()
    return jws.serialize_compact(header, payload, key.jwk, [ALGORITHM])


def claims(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a JWT's own claims say of a credential: whose it is, which, of whom, and from when until when (RFC 7519)."""
    issuer = document["issuer"]
    said = {
        "iss": issuer["id"] if isinstance(issuer, Mapping) else issuer,
        "jti": document["id"],
        "sub": document["credentialSubject"]["id"],
        "nbf": int(moments.read(document["validFrom"]).timestamp()),
    }
    if "validUntil" in document:
        said["exp"] = int(moments.read(document["validUntil"]).timestamp())
    return said


def check(token: str, keys: Mapping[str, bytes]) -> tuple[str, bytes]:
    """The address of the key that signed it, one of ``keys``, and what was signed. Raises BadProof."""
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        raise OtherProof("It looks like a JWT and cannot be read as one.") from None
    if header.get("alg") != ALGORITHM or header.get("typ") != TYPE or "crit" in header:
        raise OtherProof(f"It is a JWT of another kind (known here: {ALGORITHM}, {TYPE}).")
    name = header.get("kid")
    if not isinstance(name, str) or name not in keys:
        raise UnknownKey(name)
    try:
        return name, jws.deserialize_compact(token, jwk(keys[name]), [ALGORITHM]).payload
    except (JoseError, ValueError, TypeError):
        raise BadProof("Its signature does not fit what it says: it was changed after it was signed.") from None


def payload(token: str) -> bytes:
    """What a JWT says, whoever signed it. Raises NotReadable."""
    try:
        found = jws.extract_compact(token.encode())
        known = found.headers().get("alg") == ALGORITHM
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        raise NotReadable(PART if token.count(".") < 2 else _UNREADABLE) from None
    if known and len(token.rpartition(".")[2]) < _SIGNATURE:
        raise NotReadable(PART)
    return found.payload
