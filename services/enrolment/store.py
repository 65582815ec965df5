"""What is true by now: programmes, centres, cohorts, enrolments and persons.

Cohorts and enrolments are written under the publish lock only, because a person's id may change in a cohort whose own lock is
another transaction's.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.enrolment.domain import Cohort, Enrolment, Faded, Seers
from services.enrolment.keys import keys_of
from services.enrolment.register import Register
from services.enrolment.seers import seers
from services.enrolment.tables import CentreRow, CohortRow, EnrolmentRow, ProgrammeRow
from shared.database import write
from shared.events.enrolment import CentreFact, ProgrammeFact
from shared.offices import Caller

COHORT = TypeAdapter(Cohort)
ENROLMENT = TypeAdapter(Enrolment)


@dataclass(frozen=True, slots=True)
class HeldPlace:
    """An enrolment as it is stored: by now, or, when void, as it last was."""

    enrolment: Enrolment
    void: bool
    person: str


@dataclass(frozen=True, slots=True)
class Held:
    """A cohort as it is stored."""

    cohort: Cohort | None = None
    void: bool = False
    places: Mapping[str, HeldPlace] = field(default_factory=dict)


class Store:
    """One transaction's view of what is true."""

    def __init__(self, session: AsyncSession, register: Register) -> None:
        self.session = session
        self._register = register

    async def registered(self, needs: Collection[str]) -> frozenset[str]:
        """Those of these programmes and centres that are registered."""
        if not needs:
            return frozenset()
        rows = await self.session.execute(
            text(
                """
                SELECT 'programme/' || programme FROM programmes
                WHERE status = 'registered' AND programme = ANY(:programmes)
                UNION ALL
                SELECT 'centre/' || centre FROM centres WHERE status = 'registered' AND centre = ANY(:centres)
                """
            ),
            {
                "programmes": [need.removeprefix("programme/") for need in needs if need.startswith("programme/")],
                "centres": [need.removeprefix("centre/") for need in needs if need.startswith("centre/")],
            },
        )
        return frozenset(rows.scalars())

    async def held(self, cohorts: Collection[str]) -> dict[str, Held]:
        """Cohorts by code with their enrolments, as they are stored."""
        rows = await self.session.execute(
            text("SELECT cohort, status, CAST(state AS text) AS state FROM cohorts WHERE cohort = ANY(:cohorts)"),
            {"cohorts": sorted(cohorts)},
        )
        found = {cohort: Held() for cohort in cohorts}
        for row in rows:
            found[row.cohort] = Held(COHORT.validate_json(row.state), row.status == "void")
        places: dict[str, dict[str, HeldPlace]] = {cohort: {} for cohort in cohorts}
        lines = await self.session.execute(
            text(
                """
                SELECT enrolment, cohort, status, person, CAST(state AS text) AS state, enrolments.sealed, keys.sealed AS key
                FROM enrolments LEFT JOIN register_keys AS keys ON keys.owner = enrolment
                WHERE cohort = ANY(:cohorts)
                """
            ),
            {"cohorts": sorted(cohorts)},
        )
        for row in lines:
            enrolment = ENROLMENT.validate_json(row.state)
            if row.sealed is not None and row.key is not None:
                born = self._register.unseal(row.key, row.enrolment, row.sealed, row.enrolment).decode()
                enrolment = replace(enrolment, birth_date=date.fromisoformat(born))
            places[row.cohort][row.enrolment] = HeldPlace(enrolment, row.status == "void", row.person)
        return {cohort: replace(held, places=places[cohort]) for cohort, held in found.items()}

    async def save_cohorts(self, cohorts: Sequence[tuple[Cohort, bool]]) -> None:
        """Store cohorts by now, or, if void, as they last were. Only under the publish lock."""
        rows = [
            {
                "cohort": cohort.cohort,
                "status": "void" if void else cohort.status,
                "offices": sorted({party.office for party in cohort.terms.parties}),
                "state": COHORT.dump_python(cohort, mode="json"),
            }
            for cohort, void in cohorts
        ]
        await write(self.session, CohortRow, rows, ["status", "offices", "state"])

    async def save_places(self, places: Sequence[HeldPlace]) -> None:
        """Store enrolments by now, or, if void, as they last were. Only under the publish lock."""
        born = {place.enrolment.enrolment for place in places if isinstance(place.enrolment.birth_date, date)}
        keys = await keys_of(self.session, self._register, born)
        rows = []
        for place in places:
            enrolment, sealed = place.enrolment, None
            in_clear = isinstance(enrolment.birth_date, Faded)
            if isinstance(enrolment.birth_date, date):
                owner = enrolment.enrolment
                sealed = self._register.seal(keys[owner], owner, enrolment.birth_date.isoformat().encode(), owner)
            rows.append(
                {
                    "enrolment": enrolment.enrolment,
                    "cohort": enrolment.cohort,
                    "status": "void" if place.void else enrolment.status,
                    "country": enrolment.country,
                    "person": place.person,
                    "state": ENROLMENT.dump_python(
                        enrolment, mode="json", exclude=None if in_clear else {"birth_date"}
                    ),
                    "sealed": sealed,
                }
            )
        await write(self.session, EnrolmentRow, rows, ["cohort", "status", "country", "person", "state", "sealed"])

    async def save_registered(self, facts: Sequence[ProgrammeFact | CentreFact]) -> None:
        """Store programmes and centres by now, or, if void, as they last were."""
        rows = [(fact, {"status": fact.status, "data": fact.model_dump(mode="json")}) for fact in facts]
        programmes = [{"programme": fact.programme, **row} for fact, row in rows if isinstance(fact, ProgrammeFact)]
        centres = [{"centre": fact.centre, **row} for fact, row in rows if isinstance(fact, CentreFact)]
        await write(self.session, ProgrammeRow, programmes, ["status", "data"])
        await write(self.session, CentreRow, centres, ["status", "data"])

    async def held_registered(self, unit: str) -> ProgrammeFact | CentreFact | None:
        """A programme or centre as it is stored."""
        kind, _, code = unit.partition("/")
        if kind == "programme":
            programme = await self.session.get(ProgrammeRow, code)
            return ProgrammeFact.model_validate(programme.data) if programme else None
        centre = await self.session.get(CentreRow, code)
        return CentreFact.model_validate(centre.data) if centre else None

    # --- persons

    async def forgotten(self, enrolments: Collection[str]) -> frozenset[str]:
        """Those of these enrolments whose person was forgotten."""
        if not enrolments:
            return frozenset()
        rows = await self.session.execute(
            text("SELECT enrolment FROM forgotten WHERE enrolment = ANY(:enrolments)"), {"enrolments": list(enrolments)}
        )
        return frozenset(rows.scalars())

    async def seen_by(self, enrolments: Collection[str]) -> dict[str, Seers]:
        """Who sees the details of those of these enrolments that are there."""
        rows = await self.session.execute(
            text(
                """
                SELECT enrolment, enrolments.state AS place, cohorts.state AS cohort
                FROM enrolments JOIN cohorts USING (cohort)
                WHERE enrolment = ANY(:enrolments) AND enrolments.status <> 'void' AND cohorts.status <> 'void'
                """
            ),
            {"enrolments": sorted(enrolments)},
        )
        return {
            row.enrolment: seers(COHORT.validate_python(row.cohort), ENROLMENT.validate_python(row.place))
            for row in rows
        }


async def roles_of(session: AsyncSession, offices: Collection[str]) -> dict[str, frozenset[str]]:
    """The roles of those of these offices that are registered and not revoked."""
    rows = await session.execute(
        text("SELECT office, roles FROM offices WHERE status = 'active' AND office = ANY(:offices)"),
        {"offices": sorted(set(offices))},
    )
    return {row.office: frozenset(row.roles) for row in rows}


async def signers_of(session: AsyncSession, keys: Collection[str]) -> dict[str, Caller]:
    """The officers whose keys these are, if the keys are good now and their offices active."""
    rows = await session.execute(
        text(
            """
            SELECT key, office, officer, roles FROM broker_users JOIN offices USING (office)
            WHERE key = ANY(:keys) AND officer IS NOT NULL AND revoked IS NULL AND expires > now() AND status = 'active'
            """
        ),
        {"keys": sorted(keys)},
    )
    return {row.key: Caller(row.office, frozenset(row.roles), row.officer) for row in rows}
