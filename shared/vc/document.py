"""What a credential says: an Open Badges 3.0 ``OpenBadgeCredential``, in terms of its two contexts and no other.

It attests to a certificate that somebody else awarded. So its issuer is the operator of this installation; the awarding body is
the achievement's creator and the subject's source, with its own number (``licenseNumber``) and the address at which it can be
asked itself. See docs/decisions/0026.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from urllib.parse import quote

from shared.vc.loading import CREDENTIALS, OPEN_BADGES
from shared.vc.moments import end_of, moment, start_of
from shared.vc.status import PURPOSE

CONTEXTS: Final = (CREDENTIALS, OPEN_BADGES)
TYPES: Final = ("VerifiableCredential", "OpenBadgeCredential")
DEMONSTRATION: Final = "Demonstration: issued under a local address, which nobody else can ask."


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who attests: the operator, under a DID that ends in its address."""

    did: str
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Code:
    """A code of a classification, and the address under which it stands there."""

    framework: str
    code: str
    name: str
    url: str


def isco(code: str) -> Code:
    """An occupation of ISCO-08, at its address in the European Union's vocabularies. Its title there is not known here."""
    return Code("ISCO-08", code, f"ISCO-08 {code}", f"http://data.europa.eu/esco/isco/C{code}")


def isced(code: str) -> Code:
    """A field of ISCED-F 2013, at its address in the European Union's vocabularies. Its title there is not known here."""
    return Code("ISCED-F 2013", code, f"ISCED-F 2013 {code}", f"http://data.europa.eu/snb/isced-f/{code}")


@dataclass(frozen=True, slots=True)
class Mark:
    """One part of the assessment."""

    part: str
    mark: str
    out_of: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Course:
    """The cohort in which it was learnt."""

    cohort: str
    title: str
    host_centre: str
    """Its name, in English where there is one; its code while no name is known."""

    host_country: str
    starts_on: date | None = None
    ends_on: date | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """The awarding body, and where it can be asked itself."""

    name: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Attested:
    """Everything that one credential says. ``names`` are given only where consent covers that."""

    id: str
    """The credential's own address."""
    certificate: str
    edition: int
    scheme: str
    scheme_title: str
    body: Body
    occupation: str
    occupation_title: str
    level: str
    level_title: str
    printed: str | None
    """The level's number, as it is printed: never without its name, since old numbers run the other way."""
    number: str | None
    """The awarding body's own number of the certificate."""
    awarded_on: date
    valid_until: date | None
    course: Course
    status_list: str
    """Address of the list."""
    status_place: int
    page: str
    """Where anybody sees how the certificate stands."""
    names: tuple[str, ...] = ()
    """In the original script, then romanised."""
    marks: tuple[Mark, ...] = ()
    codes: tuple[Code, ...] = ()
    passed_on: date | None = None
    local: bool = False
    """A demonstration: the issuer's address is this machine's own."""

    @property
    def tier(self) -> str:
        """The level by name, and its printed number beside it."""
        return self.level_title if self.printed is None else f"{self.level_title} (printed as {self.printed})"


def credential(attested: Attested, issuer: Issuer) -> dict[str, Any]:
    """The credential without a proof."""
    said = {
        "@context": list(CONTEXTS),
        "id": attested.id,
        "type": list(TYPES),
        "name": f"{attested.scheme_title}: {attested.occupation_title}, {attested.tier}",
        "description": _description(attested, issuer),
        "issuer": {"id": issuer.did, "type": ["Profile"], "name": issuer.name, "url": issuer.url},
        "validFrom": start_of(attested.awarded_on),
        "awardedDate": start_of(attested.awarded_on),
        "credentialSubject": _subject(attested, issuer),
        "evidence": [_course(attested)],
        "credentialStatus": {
            "id": f"{attested.status_list}#{attested.status_place}",
            "type": "BitstringStatusListEntry",
            "statusPurpose": PURPOSE,
            "statusListIndex": str(attested.status_place),
            "statusListCredential": attested.status_list,
        },
    }
    if attested.valid_until is not None:
        said["validUntil"] = moment(end_of(attested.valid_until))
    return said


def _description(attested: Attested, issuer: Issuer) -> str:
    number = "" if attested.number is None else f" under its number {attested.number}"
    edition = "" if attested.edition == 1 else f" This is edition {attested.edition}: it replaces the one before."
    local = f" {DEMONSTRATION}" if attested.local else ""
    return (
        f"{issuer.name} attests that {attested.body.name} awarded this certificate{number} on "
        f"{attested.awarded_on.isoformat()}. {attested.body.name} did not sign this document; how the certificate stands now: "
        f"{attested.page}.{edition}{local}"
    )


def _subject(attested: Attested, issuer: Issuer) -> dict[str, Any]:
    subject: dict[str, Any] = {
        "id": f"urn:uuid:{attested.certificate}",
        "type": ["AchievementSubject"],
        "achievement": _achievement(attested, issuer),
        "source": _body(attested, issuer),
        "term": attested.course.cohort,
    }
    if names := list(dict.fromkeys(attested.names)):
        subject["identifier"] = [
            {"type": "IdentityObject", "hashed": False, "identityHash": name, "identityType": "name"} for name in names
        ]
    if attested.number is not None:
        subject["licenseNumber"] = attested.number
    if attested.course.starts_on is not None:
        subject["activityStartDate"] = start_of(attested.course.starts_on)
    if attested.course.ends_on is not None:
        subject["activityEndDate"] = start_of(attested.course.ends_on)
    if attested.marks:
        subject["result"] = [
            {
                "id": f"urn:uuid:{attested.certificate}#{quote(mark.part)}",
                "type": ["Result"],
                "resultDescription": _part(attested, issuer, mark),
                "value": mark.mark,
                "status": "Completed" if mark.passed else "Failed",
            }
            for mark in attested.marks
        ]
    return subject


def _scheme(attested: Attested, issuer: Issuer) -> str:
    return f"{issuer.url}/v1/schemes/{attested.scheme}"


def _part(attested: Attested, issuer: Issuer, mark: Mark) -> str:
    # A part may be out of another number in another assessment: then it is described as another part.
    return f"{_scheme(attested, issuer)}#{attested.occupation}.{attested.level}.{quote(mark.part)}.{quote(mark.out_of)}"


def _body(attested: Attested, issuer: Issuer) -> dict[str, Any]:
    body = {"id": f"{_scheme(attested, issuer)}#awarding-body", "type": ["Profile"], "name": attested.body.name}
    return body if attested.body.url is None else body | {"url": attested.body.url}


def _achievement(attested: Attested, issuer: Issuer) -> dict[str, Any]:
    scheme = _scheme(attested, issuer)
    own = Code(attested.scheme_title, attested.occupation, attested.occupation_title, f"{scheme}#{attested.occupation}")
    tier = Code(attested.scheme_title, attested.level, attested.tier, f"{scheme}#{attested.level}")
    achievement: dict[str, Any] = {
        "id": f"{scheme}#{attested.occupation}.{attested.level}",
        "type": ["Achievement"],
        "achievementType": "Certificate",
        "name": f"{attested.occupation_title}, {attested.level_title}",
        "description": f"{attested.scheme_title}: {attested.occupation_title}, {attested.tier}.",
        "criteria": {"narrative": f"As {attested.body.name} has set for {attested.scheme_title}."},
        "creator": _body(attested, issuer),
        "humanCode": attested.occupation,
        "specialization": attested.tier,
        "alignment": [
            _alignment(own, "ext:Occupation"),
            _alignment(tier, "ext:Level"),
            *(_alignment(code, "ext:Classification") for code in attested.codes),
        ],
    }
    if attested.marks:
        achievement["resultDescription"] = [
            {
                "id": _part(attested, issuer, mark),
                "type": ["ResultDescription"],
                "name": mark.part,
                "resultType": "RawScore",
                "valueMin": "0",
                "valueMax": mark.out_of,
            }
            for mark in attested.marks
        ]
    return achievement


def _alignment(code: Code, kind: str) -> Mapping[str, Any]:
    return {
        "type": ["Alignment"],
        "targetType": kind,
        "targetFramework": code.framework,
        "targetCode": code.code,
        "targetName": code.name,
        "targetUrl": code.url,
    }


def _course(attested: Attested) -> Mapping[str, Any]:
    course = attested.course
    days = (
        ""
        if course.starts_on is None or course.ends_on is None
        else f", from {course.starts_on.isoformat()} to {course.ends_on.isoformat()}"
    )
    passed = "" if attested.passed_on is None else f" Assessed and passed on {attested.passed_on.isoformat()}."
    return {
        "id": f"urn:uuid:{attested.certificate}#course",
        "type": ["Evidence"],
        "genre": "Course",
        "name": course.title,
        "description": f"Cohort {course.cohort}",
        "narrative": f"Taught at {course.host_centre}, {course.host_country}{days}.{passed}",
    }
