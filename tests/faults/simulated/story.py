"""What the offices of a schedule have to say: one small cohort, from its announcement to a suspended certificate."""

from typing import Any

from tests.integration.chain.test_both_services import ALL
from tests.integration.chain.test_several_offices import ROLES, award
from tests.integration.enrolment.house import REGISTRATIONS
from tests.unit.certification.given import BODY, scheme_data
from tests.unit.enrolment.story import announced, completed, fields, proposed, session, started, trainee

__all__ = ["ROLES", "STORY", "owner"]

STORY: list[dict[str, Any]] = [
    *REGISTRATIONS,
    announced(parties=ALL),
    *(proposed(number) for number in ("01", "02")),
    *(trainee("trainee.enrolled", number) for number in ("01", "02")),
    fields("scheme.registered", 1, BODY, "scheme", **scheme_data()),
    started(),
    session(1, 31, absent=["02"]),
    *(completed(number) for number in ("01", "02")),
    award("trainee.assessed", "01", 44, attempt=1, result="pass"),
    *(award("certificate.awarded", number, 45, certificate_number=f"S-{number}") for number in ("01", "02")),
    award("certificate.suspended", "01", 60, reason="review"),
]


def owner(event: dict[str, Any]) -> str:
    """The service that takes it."""
    return "certification" if event["source"] == BODY else "enrolment"
