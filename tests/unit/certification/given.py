"""Events and facts as offices and enrolment would tell them, with only what a test is about spelt out."""

from datetime import date, datetime, timedelta, timezone
from typing import Any

from services.certification.awards import Cohort, Trainee, World
from services.certification.domain import Decided
from shared.events.certification import CertificateFact, SchemeFact
from shared.events.envelope import Event
from shared.events.identity import enrolment_id
from shared.events.offices_to_certification import TYPES

BODY = "/offices/cn/appraisal"
OTHER_BODY = "/offices/kh/skills-board"
CENTRE = "/offices/cn/institute"
SENDER = "/offices/kh/ntti"
AUTHORITY = "/offices/kh/qualifications"
PARTIES = frozenset(
    {(BODY, "awarding-body"), (OTHER_BODY, "awarding-body"), (CENTRE, "host-centre"), (SENDER, "sending-office")}
)
WUXI = timezone(timedelta(hours=8))
MORNING = datetime(2025, 4, 1, 9, tzinfo=WUXI)


def day(number: int) -> date:
    """A day of April 2025; more than thirty runs on into May."""
    return date(2025, 3, 31) + timedelta(days=number)


def at(number: int) -> datetime:
    """The morning of that day in Wuxi."""
    return MORNING + timedelta(days=number - 1)


def scheme_data(code: str = "vslc", **changes: Any) -> dict[str, Any]:
    return {
        "scheme": code,
        "titles": {"en": "Vocational Skill Level Certification"},
        "awarding_body": {"en": "Appraisal Centre (invented)"},
        "occupations": [{"occupation": "electrician", "titles": {"en": "Electrician"}}],
        "levels": [{"level": "junior", "titles": {"en": "Junior"}}, {"level": "senior", "titles": {"en": "Senior"}}],
        "rule": "by_awarding_body",
        "completion_required": True,
        **changes,
    }


def event(
    kind: str, name: str, on: int, data: dict[str, Any], source: str = BODY, replaces: str | None = None
) -> Event:
    """An event of the morning of a day of April 2025."""
    return Event(source, name, kind, at(on), TYPES[kind].model_validate(data), {}, replaces)


def about(number: str = "001", scheme: str = "vslc", level: str = "junior") -> dict[str, Any]:
    return {"cohort": "wuxi", "number": number, "scheme": scheme, "occupation": "electrician", "level": level}


def assessed(
    name: str, on: int, result: str = "pass", attempt: int = 1, number: str = "001", more: Any = (), **envelope: Any
) -> Event:
    data = {**about(number), **dict(more), "attempt": attempt, "date": day(on).isoformat(), "result": result}
    return event("trainee.assessed.v1", name, on, data, **{"source": CENTRE, **envelope})


def awarded(
    name: str, on: int, number: str = "001", printed: str | None = None, more: Any = (), **envelope: Any
) -> Event:
    data = {**about(number, **dict(more)), "date": day(on).isoformat(), "certificate_number": printed}
    return event("certificate.awarded.v1", name, on, data, **envelope)


def numbered(name: str, on: int, printed: str, number: str = "001", **envelope: Any) -> Event:
    return event("certificate.numbered.v1", name, on, {**about(number), "certificate_number": printed}, **envelope)


def replaced(name: str, on: int, printed: str | None = None, number: str = "001") -> Event:
    data = {**about(number), "date": day(on).isoformat(), "reason": "lost", "certificate_number": printed}
    return event("certificate.replaced.v1", name, on, data)


def suspended(name: str, on: int, number: str = "001") -> Event:
    return event(
        "certificate.suspended.v1", name, on, {**about(number), "date": day(on).isoformat(), "reason": "review"}
    )


def reinstated(name: str, on: int, number: str = "001") -> Event:
    data = {**about(number), "date": day(on).isoformat(), "reason": "review-closed"}
    return event("certificate.reinstated.v1", name, on, data)


def revoked(name: str, on: int, number: str = "001") -> Event:
    return event("certificate.revoked.v1", name, on, {**about(number), "date": day(on).isoformat(), "reason": "fraud"})


def voided(name: str, on: int, target: Event, kind: str | None = None, source: str | None = None) -> Event:
    data = {"event": target.id, "type": kind or target.type, "reason": "mistake"}
    return event("event.voided.v1", name, on, data, source=source or target.source)


def registered(name: str, on: int, source: str = BODY, replaces: str | None = None, **changes: Any) -> Event:
    return event("scheme.registered.v1", name, on, scheme_data(**changes), source=source, replaces=replaces)


def recognised(
    name: str,
    on: int,
    starts: int,
    ends: int | None = None,
    source: str = AUTHORITY,
    replaces: str | None = None,
    **changes: Any,
) -> Event:
    """An invented recognition, from one day of April 2025 on."""
    data = {
        "scheme": "vslc",
        "occupation": "electrician",
        "level": "junior",
        "framework": "cqf",
        "framework_level": "3",
        "degree": "equal",
        "starts_on": day(starts).isoformat(),
        "ends_on": day(ends).isoformat() if ends else None,
        "source": "Invented decision 1",
        **changes,
    }
    return event("recognition.granted.v1", name, on, data, source, replaces)


def withdrawn(name: str, on: int, ends: int, source: str = AUTHORITY, **changes: Any) -> Event:
    """The end of it, with a day of April 2025."""
    data = {"scheme": "vslc", "occupation": "electrician", "level": "junior", "framework": "cqf", **changes}
    return event(
        "recognition.withdrawn.v1", name, on, {**data, "ends_on": day(ends).isoformat(), "reason": "reformed"}, source
    )


def trainee(number: str = "001", person: str | None = None, cohort: str = "wuxi", **changes: Any) -> Trainee:
    """A trainee who has completed on 13 April; another person than everybody else, unless said."""
    given = {"completion": "in-force", "completed_on": day(13), **changes}
    if given["completion"] != "in-force":
        given["completed_on"] = None
    return Trainee(enrolment_id(cohort, number), cohort, number, person or f"person-{number}", "KH", **given)


def world(*trainees: Trainee, **scheme: Any) -> World:
    """The Wuxi cohort with its parties, a scheme, and the given trainees (else: number 001, who has completed)."""
    everyone = trainees or (trainee(),)
    return World(
        trainees={one.enrolment: one for one in everyone},
        cohorts={"wuxi": Cohort("wuxi", "Asia/Shanghai", PARTIES)},
        schemes={"vslc": SchemeFact(**scheme_data(**scheme), office=BODY, status="registered")},
    )


def standing(decided: Decided, *ids: str) -> list[str]:
    """The codes of events, by id."""
    found = {ref[1]: outcome for ref, outcome in decided.outcomes.items()}
    return [" ".join(found[name]).removesuffix(" applied") for name in ids]


def certificates(decided: Decided) -> list[CertificateFact]:
    return sorted(decided.certificates.values(), key=lambda fact: (fact.trainee, fact.level, fact.edition))


def the_certificate(decided: Decided) -> CertificateFact:
    (fact,) = decided.certificates.values()
    return fact
