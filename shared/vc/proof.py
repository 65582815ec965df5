"""Proofs in a document: W3C Data Integrity, cryptosuite ``eddsa-rdfc-2022``.

What is signed has a list of one proof: 1EdTech's schema of Open Badges 3.0 wants a list, and W3C allows either. Both are read,
and never more than one proof: which of several a reader relied on would be open.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shared.vc import moments
from shared.vc.keys import NotAKey, SigningKey, base58, from_base58
from shared.vc.quads import NotCanonical, canonical

SUITE: Final = "eddsa-rdfc-2022"
_FIELDS: Final = {"type", "cryptosuite", "created", "verificationMethod", "proofPurpose", "proofValue"}


class BadProof(ValueError):
    """The document is not what somebody signed, as far as its proof tells; the message is for a person."""


class OtherProof(BadProof):
    """A proof of a kind that is not known here, or none."""


class UnknownKey(BadProof):
    """A proof by a key that nobody here vouches for: ``key`` is what it names."""

    def __init__(self, key: object) -> None:
        super().__init__("It is signed with a key that its issuer does not name, or does not name any more.")
        self.key = key if isinstance(key, str) else ""


def sign(document: Mapping[str, Any], key: SigningKey, created: datetime) -> dict[str, Any]:
    """The document with a proof. Raises NotCanonical when something in it would not be covered."""
    proof = {
        "type": "DataIntegrityProof",
        "cryptosuite": SUITE,
        "created": moments.moment(created),
        "verificationMethod": key.id,
        "proofPurpose": "assertionMethod",
    }
    signature = key.opened.sign(_hashed(document, proof))
    return {**document, "proof": [{**proof, "proofValue": base58(signature)}]}


def named(document: Mapping[str, Any], keys: Mapping[str, bytes]) -> tuple[Mapping[str, Any], str]:
    """A document's one proof, and the key that it names, one of ``keys``. Raises OtherProof and UnknownKey."""
    proof = document.get("proof")
    if isinstance(proof, list) and len(proof) == 1:
        proof = proof[0]
    if not isinstance(proof, dict):
        raise OtherProof("It has no proof, or several: nobody's word stands behind it.")
    if proof.get("type") != "DataIntegrityProof" or proof.get("cryptosuite") != SUITE:
        raise OtherProof(f"Its proof is not of the kind that is known here (DataIntegrityProof, {SUITE}).")
    if proof.get("proofPurpose") != "assertionMethod" or not set(proof) <= _FIELDS:
        raise OtherProof("Its proof was made for something else than to attest.")
    name = proof.get("verificationMethod")
    if not isinstance(name, str) or name not in keys:
        raise UnknownKey(name)
    return proof, name


def check(document: Mapping[str, Any], keys: Mapping[str, bytes]) -> str:
    """The address of the key that signed the document, one of ``keys`` (public ones, by address). Raises BadProof."""
    proof, name = named(document, keys)
    try:
        moments.read(proof.get("created"))
        signature = from_base58(str(proof.get("proofValue")))
        said = {field: value for field, value in document.items() if field != "proof"}
        config = {field: value for field, value in proof.items() if field != "proofValue"}
        Ed25519PublicKey.from_public_bytes(keys[name]).verify(signature, _hashed(said, config))
    except InvalidSignature:
        raise BadProof("Its signature does not fit what it says: it was changed after it was signed.") from None
    except NotCanonical as error:
        raise BadProof(f"It cannot be what was signed: {error}.") from None
    except (NotAKey, ValueError):
        raise BadProof("Its proof cannot be read.") from None
    return name


def _hashed(document: Mapping[str, Any], proof: Mapping[str, Any]) -> bytes:
    config = {"@context": document.get("@context"), **proof}
    return sha256(canonical(config)).digest() + sha256(canonical(document)).digest()
