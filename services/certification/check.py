"""What certification holds, recomputed from its journal of events and from what enrolment told, and compared."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.certification import recognitions, store
from services.certification.attested import Attested
from services.certification.awards import Ref
from services.certification.domain import fold, fold_recognitions, fold_schemes
from services.certification.recognising import recognised_by
from services.certification.subscribers import read
from services.certification.tables import CentreRow, CohortRow, Office, SigningKey, Token, TraineeRow
from shared.bus import Bus
from shared.checking import (
    Findings,
    Told,
    compare_journal,
    compare_number,
    compare_offices,
    compare_rows,
    count,
    heard_facts,
    named,
)
from shared.delivery import Delivery
from shared.events.enrolment import CentreFact, CohortFact, OfficeFact
from shared.events.facts import Version
from shared.events.offices_to_certification import RecognitionRef

EVENTS, ENROLMENTS = 200, 100
"""Events, or enrolments with theirs, to begin with at a time; all that hangs together with them is loaded too."""


async def check(session: AsyncSession, findings: Findings, bus: Bus, attested: Attested | None = None) -> None:
    """Compare journal and stream, what was heard, and every standing, certificate and scheme with the fold; and what is public.

    ``session`` must see one snapshot.
    """
    await compare_journal(session, bus, findings, "CERTIFICATION")
    matched = {"centres": 0, "cohorts": 0, "trainees": 0, "offices": 0}
    async for batch in heard_facts(session, bus, findings, "ENROLMENT"):
        centres, cohorts, trainees, offices = _told(findings, batch)
        matched["centres"] += compare_rows(findings, "centre", centres, await _held(session, CentreRow, centres))
        matched["cohorts"] += compare_rows(findings, "cohort", cohorts, await _held(session, CohortRow, cohorts))
        matched["trainees"] += compare_rows(findings, "trainee", trainees, await _held(session, TraineeRow, trainees))
        matched["offices"] += await compare_offices(session, findings, Office, Token, offices, SigningKey)
    for table, number in matched.items():
        compare_number(findings, table, await count(session, table), number)
    await compare_decided(session, findings)
    if attested is not None:
        await attested.compare(session, findings)


# --- what was heard


def _told(findings: Findings, batch: Sequence[Delivery]) -> tuple[dict[str, Told], ...]:
    """Centres, cohorts, trainees and offices as the last facts of a batch tell them."""
    centres: dict[str, Told] = {}
    cohorts: dict[str, Told] = {}
    trainees: dict[str, Told] = {}
    offices: dict[str, Told] = {}
    for delivery in batch:
        try:
            fact = read(delivery.body)
        except ValueError:
            findings.differs("fact", f"{delivery.stream} {delivery.sequence}", "cannot be read: see the dead letters")
            continue
        if fact is None:
            continue
        version = Version(fact.epoch, fact.revision)
        if isinstance(fact.data, OfficeFact):
            offices[fact.data.office] = Told(version, fact.data, delivery.sequence)
        elif isinstance(fact.data, CentreFact):
            centres[fact.data.centre] = Told(version, store.centre_values(fact.data), delivery.sequence)
        elif isinstance(fact.data, CohortFact):
            cohorts[fact.data.cohort] = Told(version, store.cohort_values(fact.data), delivery.sequence)
        else:
            trainees[fact.data.enrolment] = Told(version, store.trainee_values(fact.data), delivery.sequence)
    return centres, cohorts, trainees, offices


async def _held(
    session: AsyncSession, table: type[CentreRow | CohortRow | TraineeRow], told: dict[str, Told]
) -> dict[str, tuple[Version, Any]]:
    key = next(iter(table.model_fields))
    rows = await session.execute(select(table).where(col(getattr(table, key)).in_(told)))
    held = {}
    for row in rows.scalars():
        values = row.model_dump()
        version = Version(values.pop("epoch"), values.pop("revision"))
        held[values[key]] = (version, values)
    return held


# --- what was decided


async def compare_decided(session: AsyncSession, findings: Findings) -> None:
    """Compare every standing, certificate, scheme and recognition with the fold of all events."""
    async for refs in _events(session):
        await _compare_units(session, findings, refs)
    for what, query in _STRAYS.items():
        rows = await session.execute(text(query))
        named(findings, what, [row.which for row in rows], "is there, but not what it goes with")


async def _events(session: AsyncSession) -> AsyncIterator[list[Ref]]:
    """Every event once: those of no enrolment as they were recorded, then enrolment by enrolment, each with all of its own.

    In the order of recording alone, what hangs together would be loaded again for every month in which something was said of it.
    """
    last = 0
    while rows := (await session.execute(_OF_NONE, {"last": last, "events": EVENTS})).all():
        yield [(row.source, row.id) for row in rows]
        last = rows[-1].place
    before = ""
    while found := list((await session.execute(_SPOKEN_OF, {"last": before, "enrolments": ENROLMENTS})).scalars()):
        rows = (await session.execute(_OF_THESE, {"enrolments": found})).all()
        yield [(row.source, row.id) for row in rows]
        before = found[-1]


_OF_NONE = text(
    "SELECT place, source, id FROM events WHERE enrolment IS NULL AND place > :last ORDER BY place LIMIT :events"
)
_SPOKEN_OF = text("SELECT DISTINCT enrolment FROM events WHERE enrolment > :last ORDER BY enrolment LIMIT :enrolments")
_OF_THESE = text("SELECT source, id FROM events WHERE enrolment = ANY(:enrolments) ORDER BY place")


async def _compare_units(session: AsyncSession, findings: Findings, refs: Sequence[Ref]) -> None:
    """Decide the units of these events anew. What hangs together with them is theirs to compare in its own turn."""
    loaded = await store.load(session, [], refs)
    registered = fold_schemes(one.event for one in loaded.events.values())
    events, world = [one.event for one in loaded.events.values()], await store.world(session, loaded)
    decided, recognising = fold(events, world), fold_recognitions(events, world.schemes)
    outcomes = decided.outcomes | registered.outcomes | recognising.outcomes
    findings.compared("events", len(refs))
    for ref in refs:
        stored, given = loaded.events[ref].outcome, outcomes.get(ref)
        if given != stored:
            said = f"{given.status} {given.code}" if given else "nothing"
            stands = f"{stored.status} {stored.code}"
            findings.differs("event", "/".join(ref), f"stands as {stands}, but the fold gives {said}")
    schemes = await store.schemes(session, registered.schemes)
    findings.compared("schemes", len(schemes))
    for code, scheme in registered.schemes.items():
        if schemes.get(code) != scheme and (code in schemes or scheme.status == "registered"):
            findings.differs("scheme", code, "is not what its events give")
    own = {
        one.event.data.enrolment_id for ref in refs if hasattr((one := loaded.events[ref]).event.data, "enrolment_id")
    }
    held = await store.certificates(session, own)
    findings.compared("certificates", len(held))
    for key, given_fact in decided.certificates.items():
        if given_fact.enrolment in own and held.get(key) != given_fact:
            findings.differs("certificate", key, "is not what its events give")
    for key, fact in held.items():
        if key not in decided.certificates and fact.status != "void":
            findings.differs("certificate", key, "is held, but no event gives it any more")
    spoken = [loaded.events[ref].event for ref in refs]
    recognised = {recognised_by(event) for event in spoken if isinstance(event.data, RecognitionRef)}
    there = await recognitions.held(session, recognised)
    findings.compared("recognitions", len(there))
    for key, given_one in recognising.recognitions.items():
        if recognitions.recognised_of(given_one) in recognised and there.get(key) != given_one:
            findings.differs("recognition", key, "is not what its events give")
    for key, held_one in there.items():
        if key not in recognising.recognitions and held_one.status != "void":
            findings.differs("recognition", key, "is held, but no event gives it any more")


_STRAYS = {
    "number": """
        WITH told AS (
            SELECT DISTINCT schemes.data ->> 'office', certificates.data ->> 'number', enrolment, scheme,
                   certificates.data ->> 'occupation', certificates.data ->> 'level'
            FROM certificates JOIN schemes USING (scheme) WHERE certificates.data ->> 'number' IS NOT NULL
        )
        SELECT office || ' ' || number AS which
        FROM ((TABLE told EXCEPT TABLE certificate_numbers) UNION (TABLE certificate_numbers EXCEPT TABLE told))
            AS differing (office, number)
    """,
    "certificate": """
        SELECT certificate AS which FROM certificates
        WHERE NOT EXISTS (SELECT FROM events WHERE events.enrolment = certificates.enrolment)
    """,
    "scheme": "SELECT scheme AS which FROM schemes WHERE NOT EXISTS "
    "(SELECT FROM events WHERE type = 'scheme.registered.v1' AND events.scheme = schemes.scheme)",
    "recognition": """
        SELECT recognition AS which FROM recognitions
        WHERE NOT EXISTS (SELECT FROM events WHERE events.recognised = recognitions.recognised)
    """,
    "standing": """
        SELECT events.source || '/' || events.id AS which
        FROM events LEFT JOIN receipts ON (receipts.source, receipts.id, receipts.number) = (events.source, events.id, receipt)
        WHERE (receipts.status, receipts.code) IS DISTINCT FROM (events.status, events.code)
    """,
    "certificate's fact": """
        SELECT coalesce(certificate, key) AS which
        FROM certificates FULL JOIN (SELECT key, body FROM things WHERE kind = 'certificate') AS told ON key = certificate
        WHERE data IS DISTINCT FROM body
    """,
    "recognition's fact": """
        SELECT coalesce(recognition, key) AS which
        FROM recognitions FULL JOIN (SELECT key, body FROM things WHERE kind = 'recognition') AS told ON key = recognition
        WHERE data IS DISTINCT FROM body
    """,
    "scheme's fact": """
        SELECT coalesce(scheme, key) AS which
        FROM schemes FULL JOIN (SELECT key, body FROM things WHERE kind = 'scheme') AS told ON key = scheme
        WHERE data IS DISTINCT FROM body
    """,
}
"""What the comparison from the journal onwards would never come to, and what was told of what is held."""
