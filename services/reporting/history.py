"""Rows as they were held at an earlier position, and every fact that ever was of some enrolments: what explains a figure.

All of it is reporting's own: the broker may be away.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.reporting.difference import sessions_moved
from services.reporting.domain import Course, Known, Rows
from services.reporting.ledger import Step
from shared.events.attendance import Given
from shared.events.certification import CertificateFact
from shared.events.codes import Model
from shared.events.enrolment import CohortFact, Session, TraineeFact
from shared.events.facts import Version

_MODELS: Mapping[str, type[Model]] = {"cohort": CohortFact, "trainee": TraineeFact, "certificate": CertificateFact}
_FIELDS = "epoch, revision, position, time, cause, data, step"
_SESSIONS = TypeAdapter(list[Session])


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


@dataclass(frozen=True, slots=True)
class Heard:
    """A fact as it is kept, not read yet: its data as JSON, a cohort's without its sessions, and those if they were asked for."""

    kind: str
    key: str
    version: Version
    position: int
    time: datetime
    cause: str | None
    step: int
    data: str
    sessions: str | None

    def read(self) -> Known:
        """As it was heard. Of a cohort see ``of_a_cohort``."""
        return self.known(_MODELS[self.kind].model_validate_json(self.data))

    def known(self, data: Model) -> Known:
        return Known(self.kind, self.key, self.version, data, self.position, self.time, self.cause, self.step)


@dataclass(frozen=True, slots=True)
class Told:
    """A fact in its turn. Where it is a cohort's and differs from the one before in sessions alone, ``moved`` are those that are
    no more, and those that were not.
    """

    fact: Known
    moved: tuple[Sequence[Given], Sequence[Given]] | None = None


async def rows_at(session: AsyncSession, cohorts: Collection[str], step: Step | None, *, sessions: bool) -> Rows:
    """Some cohorts with all that is theirs, as they were held at a step; as they are without one. With their sessions, or not."""
    found: list[tuple[str, Sequence[str]]] = []
    for kind, of in _KINDS.items():
        data = "data - 'sessions'" if kind == "cohort" and not sessions else "data"
        parameters = _parameters(cohorts, None, of)
        source = f"{of.table} WHERE {of.which}"
        if step is not None:
            parameters["step"] = step.number
            source = f"""({_every(kind, of)}
                SELECT DISTINCT ON (key) data FROM every WHERE step <= :step ORDER BY key, epoch DESC, revision DESC
            ) AS newest"""  # noqa: S608 (fixed names)
        statement = text(f"SELECT CAST({data} AS text) FROM {source}")  # noqa: S608 (fixed names)
        found.append((kind, (await session.scalars(statement, parameters)).all()))
    return await asyncio.to_thread(_rows, found)


def _rows(found: Iterable[tuple[str, Sequence[str]]]) -> Rows:
    rows = Rows()
    for kind, kept in found:
        for data in kept:
            rows.put(_MODELS[kind].model_validate_json(data))
    return rows


async def facts_of(
    session: AsyncSession,
    cohorts: Collection[str],
    enrolments: Collection[str],
    step: Step | None,
    *,
    sessions: bool,
) -> list[Heard]:
    """Every fact up to a step of some cohorts, of these of their enrolments and of those's certificates, in the order in which
    they were taken up: those of one step in that in which they were recorded. A cohort's with its sessions, or without.
    """
    found = []
    for kind, of in _KINDS.items():
        limit = "" if step is None else "WHERE step <= :step"
        data = "data - 'sessions'" if kind == "cohort" else "data"
        its_sessions = "data -> 'sessions'" if kind == "cohort" and sessions else "NULL"
        statement = text(
            f"""
            {_every(kind, of)}
            SELECT key, epoch, revision, position, time, cause, step, CAST({data} AS text) AS data,
                CAST({its_sessions} AS text) AS sessions
            FROM every {limit}
            """  # noqa: S608 (fixed names)
        )
        parameters = _parameters(cohorts, enrolments, of)
        if step is not None:
            parameters["step"] = step.number
        found += [
            Heard(
                kind,
                row.key,
                Version(row.epoch, row.revision),
                row.position,
                row.time,
                row.cause,
                row.step,
                row.data,
                row.sessions,
            )
            for row in await session.execute(statement, parameters)
        ]
    return sorted(found, key=in_order)


def _every(kind: str, of: _Of) -> str:
    """In SQL, all that was ever held of some things, as ``every``."""
    return f"""
        WITH held AS (SELECT {of.key} AS key, {_FIELDS} FROM {of.table} WHERE {of.which}),
        every AS (
            SELECT * FROM held
            UNION ALL SELECT key, {_FIELDS} FROM past_facts WHERE kind = '{kind}' AND key IN (SELECT key FROM held)
        )
    """  # noqa: S608 (fixed names)


def of_a_cohort(facts: Iterable[Heard]) -> Iterator[Told]:
    """A cohort's facts, in order, without those that were older than what was held, or say the same.

    Each carries all sessions that there were by then: they are read one at a time, and what does not change is kept once.
    """
    last: Heard | None = None
    course = None
    for fact in facts:
        if last is not None and fact.version <= last.version:
            continue
        before, last = last, fact
        if course is None or before is None or fact.data != before.data:
            course = Course.of(_with_sessions(CohortFact.model_validate_json(fact.data), fact, course))
            yield Told(fact.known(course.cohort))
        elif fact.sessions != before.sessions:
            earlier, course = course, Course.of(_with_sessions(course.cohort, fact, course))
            yield Told(fact.known(course.cohort), sessions_moved(earlier, course))


def _with_sessions(cohort: CohortFact, fact: Heard, before: Course | None) -> CohortFact:
    held = {} if before is None else {one.session: one for one in before.cohort.sessions}
    said = _SESSIONS.validate_json(fact.sessions or "[]")
    sessions = [kept if (kept := held.get(one.session)) == one else one for one in said]
    return cohort.model_copy(update={"sessions": sessions})


def _parameters(cohorts: Collection[str], enrolments: Collection[str] | None, of: _Of) -> dict[str, Any]:
    given: dict[str, Any] = {"cohorts": list(cohorts)}
    if ":enrolments" in of.which:
        given["enrolments"] = None if enrolments is None else list(enrolments)
    return given


def stream_of(fact: Known) -> str:
    """The stream that a fact came on."""
    return _KINDS[fact.kind].stream


def in_order(fact: Known | Heard) -> tuple[int, datetime, bool, int, Version]:
    """Facts in the order in which they were taken up; those of one step in that in which they were recorded."""
    return fact.step, fact.time, fact.kind == "certificate", fact.position, fact.version


async def number_of_enrolments(session: AsyncSession, cohorts: Collection[str]) -> int:
    """How many enrolments some cohorts have."""
    statement = text("SELECT count(*) FROM enrolments WHERE cohort = ANY(CAST(:cohorts AS text[]))")
    return int((await session.execute(statement, {"cohorts": list(cohorts)})).scalar_one())
