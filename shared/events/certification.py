"""Facts that certification publishes on ``certification.>``."""

from typing import Final, Literal, get_args

from shared.events.codes import Country as CountryCode
from shared.events.codes import Day, Model
from shared.events.facts import Fact
from shared.events.offices_to_certification import RecognitionGranted, SchemeRegistered

CertificateStatus = Literal["assessed", "eligible", "issued", "suspended", "revoked", "superseded", "void"]
STATUSES: Final[tuple[CertificateStatus, ...]] = get_args(CertificateStatus)
"""Those of certificates."""


class SchemeFact(SchemeRegistered):
    """A scheme as it was registered, and by which office."""

    office: str
    status: Literal["registered", "void"]


class Attempt(Model):
    attempt: int
    on: Day
    result: Literal["pass", "fail", "absent"]


class CertificateFact(Model):
    """One award of one person, from the first assessment on; a replacement is the next ``edition``.

    ``assessed`` and ``eligible`` are the steps before anything was awarded. ``awarded_on`` stays whatever happens later; only a
    void takes it away. ``number`` is the awarding body's own.
    """

    certificate: str
    enrolment: str
    cohort: str
    trainee: str
    person: str
    country: CountryCode
    scheme: str
    occupation: str
    level: str
    edition: int
    status: CertificateStatus
    reason: str | None = None
    number: str | None = None
    attempts: list[Attempt] = []
    assessed_on: Day | None = None
    passed_on: Day | None = None
    awarded_on: Day | None = None
    suspended_on: Day | None = None
    revoked_on: Day | None = None
    superseded_on: Day | None = None
    valid_until: Day | None = None


class RecognitionFact(RecognitionGranted):
    """What one country recognises, from ``starts_on`` up to and with ``ends_on``; without one, until it is withdrawn."""

    recognition: str
    country: CountryCode
    office: str
    status: Literal["granted", "withdrawn", "void"]
    reason: str | None = None


DATA: dict[str, type[Model]] = {
    "scheme.v1": SchemeFact,
    "certificate.v1": CertificateFact,
    "recognition.v1": RecognitionFact,
}
"""The data of each fact type on the stream CERTIFICATION."""

ADDRESSES: dict[str, str] = {
    "scheme.v1": "certification.scheme.{scheme}",
    "certificate.v1": "certification.certificate.{country}.{certificate}",
    "recognition.v1": "certification.recognition.{country}.{recognition}",
}
"""The NATS subject of each fact type; the country, in lower case, is the trainee's sending one or the one that recognises."""


def scheme_fact(data: SchemeFact, cause: str | None) -> Fact:
    return Fact("scheme", data.scheme, ADDRESSES["scheme.v1"].format(scheme=data.scheme), data, cause)


def certificate_fact(data: CertificateFact, cause: str | None) -> Fact:
    address = ADDRESSES["certificate.v1"].format(country=data.country.lower(), certificate=data.certificate)
    return Fact("certificate", data.certificate, address, data, cause)


def recognition_fact(data: RecognitionFact, cause: str | None) -> Fact:
    address = ADDRESSES["recognition.v1"].format(country=data.country.lower(), recognition=data.recognition)
    return Fact("recognition", data.recognition, address, data, cause)
