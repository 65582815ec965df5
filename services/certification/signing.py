"""Documents: from what is said of a certificate to what is signed, and back. No database and no clock; runs in any process."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from services.certification.issuer_keys import IssuerKey, given_up, good, name_of
from services.certification.operator import Operator
from services.certification.tables import IssuerKeyRow
from shared.deadletters import describe
from shared.vc import jwt, proof, status
from shared.vc import keys as vc_keys
from shared.vc.document import CONTEXTS, Attested, Body, Code, Course, Issuer, Mark, credential, isced, isco
from shared.vc.embedding import LARGEST_CREDENTIAL
from shared.vc.loading import context
from shared.vc.quads import NotCanonical
from shared.vc.reading import NotReadable
from shared.vc.signed import presented

LIST_GOOD_FOR: Final = timedelta(days=1)
"""After this much time a verifier has to ask for a status list anew; it is signed anew well before."""


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


class Unsigned(NamedTuple):
    """In the place of a document that could not be signed."""

    why: str


class Stored(NamedTuple):
    """A document as it was read back, with the digest of what was signed, and the key's number and public half."""

    packed: bytes
    digest: bytes
    key: int
    public: bytes


def packed(document: Document) -> bytes:
    """Both forms as bytes, to be sealed."""
    return json.dumps(document._asdict(), ensure_ascii=False).encode()


def unpacked(content: bytes) -> Document:
    """What ``packed`` made."""
    return Document(**json.loads(content))


def warm() -> None:
    """Load what every document needs, before the first."""
    for address in CONTEXTS:
        context(address)


def sign_all(operator: Operator, key: IssuerKey, now: datetime, jobs: Sequence[Job]) -> list[Document | Unsigned]:
    """The signed documents, in order. One that cannot be signed holds up no other."""
    issuer, signing = Issuer(operator.did, operator.name, operator.url), _signing_key(operator, key)
    return [_signed_if_it_can_be(operator, issuer, signing, now, job) for job in jobs]


def _signed_if_it_can_be(
    operator: Operator, issuer: Issuer, signing: vc_keys.SigningKey, now: datetime, job: Job
) -> Document | Unsigned:
    try:
        document = _signed(signing, now, credential(attested(operator, job), issuer))
        presented(document.json.encode(), LARGEST_CREDENTIAL)
    except (NotCanonical, NotReadable) as error:  # their messages hold nothing of what is said
        return Unsigned(str(error))
    except Exception as error:
        return Unsigned(describe(error))
    return document


def verify_all(operator: Operator, stored: Sequence[Stored]) -> list[bool]:
    """Whether each is what was signed, and both its forms verify."""
    return [_verified(operator, one) for one in stored]


def sign_lists(
    operator: Operator, key: IssuerKey, number: int, standings: Mapping[int, str], now: datetime
) -> tuple[Document, Document]:
    """A status list, and the list of reasons beside it, of standings by place; bits of places that are not there are not set."""
    address = operator.status_list(number)
    bits = status.status_credential(address, operator.did, standings, now, LIST_GOOD_FOR)
    reasons = status.reasons_credential(f"{address}/reasons", operator.did, standings, now, LIST_GOOD_FOR)
    signing = _signing_key(operator, key)
    return _signed(signing, now, bits), _signed(signing, now, reasons)


def places_of(document: str | None) -> set[int]:
    """The set bits of a signed status list."""
    if document is None:
        return set()
    bits = status.decode(json.loads(document)["credentialSubject"]["encodedList"])
    return {8 * at + bit for at, byte in enumerate(bits) if byte for bit in range(8) if byte & 128 >> bit}


def did_document(operator: Operator, keys: Sequence[IssuerKeyRow]) -> str:
    """The DID document of an issuer with these keys: those whose signatures are good, and since when others are given up."""
    public = {name_of(number): key for number, key in good(keys).items()}
    gone = {name_of(number): since for number, since in given_up(keys).items()}
    return json.dumps(vc_keys.did_document(operator.did, public, gone))


def attested(operator: Operator, job: Job) -> Attested:
    """What a document says, in the words of credentials."""
    said, fact = job.said, job.said["certificate"]
    scheme, occupation, level = said["scheme"], said["occupation"] or {}, said["level"] or {}
    occupation_title = _title(occupation.get("titles")) or fact["occupation"]
    return Attested(
        id=operator.credential(job.public_id),
        certificate=fact["certificate"],
        edition=fact["edition"],
        scheme=fact["scheme"],
        scheme_title=_title(scheme["titles"]),
        body=Body(_title(scheme["awarding_body"]), scheme.get("lookup_url")),
        occupation=fact["occupation"],
        occupation_title=occupation_title,
        level=fact["level"],
        level_title=_title(level.get("titles")) or fact["level"],
        printed=level.get("printed"),
        number=fact["number"],
        awarded_on=date.fromisoformat(fact["awarded_on"]),
        valid_until=_day(fact["valid_until"]),
        course=_course(fact["cohort"], said["cohort"]),
        status_list=operator.status_list(job.list),
        status_place=job.place,
        page=operator.page(job.public_id),
        names=() if job.names is None else (job.names["original"], job.names["romanised"]),
        marks=tuple(map(mark_of, said["parts"])),
        codes=_codes(occupation),
        passed_on=_day(fact["passed_on"]),
        local=operator.is_local,
    )


def mark_of(part: Mapping[str, Any]) -> Mark:
    """One part of an assessment in the words of credentials, its numbers with every digit that was given."""
    mark, out_of = (format(Decimal(str(part[name])), "f").removesuffix(".0") for name in ("mark", "out_of"))
    return Mark(part["name"], mark, out_of, part["passed"])


def _course(cohort: str, about: Mapping[str, Any]) -> Course:
    return Course(
        cohort,
        _title(about.get("titles")) or cohort,
        _title(about.get("host_names")) or about.get("host_centre", ""),
        about.get("host_country", ""),
        _day(about.get("starts_on")),
        _day(about.get("ends_on")),
    )


def _codes(occupation: Mapping[str, Any]) -> tuple[Code, ...]:
    codes = []
    if occupation.get("isco"):
        codes.append(isco(occupation["isco"]))
    if occupation.get("iscedf"):
        codes.append(isced(occupation["iscedf"]))
    return tuple(codes)


def _title(titles: Mapping[str, str] | None) -> str:
    """In English where there is one: the languages of a page are the page's."""
    titles = titles or {}
    return titles.get("en") or next(iter(titles.values()), "")


def _day(written: str | None) -> date | None:
    return date.fromisoformat(written) if written else None


def _signing_key(operator: Operator, key: IssuerKey) -> vc_keys.SigningKey:
    return vc_keys.SigningKey(f"{operator.did}#{key.name}", key.private)


def _signed(signing: vc_keys.SigningKey, now: datetime, document: dict[str, Any]) -> Document:
    whole = proof.sign(document, signing, now)
    return Document(json.dumps(whole, ensure_ascii=False, separators=(",", ":")), jwt.sign(document, signing))


def _verified(operator: Operator, stored: Stored) -> bool:
    try:
        document = unpacked(stored.packed)
        whole = json.loads(document.json)
        keys = {f"{operator.did}#{name_of(stored.key)}": stored.public}
        proof.check(whole, keys)
        _, said = jwt.check(document.jwt, keys)
        without_proof = {name: value for name, value in whole.items() if name != "proof"}
        return document.digest == stored.digest and json.loads(said) == without_proof | jwt.claims(without_proof)
    except (ValueError, KeyError, TypeError):  # a BadProof is a ValueError
        return False
