"""The same credential as a signed JWT: W3C VC-JOSE-COSE, ``alg: Ed25519`` (RFC 9864 retires ``EdDSA``)."""

import json
from collections.abc import Mapping
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError

from shared.vc.keys import SigningKey, jwk
from shared.vc.proof import BadProof, OtherProof, UnknownKey

ALGORITHM: Final = "Ed25519"
TYPE: Final = "vc+jwt"


def sign(document: Mapping[str, Any], key: SigningKey) -> str:
    """The document (without a proof) as a compact JWS."""
    header = {"alg": ALGORITHM, "typ": TYPE, "cty": "vc", "kid": key.id}
    payload = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return jws.serialize_compact(header, payload, key.jwk, [ALGORITHM])


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
        raise UnknownKey("It is signed with a key that its issuer does not name, or does not name any more.")
    try:
        return name, jws.deserialize_compact(token, jwk(keys[name]), [ALGORITHM]).payload
    except (JoseError, ValueError, TypeError):
        raise BadProof("Its signature does not fit what it says: it was changed after it was signed.") from None


def payload(token: str) -> bytes:
    """What a JWT says, whoever signed it. Raises OtherProof."""
    try:
        return jws.extract_compact(token.encode()).payload
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        raise OtherProof("It looks like a JWT and cannot be read as one.") from None
