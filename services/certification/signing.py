"""Documents: from what is said of a certificate to what is signed, and back. No database and no clock; runs in any process."""

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from services.certification.issuer_keys import IssuerKey, name_of
from services.certification.operator import Operator
from shared.events.envelope import canonical


class Document(NamedTuple):
    """A signed document in both its forms."""

    json: str
    """With a proof in it (Data Integrity)."""
    jwt: str

    @property
    def digest(self) -> bytes:
        """What the log commits to."""
        return hashlib.sha256(self.json.encode()).digest()


@dataclass(frozen=True, slots=True)
class Job:
    """A document to be signed: what it says of the certificate, whose it is, and where its bit is."""

    said: Mapping[str, Any]
    names: Mapping[str, Any] | None
    public_id: str
    list: int
    place: int
    valid_from: date | None
    valid_until: date | None


class Stored(NamedTuple):
    """A document as it was read back, with the digest of what was signed, and the public half of the key."""

    packed: bytes
    digest: bytes
    public: bytes


def packed(document: Document) -> bytes:
    """Both forms as bytes, to be sealed."""
    return json.dumps(document._asdict(), ensure_ascii=False).encode()


def unpacked(content: bytes) -> Document:
    """What ``packed`` made."""
    return Document(**json.loads(content))


def warm() -> None:
    """Load what every document needs, before the first."""


def sign_all(operator: Operator, key: IssuerKey, now: datetime, jobs: Sequence[Job]) -> list[Document]:
    """The signed documents, in order."""
    return [_signed(operator, key, now, _credential(operator, now, job)) for job in jobs]


def verify_all(operator: Operator, stored: Sequence[Stored]) -> list[bool]:
    """Whether each is what was signed, and both its forms verify."""
    return [_verified(operator, one) for one in stored]


def sign_list(operator: Operator, key: IssuerKey, number: int, places: Sequence[int], now: datetime) -> tuple[str, str]:
    """A status list in both its forms, with the bits of these places set."""
    document = _signed(operator, key, now, _status_list(operator, number, places, now))
    return document.json, document.jwt


# --- until shared.vc is here: the proof is eddsa-jcs-2022


def _credential(operator: Operator, now: datetime, job: Job) -> dict[str, Any]:
    subject: dict[str, Any] = {"type": ["AchievementSubject"], "said": dict(job.said)}
    if job.names:
        subject["name"] = dict(job.names)
    return {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "id": operator.credential(job.public_id),
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "issuer": {"id": operator.did, "type": ["Profile"], "name": operator.name, "url": operator.url},
        "validFrom": now.isoformat(),
        "credentialSubject": subject,
        "credentialStatus": {
            "id": f"{operator.status_list(job.list)}#{job.place}",
            "type": "BitstringStatusListEntry",
            "statusPurpose": "revocation",
            "statusListIndex": str(job.place),
            "statusListCredential": operator.status_list(job.list),
        },
    }


def _status_list(operator: Operator, number: int, places: Sequence[int], now: datetime) -> dict[str, Any]:
    bits = bytearray(2**17 // 8)
    for place in places:
        bits[place // 8] |= 128 >> place % 8
    encoded = base64.urlsafe_b64encode(gzip.compress(bytes(bits), mtime=0)).decode().rstrip("=")
    return {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "id": operator.status_list(number),
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "issuer": operator.did,
        "validFrom": now.isoformat(),
        "credentialSubject": {
            "id": f"{operator.status_list(number)}#list",
            "type": "BitstringStatusList",
            "statusPurpose": "revocation",
            "encodedList": f"u{encoded}",
        },
    }


def _signed(operator: Operator, key: IssuerKey, now: datetime, document: dict[str, Any]) -> Document:
    private = Ed25519PrivateKey.from_private_bytes(key.private)
    proof = {
        "type": "DataIntegrityProof",
        "created": now.isoformat(),
        "verificationMethod": f"{operator.did}#{key.name}",
    }
    signature = private.sign(_hashed(document, proof))
    whole = document | {"proof": proof | {"proofValue": base64.b16encode(signature).decode()}}
    header = {"alg": "EdDSA", "kid": f"{operator.did}#{key.name}", "typ": "vc+jwt"}
    said = f"{_part(header)}.{_part(document)}"
    signed = base64.urlsafe_b64encode(private.sign(said.encode())).decode().rstrip("=")
    return Document(json.dumps(whole, ensure_ascii=False), f"{said}.{signed}")


def _verified(operator: Operator, stored: Stored) -> bool:
    try:
        document = unpacked(stored.packed)
        whole = json.loads(document.json)
        proof = whole.pop("proof")
        signature = base64.b16decode(proof.pop("proofValue"))
        public = Ed25519PublicKey.from_public_bytes(stored.public)
        public.verify(signature, _hashed(whole, proof))
        said, _, jws = document.jwt.rpartition(".")
        public.verify(base64.urlsafe_b64decode(jws + "=="), said.encode())
    except (ValueError, KeyError, TypeError, InvalidSignature):
        return False
    return document.digest == stored.digest and str(whole["issuer"]["id"]) == operator.did


def _hashed(document: Mapping[str, Any], proof: Mapping[str, Any]) -> bytes:
    return hashlib.sha256(canonical(proof)).digest() + hashlib.sha256(canonical(document)).digest()


def _part(fields: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(canonical(fields)).decode().rstrip("=")


def did_document(operator: Operator, keys: Mapping[int, bytes]) -> str:
    """The DID document with these public keys, by number."""
    names = {f"{operator.did}#{name_of(number)}": public for number, public in keys.items()}
    return json.dumps(
        {
            "@context": ["https://www.w3.org/ns/did/v1"],
            "id": operator.did,
            "verificationMethod": [
                {"id": name, "type": "Multikey", "controller": operator.did, "publicKeyHex": public.hex()}
                for name, public in names.items()
            ],
            "assertionMethod": list(names),
        }
    )
