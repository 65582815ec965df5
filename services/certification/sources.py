"""What the documents of certificates say, but the name: from what was decided, and from schemes, cohorts and marks."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.certification import store
from services.certification.operator import Operator
from shared.events.certification import CertificateFact, SchemeFact
from shared.events.envelope import canonical

FORM: Final = 3
"""Counts the forms of documents: when it goes up, what is due is signed anew; a migration makes everything public due."""
_OF_THE_FACT: Final = {
    "certificate",
    "cohort",
    "trainee",
    "scheme",
    "occupation",
    "level",
    "edition",
    "number",
    "assessed_on",
    "passed_on",
    "awarded_on",
    "valid_until",
}
_OF_THE_SCHEME: Final = {"titles", "awarding_body", "lookup_url", "office"}


@dataclass(frozen=True, slots=True)
class Sources:
    """What is known besides the certificates themselves."""

    operator: Operator
    schemes: Mapping[str, SchemeFact]
    cohorts: Mapping[str, Mapping[str, Any]]
    parts: Mapping[tuple[str, str, str, str], Mapping[str, Any]]

    def said(self, fact: CertificateFact) -> dict[str, Any]:
        """Everything that the document says, as JSON; it holds nothing that could be a name."""
        scheme = self.schemes[fact.scheme]
        assessed = self.parts.get((fact.enrolment, fact.scheme, fact.occupation, fact.level), {})
        return {
            "form": FORM,
            "issuer": {"url": self.operator.url, "name": self.operator.name},
            "certificate": fact.model_dump(mode="json", include=_OF_THE_FACT),
            "scheme": scheme.model_dump(mode="json", include=_OF_THE_SCHEME),
            "occupation": next(
                (one.model_dump(mode="json") for one in scheme.occupations if one.occupation == fact.occupation), None
            ),
            "level": next((one.model_dump(mode="json") for one in scheme.levels if one.level == fact.level), None),
            "parts": assessed.get("parts", []),
            "cohort": dict(self.cohorts.get(fact.cohort, {})),
        }

    def content(self, fact: CertificateFact) -> bytes:
        """The digest of that."""
        return hashlib.sha256(canonical(self.said(fact))).digest()

    def complete(self, fact: CertificateFact) -> bool:
        """Whether a certificate has its number, where the body of its scheme gives each one."""
        return fact.number is not None or not self.schemes[fact.scheme].numbered


async def sources(session: AsyncSession, operator: Operator, enrolments: Collection[str]) -> Sources:
    """For the certificates of these enrolments."""
    named = {"enrolments": list(enrolments)}
    schemes = await session.execute(
        text("SELECT DISTINCT scheme FROM certificates WHERE enrolment = ANY(:enrolments)"), named
    )
    cohorts = await session.execute(
        text(
            """
            SELECT cohort, about || jsonb_build_object('host_names', COALESCE(names, '{}')) AS about
            FROM cohorts LEFT JOIN centres ON centre = about ->> 'host_centre' AND NOT centres.void
            WHERE cohort IN (SELECT cohort FROM certificates WHERE enrolment = ANY(:enrolments))
            """
        ),
        named,
    )
    assessed = await session.execute(
        text(
            """
            SELECT enrolment, body -> 'data' AS data FROM events
            WHERE enrolment = ANY(:enrolments) AND type = 'trainee.assessed.v1' AND (status, code) = ('accepted', 'applied')
            ORDER BY COALESCE((body #>> '{data,attempt}')::int, 1)
            """
        ),
        named,
    )
    parts = {
        (row.enrolment, row.data["scheme"], row.data["occupation"], row.data["level"]): row.data
        for row in assessed
        if row.data["result"] == "pass"
    }
    return Sources(
        operator,
        await store.schemes(session, list(schemes.scalars())),
        {row.cohort: row.about for row in cohorts},
        parts,
    )
