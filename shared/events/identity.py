"""Ids that anyone can derive, so that an office needs no call before it writes (RFC 9562, UUID version 5)."""

from datetime import date
from functools import lru_cache
from uuid import UUID, uuid5

ENROLMENTS = UUID("5f3e9c46-6b0e-5d0e-9a55-0f6a3d2f7c11")
CERTIFICATES = UUID("c2b9a1de-2f4c-5b6e-8f1b-7a4d9c0e5b22")

RECOGNITIONS = UUID("9d1f6a52-0c3b-5e74-a8d6-3b7e5f10c944")


@lru_cache(4096)  # rules ask for it again and again while they decide one batch
def enrolment_id(cohort: str, number: str) -> str:
    """The id of a trainee's place in a cohort, from the cohort's code and the trainee's number."""
    return str(uuid5(ENROLMENTS, f"{cohort}/{number}"))


@lru_cache(4096)
def certificate_id(enrolment: str, scheme: str, occupation: str, level: str, edition: int) -> str:
    """The id of a certificate; a replacement is the next edition of the same award."""
    return str(uuid5(CERTIFICATES, f"{enrolment}/{scheme}/{occupation}/{level}/{edition}"))


def recognised_id(country: str, framework: str, scheme: str, occupation: str, level: str) -> str:
    """The id of what a country recognises, or did: what only one recognition at a time may say something of."""
    return str(uuid5(RECOGNITIONS, f"{country}/{framework}/{scheme}/{occupation}/{level}"))


def recognition_id(recognised: str, starts_on: date) -> str:
    """The id of one recognition, from what is recognised and its first day."""
    return str(uuid5(RECOGNITIONS, f"{recognised}/{starts_on.isoformat()}"))


def office_of(source: str) -> tuple[str, str]:
    """The country and the office's code of a source such as /offices/kh/ntti."""
    _, _, country, office = source.split("/")
    return country, office
