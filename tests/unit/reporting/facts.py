"""Facts as the other services would tell them, with only what a test is about spelt out."""

import json
from collections import Counter
from datetime import date
from typing import Any

from services.reporting.domain import Cell, Known, Rows, Scope, count
from shared.events.certification import CertificateFact, SchemeFact
from shared.events.codes import Model
from shared.events.enrolment import CentreFact, CohortFact, ProgrammeFact, TraineeFact
from shared.events.facts import Version
from shared.events.identity import certificate_id, enrolment_id

RECORDED = "2025-04-13T10:00:00.000Z"
KINDS: dict[type[Model], tuple[str, str, str]] = {
    CohortFact: ("cohort", "cohort", "/services/enrolment"),
    TraineeFact: ("trainee", "enrolment", "/services/enrolment"),
    CertificateFact: ("certificate", "certificate", "/services/certification"),
    ProgrammeFact: ("programme", "programme", "/services/enrolment"),
    CentreFact: ("centre", "centre", "/services/enrolment"),
    SchemeFact: ("scheme", "scheme", "/services/certification"),
}


def a_cohort(code: str = "wuxi", **changes: Any) -> CohortFact:
    return CohortFact(
        **{
            "cohort": code,
            "status": "started",
            "programme": "ilo-china",
            "titles": {"en": "Wuxi 2025"},
            "places": [{"country": "KH", "places": 9}],
            "host_centre": "wit",
            "host_country": "CN",
            "mode": "in-person",
            "trades": ["electrical", "cabling"],
            "starts_on": "2025-03-31",
            "ends_on": "2025-04-13",
            "language": "en",
            "timezone": "Asia/Shanghai",
            "schemes": [],
            "parties": [],
            "announced_on": "2025-01-15",
            "started_on": "2025-03-31",
            **changes,
        }
    )


def a_trainee(number: str = "01", cohort: str = "wuxi", **changes: Any) -> TraineeFact:
    return TraineeFact(
        **{
            "enrolment": enrolment_id(cohort, number),
            "cohort": cohort,
            "number": number,
            "person": f"person-{number}",
            "status": "enrolled",
            "role": "student",
            "country": "KH",
            "sending_centre": "ntti",
            "trade": "electrical",
            "sex": "F",
            "age_band": "Y15T24",
            "disability": "no",
            "enrolled_on": "2025-02-20",
            **changes,
        }
    )


def a_certificate(
    enrolment: TraineeFact, occupation: str = "electrician", level: str = "senior", edition: int = 1, **changes: Any
) -> CertificateFact:
    scheme = changes.pop("scheme", "vslc")
    return CertificateFact(
        **{
            "certificate": certificate_id(enrolment.enrolment, scheme, occupation, level, edition),
            "enrolment": enrolment.enrolment,
            "cohort": enrolment.cohort,
            "trainee": enrolment.number,
            "person": enrolment.person,
            "country": enrolment.country,
            "scheme": scheme,
            "occupation": occupation,
            "level": level,
            "edition": edition,
            "status": "issued",
            **changes,
        }
    )


def known(data: Model, revision: int = 1, epoch: int = 1) -> Known:
    kind, key, _ = KINDS[type(data)]
    return Known(kind, getattr(data, key), Version(epoch, revision), data)


def wire(fact: Known, recorded: str = RECORDED) -> bytes:
    """The message on the stream."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"{fact.version.epoch}-1",
            "source": KINDS[type(fact.data)][2],
            "type": f"{fact.kind}.v1",
            "subject": fact.key,
            "time": recorded,
            "datacontenttype": "application/json",
            "epoch": fact.version.epoch,
            "revision": fact.version.revision,
            "cause": fact.cause,
            "data": fact.data.model_dump(mode="json"),
        }
    ).encode()


def count_all(rows: Rows) -> Counter[Cell]:
    """The whole cube."""
    persons = frozenset(enrolment.person for enrolment in rows.enrolments.values())
    return count(rows, Scope(frozenset(rows.cohorts), frozenset(rows.enrolments), persons=persons))


def of(counted: dict[Cell, int], measure: str) -> dict[Cell, int]:
    """The cells of one measure."""
    return {cell: value for cell, value in counted.items() if cell.measure == measure}


def months(counted: dict[Cell, int], measure: str) -> dict[str, int]:
    """How many of a measure in each month."""
    found: dict[str, int] = {}
    for cell, value in of(counted, measure).items():
        found[cell.month] = found.get(cell.month, 0) + value
    return found


def day(text: str) -> date:
    return date.fromisoformat(text)
