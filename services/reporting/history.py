"""Rows as they were held at an earlier position, and every fact that ever was of some enrolments: what explains a figure.

All of it is reporting's own: the broker may be away.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.reporting.domain import Known, Rows
from services.reporting.ledger import Step
from shared.events.certification import CertificateFact
from shared.events.codes import Model
from shared.events.enrolment import CohortFact, TraineeFact
from shared.events.facts import Version

_MODELS: Mapping[str, type[Model]] = {"cohort": CohortFact, "trainee": TraineeFact, "certificate": CertificateFact}
_FIELDS = "epoch, revision, position, time, cause, data, step"


@dataclass(frozen=True, slots=True)
class _Of:
    """Where the facts of one kind are, and how those of some cohorts and enrolments are found."""

    table: str
    key: str
    stream: str
    which: str


_KINDS: Mapping[str, _Of] = {
    "cohort": _Of("cohorts", "cohort", "ENROLMENT", "cohort = ANY(CAST(:cohorts AS text[]))"),
    "trainee": _Of(
        "enrolments",
        "enrolment",
        "ENROLMENT",
        "cohort = ANY(CAST(:cohorts AS text[])) AND (CAST(:enrolments AS text[]) IS NULL OR enrolment = ANY(:enrolments))",
    ),
    "certificate": _Of(
        "certificates",
        "certificate",
        "CERTIFICATION",
        "enrolment IN (SELECT enrolment FROM enrolments WHERE cohort = ANY(CAST(:cohorts AS text[]))"
        " AND (CAST(:enrolments AS text[]) IS NULL OR enrolment = ANY(:enrolments)))",
    ),
}


async def rows_at(session: AsyncSession, cohorts: Collection[str], step: Step | None) -> Rows:
    """Some cohorts with all that is theirs, as they were held at a step; as they are without one."""
    rows = Rows()
    if step is None:
        for kind, of in _KINDS.items():
            found = await session.scalars(
                text(f"SELECT CAST(data AS text) FROM {of.table} WHERE {of.which}"),  # noqa: S608 (fixed names)
                _parameters(cohorts, None, of),
            )
            for data in found:
                rows.put(_MODELS[kind].model_validate_json(data))
        return rows
    newest: dict[tuple[str, str], Known] = {}
    for fact in await facts_of(session, cohorts, None, step):
        thing = fact.kind, fact.key
        if thing not in newest or fact.version > newest[thing].version:
            newest[thing] = fact
    for fact in newest.values():
        rows.put(fact.data)
    return rows


async def facts_of(
    session: AsyncSession, cohorts: Collection[str], enrolments: Collection[str] | None, step: Step | None
) -> list[Known]:
    """Every fact up to a step of some cohorts, of these or all of their enrolments and of those's certificates."""
    found = []
    for kind, of in _KINDS.items():
        limit = "" if step is None else "WHERE step <= :step"
        statement = text(
            f"""
            WITH held AS (SELECT {of.key} AS key, {_FIELDS} FROM {of.table} WHERE {of.which}),
            every AS (
                SELECT * FROM held
                UNION ALL SELECT key, {_FIELDS} FROM past_facts WHERE kind = '{kind}' AND key IN (SELECT key FROM held)
            )
            SELECT key, epoch, revision, position, time, cause, step, CAST(data AS text) AS data FROM every {limit}
            """  # noqa: S608 (fixed names)
        )
        parameters = _parameters(cohorts, enrolments, of)
        if step is not None:
            parameters["step"] = step.number
        for row in await session.execute(statement, parameters):
            data = _MODELS[kind].model_validate_json(row.data)
            version = Version(row.epoch, row.revision)
            found.append(Known(kind, row.key, version, data, row.position, row.time, row.cause, row.step))
    return found


def _parameters(cohorts: Collection[str], enrolments: Collection[str] | None, of: _Of) -> dict[str, Any]:
    given: dict[str, Any] = {"cohorts": list(cohorts)}
    if ":enrolments" in of.which:
        given["enrolments"] = None if enrolments is None else list(enrolments)
    return given


def stream_of(fact: Known) -> str:
    """The stream that a fact came on."""
    return _KINDS[fact.kind].stream


def in_order(fact: Known) -> tuple[int, datetime, bool, int, Version]:
    """Facts in the order in which they were taken up; those of one step in that in which they were recorded."""
    return fact.step, fact.time, fact.kind == "certificate", fact.position, fact.version


async def number_of_enrolments(session: AsyncSession, cohorts: Collection[str]) -> int:
    """How many enrolments some cohorts have."""
    statement = text("SELECT count(*) FROM enrolments WHERE cohort = ANY(CAST(:cohorts AS text[]))")
    return int((await session.execute(statement, {"cohorts": list(cohorts)})).scalar_one())
