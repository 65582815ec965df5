"""Load and save: whole units of events with what they depend on, what they led to, and what enrolment tells."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import any_, cast, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import Text
from sqlmodel import col

from services.certification.awards import Cohort, Ref, Trainee, World
from services.certification.domain import Outcome
from services.certification.journal import Ties, event_of, pairs, ties_of
from services.certification.tables import (
    CentreRow,
    CertificateRow,
    CohortRow,
    EventRow,
    Office,
    SchemeRow,
    TraineeRow,
)
from shared.database import as_json, write
from shared.events.certification import CertificateFact, SchemeFact
from shared.events.enrolment import CentreFact, CohortFact, TraineeFact
from shared.events.envelope import Event
from shared.events.offices_to_certification import AwardRef, RecognitionRef
from shared.offices import Caller

ABOUT = {"titles", "host_centre", "host_country", "mode", "trades", "starts_on", "ends_on", "language"}
"""What is held of a cohort for the documents of its certificates."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An event in the journal, and its standing when it was read; one that is ``NEW`` has yet to be written."""

    event: Event
    place: int
    outcome: Outcome
    receipt: int


@dataclass(slots=True)
class Loaded:
    """Whole units: events by (source, id), the trainees they hang together by, and what they depend on."""

    events: dict[Ref, Stored] = field(default_factory=dict)
    trainees: dict[str, Trainee] = field(default_factory=dict)
    enrolments: set[str] = field(default_factory=set)
    recognised: set[str] = field(default_factory=set)

    @property
    def schemes(self) -> set[str]:
        """The schemes that events on awards and recognitions name."""
        named = AwardRef | RecognitionRef
        return {one.event.data.scheme for one in self.events.values() if isinstance(one.event.data, named)}


# ---- whole units


async def load(
    session: AsyncSession,
    enrolments: Iterable[str],
    refs: Iterable[Ref],
    fresh: Iterable[Stored] = (),
    recognised: Iterable[str] = (),
) -> Loaded:
    """Everything that hangs together with these enrolments, events, and ids of what is recognised.

    ``fresh`` events are not in the journal yet.

    Enrolments hang together by person, events by enrolment, by voiding and replacing each other, and by the number that one
    awarding body gives; registrations of one scheme by its code, recognitions by what they recognise. A round follows each tie
    one step further, until nothing new comes.
    """
    loaded = Loaded({one.event.ref: one for one in fresh})
    news = {ref: ties_of(one.event) for ref, one in loaded.events.items()}
    enrolments, missing, targets, recognised = set(enrolments), set(refs), set(refs), set(recognised)
    followed: set[Ref] = set()
    numbered: set[Ref] = set()
    sought: set[Ref] = set()
    registrations: set[str] = set()
    while True:
        enrolments = (enrolments | {tie.enrolment for tie in news.values() if tie.enrolment}) - loaded.enrolments
        recognised = (recognised | {tie.recognised for tie in news.values() if tie.recognised}) - loaded.recognised
        schemes = {
            tie.scheme for tie in news.values() if tie.scheme and not (tie.enrolment or tie.recognised)
        } - registrations
        named = {(ref[0], tie.target) for ref, tie in news.items() if tie.target}
        targets = (targets | news.keys() | named) - followed
        numbers = {(ref[0], tie.number) for ref, tie in news.items() if tie.number} - numbered
        missing = (missing | named) - loaded.events.keys() - sought
        if not (enrolments or missing or targets or numbers or schemes or recognised):
            return loaded
        enrolments |= await _same_person(session, loaded, enrolments)
        loaded.enrolments |= enrolments
        loaded.recognised |= recognised
        tied = await session.execute(
            _TIED,
            pairs("sources", "targets", targets)
            | pairs("number_sources", "numbers", numbers)
            | {"schemes": list(schemes), "recognised": list(recognised)},
        )
        missing |= {(row.source, row.id) for row in tied} - loaded.events.keys()
        followed |= targets
        numbered |= numbers
        sought |= missing
        registrations |= schemes
        news = {}
        if enrolments or missing:
            asked = pairs("sources", "ids", missing) | {"enrolments": list(enrolments)}
            for row in await session.execute(_WHOLE, asked):
                ref = row.source, row.id
                if ref not in loaded.events:
                    loaded.events[ref] = Stored(event_of(row), row.place, Outcome(row.status, row.code), row.receipt)
                    news[ref] = Ties(row.enrolment, row.scheme, row.number, row.target, row.recognised)
        enrolments, missing, targets, recognised = set(), set(), set(), set()


# Each asked for by its index: joined as sets, the whole journal was read for a few hundred of them.
_TIED = text(
    """
    SELECT found.source, found.id FROM unnest(CAST(:sources AS text[]), CAST(:targets AS text[])) AS asked (source, target),
    LATERAL (SELECT source, id FROM events WHERE (source, target) = (asked.source, asked.target) OFFSET 0) AS found
    UNION ALL
    SELECT found.source, found.id
    FROM unnest(CAST(:number_sources AS text[]), CAST(:numbers AS text[])) AS asked (source, number),
    LATERAL (SELECT source, id FROM events WHERE (source, number) = (asked.source, asked.number) OFFSET 0) AS found
    UNION ALL
    SELECT source, id FROM events WHERE type = 'scheme.registered.v1' AND scheme = ANY(CAST(:schemes AS text[]))
    UNION ALL
    SELECT source, id FROM events WHERE recognised = ANY(CAST(:recognised AS text[]))
    """
)
_WHOLE = text(
    """
    SELECT source, id, place, type, body, enrolment, scheme, number, target, recognised, status, code, receipt
    FROM events WHERE enrolment = ANY(CAST(:enrolments AS text[]))
    UNION ALL
    SELECT found.* FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[])) AS asked (source, id),
    LATERAL (
        SELECT source, id, place, type, body, enrolment, scheme, number, target, recognised, status, code, receipt
        FROM events WHERE (source, id) = (asked.source, asked.id) OFFSET 0
    ) AS found
    """
)


async def _same_person(session: AsyncSession, loaded: Loaded, enrolments: set[str]) -> set[str]:
    """The other enrolments of the same persons; all of them are put into ``loaded``.

    What is void is as if it had never been told, or the end would depend on whether it had been.
    """
    if not enrolments:
        return set()
    there = col(TraineeRow.void).is_(False)
    persons = select(col(TraineeRow.person)).where(_among(col(TraineeRow.enrolment), enrolments), there)
    columns = (col(getattr(TraineeRow, name)) for name in Trainee.__dataclass_fields__)
    rows = await session.execute(select(*columns).where(col(TraineeRow.person).in_(persons), there))
    found = {row.enrolment: Trainee(*row) for row in rows}
    loaded.trainees |= found
    return set(found) - loaded.enrolments


async def spoken_of(session: AsyncSession, enrolments: Collection[str]) -> set[str]:
    """Those of these enrolments of which events speak."""
    if not enrolments:
        return set()
    asked = select(col(EventRow.enrolment)).where(_among(col(EventRow.enrolment), enrolments)).distinct()
    return {enrolment for enrolment in (await session.execute(asked)).scalars() if enrolment}


async def enrolments_of(session: AsyncSession, persons: Collection[str]) -> set[str]:
    """The enrolments of these persons, as far as is known now."""
    if not persons:
        return set()
    asked = select(col(TraineeRow.enrolment)).where(_among(col(TraineeRow.person), persons))
    return set((await session.execute(asked)).scalars())


async def world(session: AsyncSession, loaded: Loaded) -> World:
    """What the loaded events depend on: their trainees, those trainees' cohorts, and their schemes as saved."""
    cohorts = {trainee.cohort for trainee in loaded.trainees.values()}
    rows = await session.execute(
        select(CohortRow).where(_among(col(CohortRow.cohort), cohorts), col(CohortRow.void).is_(False))
    )
    return World(
        trainees=loaded.trainees,
        cohorts={
            row.cohort: Cohort(
                row.cohort,
                row.timezone,
                frozenset((line["office"], line["role"]) for line in row.parties),
                frozenset(
                    (line["office"], line["role"], datetime.fromisoformat(line["until"])) for line in row.former_parties
                ),
            )
            for row in rows.scalars()
        },
        schemes=await schemes(session, loaded.schemes),
    )


async def schemes(session: AsyncSession, codes: Iterable[str]) -> dict[str, SchemeFact]:
    """Schemes as saved."""
    rows = await session.execute(select(SchemeRow).where(_among(col(SchemeRow.scheme), codes)))
    return {row.scheme: SchemeFact.model_validate(row.data) for row in rows.scalars()}


async def certificates(session: AsyncSession, enrolments: Iterable[str]) -> dict[str, CertificateFact]:
    """The certificates of enrolments as saved."""
    columns = col(CertificateRow.certificate), cast(col(CertificateRow.data), Text)
    rows = await session.execute(select(*columns).where(_among(col(CertificateRow.enrolment), enrolments)))
    return {certificate: CertificateFact.model_validate_json(data) for certificate, data in rows}


async def enrolments_under(session: AsyncSession, schemes: Iterable[str]) -> set[str]:
    """The enrolments that events under these schemes speak of."""
    asked = select(col(EventRow.enrolment)).where(
        _among(col(EventRow.scheme), schemes), col(EventRow.enrolment).is_not(None)
    )
    return {enrolment for enrolment in (await session.execute(asked.distinct())).scalars() if enrolment}


async def enrolments_in(session: AsyncSession, cohorts: Iterable[str]) -> set[str]:
    """The enrolments of these cohorts of which events speak."""
    asked = (
        select(col(TraineeRow.enrolment))
        .where(_among(col(TraineeRow.cohort), cohorts))
        .where(select(col(EventRow.id)).where(col(EventRow.enrolment) == col(TraineeRow.enrolment)).exists())
    )
    return set((await session.execute(asked)).scalars())


# ---- what events led to


async def save_schemes(session: AsyncSession, schemes: Iterable[SchemeFact]) -> None:
    """Save schemes as they now stand."""
    lines = [{"scheme": scheme.scheme, "data": scheme.model_dump(mode="json")} for scheme in schemes]
    await write(session, SchemeRow, lines, ["data"])


async def save_certificates(session: AsyncSession, certificates: Iterable[CertificateFact]) -> None:
    """Save certificates as they now stand."""
    lines = [
        {
            "certificate": fact.certificate,
            "enrolment": fact.enrolment,
            "cohort": fact.cohort,
            "scheme": fact.scheme,
            "status": fact.status,
            "country": fact.country,
            "data": fact.model_dump(mode="json"),
            "due": True,
        }
        for fact in certificates
    ]
    await write(session, CertificateRow, lines, ["cohort", "status", "country", "data", "due"])


class About(NamedTuple):
    """Which certificates are meant: those of any of these."""

    enrolments: Collection[str] = ()
    cohorts: Collection[str] = ()
    schemes: Collection[str] = ()
    hosts: Collection[str] = ()

    @property
    def given(self) -> dict[str, list[str]]:
        """The kinds that say anything, which are the parameters of the condition."""
        return {kind: list(keys) for kind, keys in self._asdict().items() if keys}


async def hold(session: AsyncSession, about: About) -> None:
    """Keep certificates for this transaction, in the order in which the issuer keeps those that it settles: of what it has read
    by then, it must not take for said what this transaction changes.
    """
    if given := about.given:
        hold = f"SELECT 1 FROM certificates WHERE {_condition(given)} ORDER BY certificate FOR UPDATE"  # noqa: S608
        await session.execute(text(hold), given)


async def look_again(session: AsyncSession, about: About) -> None:
    """Have the issuer look at certificates, which must be held: their documents may have to say something else."""
    if given := about.given:
        look = f"UPDATE certificates SET due = true WHERE NOT due AND ({_condition(given)})"  # noqa: S608
        await session.execute(text(look), given)


def _condition(given: Iterable[str]) -> str:
    return " OR ".join(_OF[kind] for kind in given)


# Each by its index: a condition on what is not asked for, or a joined set, had every certificate read at each post.
_OF = {
    "enrolments": "enrolment = ANY(:enrolments)",
    "cohorts": "cohort = ANY(:cohorts)",
    "schemes": "scheme = ANY(:schemes)",
    "hosts": "cohort = ANY(ARRAY(SELECT cohort FROM cohorts WHERE about ->> 'host_centre' = ANY(:hosts)))",
}


async def save_numbers(session: AsyncSession, enrolments: Iterable[str]) -> None:
    """Save which awards the numbers on these enrolments' certificates are of; those must be saved.

    A replacement may keep its award's number. Raises IntegrityError when two awards would have one number of one awarding body.
    """
    asked = {"enrolments": sorted(enrolments)}
    if not asked["enrolments"]:
        return
    await session.execute(text("DELETE FROM certificate_numbers WHERE enrolment = ANY(:enrolments)"), asked)
    await session.execute(_NUMBERS, asked)


_NUMBERS = text(
    """
    INSERT INTO certificate_numbers (office, number, enrolment, scheme, occupation, level)
    SELECT DISTINCT schemes.data ->> 'office', certificates.data ->> 'number', enrolment, scheme,
           certificates.data ->> 'occupation', certificates.data ->> 'level'
    FROM certificates JOIN schemes USING (scheme)
    WHERE enrolment = ANY(:enrolments) AND certificates.data ->> 'number' IS NOT NULL
    """
)


# ---- what enrolment tells


async def roles(session: AsyncSession, offices: Iterable[str]) -> dict[str, frozenset[str]]:
    """The registered roles of those offices that are known and active."""
    asked = select(Office).where(_among(col(Office.office), offices), col(Office.status) == "active")
    return {row.office: frozenset(row.roles) for row in (await session.execute(asked)).scalars()}


async def signers(session: AsyncSession, keys: Iterable[str]) -> dict[str, Caller]:
    """The officers whose keys these are, if the keys are good now and their offices active."""
    rows = await session.execute(
        text(
            """
            SELECT key, office, officer, roles FROM signing_keys JOIN offices USING (office)
            WHERE key = ANY(:keys) AND expires > now() AND status = 'active'
            """
        ),
        {"keys": sorted(keys)},
    )
    return {row.key: Caller(row.office, frozenset(row.roles), row.officer) for row in rows}


async def put(
    session: AsyncSession,
    table: type[CentreRow | CohortRow | TraineeRow],
    told: Sequence[tuple[dict[str, Any], int, int]],
) -> dict[str, str | None]:
    """Take up (values, epoch, revision) of trainees, cohorts or centres where they are newer than what is held.

    Answers the keys of the rows that differ by it, with the person that each had before.
    """
    if not told:
        return {}
    newest: dict[str, dict[str, Any]] = {}  # one statement cannot change a row twice
    name, columns, but = table.__tablename__, list(table.model_fields), "- ARRAY['epoch', 'revision']"
    for values, epoch, revision in sorted(told, key=lambda line: line[1:]):
        newest[values[columns[0]]] = values | {"epoch": epoch, "revision": revision}
    statement = f"""
        INSERT INTO {name} AS held ({", ".join(columns)})
        SELECT {", ".join(columns)} FROM jsonb_populate_recordset(CAST(NULL AS {name}), CAST(:lines AS jsonb))
        ON CONFLICT ({columns[0]}) DO UPDATE
        SET ({", ".join(columns)}) = ROW ({", ".join(f"excluded.{column}" for column in columns)})
        WHERE (held.epoch, held.revision) < (excluded.epoch, excluded.revision)
        RETURNING new.{columns[0]} AS key, to_jsonb(old) ->> 'person' AS person,
                  to_jsonb(old) {but} IS DISTINCT FROM to_jsonb(new) {but} AS differs
    """  # noqa: S608 (the names of fixed tables)
    taken = await session.execute(text(statement), {"lines": as_json(list(newest.values()))})
    return {row.key: row.person for row in taken if row.differs}


def trainee_values(fact: TraineeFact) -> dict[str, Any]:
    """What is held of a trainee's fact."""
    return {
        "enrolment": fact.enrolment,
        "cohort": fact.cohort,
        "number": fact.number,
        "person": fact.person,
        "country": fact.country,
        "completion": fact.completion,
        "completed_on": fact.completed_on,
        "completion_withdrawn_at": fact.completion_withdrawn_at,
        "void": fact.status == "void",
    }


def cohort_values(fact: CohortFact) -> dict[str, Any]:
    """What is held of a cohort's fact."""
    return {
        "cohort": fact.cohort,
        "timezone": fact.timezone,
        "parties": [party.model_dump(mode="json") for party in fact.parties],
        "former_parties": [party.model_dump(mode="json") for party in fact.former_parties],
        "about": fact.model_dump(mode="json", include=ABOUT),
        "void": fact.status == "void",
    }


def centre_values(fact: CentreFact) -> dict[str, Any]:
    """What is held of a centre's fact."""
    return {"centre": fact.centre, "names": fact.names, "void": fact.status == "void"}


def _among(column: Any, values: Iterable[str]) -> Any:
    # One array instead of one parameter for each value: thousands of parameters are slow, and more than 32,767 impossible.
    return column == any_(cast(list(values), ARRAY(Text)))
