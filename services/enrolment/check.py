"""What enrolment holds, recomputed from its journal of events and compared."""

from collections.abc import AsyncIterator, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.enrolment.deciding import Change, Unit, found_elsewhere, personal, two
from services.enrolment.domain import Known, Pair
from services.enrolment.facts import cohort_data, completion, trainee_data
from services.enrolment.fold import Folded, fold
from services.enrolment.journal import Journal, Kept
from services.enrolment.keys import learn
from services.enrolment.links import IDENTIFIERS, Links
from services.enrolment.register import Register
from services.enrolment.registry import office_by_now
from services.enrolment.store import Held, Store
from services.enrolment.tables import Office
from shared.bus import Bus
from shared.checking import Findings, as_read_now, compare_journal, named
from shared.events.enrolment import CentreFact, CohortFact, ProgrammeFact, TraineeFact

UNITS = 20
"""Programmes, centres and cohorts in memory at a time, with all their events."""

Things = Mapping[tuple[str, str], dict[str, Any]]


async def check(session: AsyncSession, findings: Findings, bus: Bus, register: Register) -> None:
    """Compare journal and stream, then every state with the fold of its events, and every fact with its state.

    ``session`` must see one snapshot.
    """
    await compare_journal(session, bus, findings, "ENROLMENT")
    await compare_states(session, findings, register)
    await _compare_offices(session, findings)


async def compare_states(session: AsyncSession, findings: Findings, register: Register) -> None:
    """Compare every state with the fold of its events, and every fact with its state."""
    await learn(session, register)
    journal, store = Journal(session, register), Store(session, register)
    async for units in _units(session):
        await _compare_units(journal, store, register, findings, units)
    for what, query in _STRAYS.items():
        rows = await session.execute(text(query))
        named(findings, what, [row.which for row in rows], "is there, but nothing that it could come from")


async def _units(session: AsyncSession) -> AsyncIterator[list[str]]:
    last = ""
    while True:
        rows = await session.execute(
            text("SELECT DISTINCT unit FROM events WHERE unit > :last ORDER BY unit LIMIT :units"),
            {"last": last, "units": UNITS},
        )
        units = list(rows.scalars())
        if not units:
            return
        yield units
        last = units[-1]


async def _compare_units(
    journal: Journal, store: Store, register: Register, findings: Findings, units: Collection[str]
) -> None:
    kept = await journal.journal(units)
    entries = {unit: [one.entry for one in events] for unit, events in kept.items()}
    registered = await store.registered({need for each in entries.values() for entry in each for need in entry.needs})
    elsewhere = await found_elsewhere(journal, entries)
    forgotten = await store.forgotten(personal(entry for each in entries.values() for entry in each))
    decided = {entry.pair: unit for unit, each in entries.items() for entry in each if entry.pair}
    seen_by = await store.seen_by({enrolment for pair in decided for enrolment in pair}) if decided else {}
    pairs = await Links(store.session, register).decided(decided)
    held = await store.held([unit.removeprefix("cohort/") for unit in units if unit.startswith("cohort/")])
    things = await _things(journal.session, held)
    for unit, each in entries.items():
        known = Known(registered, elsewhere - {entry.ref for entry in each}, forgotten, seen_by)
        folded = fold(each, known)
        findings.compared("events", len(each))
        _compare_standings(findings, kept[unit], folded)
        if unit.startswith("cohort/"):
            stored = held[unit.removeprefix("cohort/")]
            change = Change(unit.removeprefix("cohort/"), Unit(folded, {}, (), retold=True), stored, None)
            await _compare_cohort(store, register, findings, change)
            _compare_facts(findings, change, things)
        elif unit.startswith(("programme/", "centre/")):
            await _compare_registered(store, findings, unit, folded)
        elif unit.startswith("pair/"):
            findings.compared("decisions", 1)
            if folded.state.pair != pairs.get(two(unit), Pair()):
                findings.differs("decision", unit, "is not held as its events say")


def _compare_standings(findings: Findings, kept: Collection[Kept], folded: Folded) -> None:
    for one in kept:
        standing = folded.standings[one.entry.ref]
        if standing != one.standing:
            findings.differs(
                "event",
                "/".join(one.entry.ref),
                f"stands as {one.standing.status} {one.standing.code}, "
                f"but the fold gives {standing.status} {standing.code}",
            )


async def _compare_cohort(store: Store, register: Register, findings: Findings, change: Change) -> None:
    held, state = change.held, change.unit.folded.state
    by_now = {key: place.person for key, place in held.places.items()}
    if change.cohort() is not None:
        findings.differs("cohort", change.code, "its state is not the fold of its events")
    for place in change.places(by_now, register):
        findings.differs("trainee", place.enrolment.enrolment, "the state is not the fold of the cohort's events")
    findings.compared("cohorts", 1)
    findings.compared("trainees", len(state.enrolments))
    links = {key: enrolment.links for key, enrolment in state.enrolments.items()}
    rows = await store.session.execute(
        text(f"SELECT enrolment, link FROM links WHERE enrolment = ANY(:enrolments) AND {IDENTIFIERS}"),  # noqa: S608
        {"enrolments": sorted(links)},
    )
    stored = {(row.enrolment, row.link) for row in rows}
    given = {(key, link) for key, each in links.items() for link in each}
    named(findings, "trainee", {key for key, _ in stored ^ given}, "is not linked to a person as its events say")
    persons = await Links(store.session, register).persons(links)
    for key in links:
        if key in held.places and held.places[key].person != persons[key]:
            findings.differs("trainee", key, "belongs to another person than its links give")


def _compare_facts(findings: Findings, change: Change, things: Things) -> None:
    """What is void keeps what was last told of it, so only that it is void is compared."""
    code, held, state = change.code, change.held, change.unit.folded.state
    terms = state.cohort or held.cohort
    if terms is None:
        return
    told = things.get(("cohort", code), {})
    if state.cohort is None:
        if told.get("status") != "void":
            findings.differs("cohort", code, "is void, but its last fact does not say so")
    elif as_read_now(CohortFact, told) != cohort_data(state.cohort).model_dump(mode="json"):
        findings.differs("cohort", code, "its last fact is not what its state gives")
    for key, place in held.places.items():
        told = things.get(("trainee", key), {})
        if key not in state.enrolments:
            if told.get("status") != "void":
                findings.differs("trainee", key, "is void, but the last fact does not say so")
            continue
        data = trainee_data(state.enrolments[key], terms, place.person, completion(state, key))
        if as_read_now(TraineeFact, told) != data.model_dump(mode="json"):
            findings.differs("trainee", key, "the last fact is not what the state gives")


async def _things(session: AsyncSession, held: Mapping[str, Held]) -> Things:
    rows = await session.execute(
        text(
            """
            SELECT kind, key, body FROM things
            WHERE kind = 'cohort' AND key = ANY(:cohorts) OR kind = 'trainee' AND key = ANY(:trainees)
            """
        ),
        {"cohorts": list(held), "trainees": [key for cohort in held.values() for key in cohort.places]},
    )
    return {(row.kind, row.key): row.body for row in rows}


async def _compare_registered(store: Store, findings: Findings, unit: str, folded: Folded) -> None:
    kind, _, code = unit.partition("/")
    stored, state = await store.held_registered(unit), folded.state
    rows = await store.session.execute(
        text("SELECT body FROM things WHERE kind = :kind AND key = :key"), {"kind": kind, "key": code}
    )
    told = rows.scalar_one_or_none()
    given: ProgrammeFact | CentreFact | None = None
    if state.programme:
        given = ProgrammeFact(**dict(state.programme), status="registered")
    elif state.centre:
        given = CentreFact(**dict(state.centre), status="registered")
    elif stored:
        given = stored.model_copy(update={"status": "void"})
    findings.compared(f"{kind}s", 1)
    if stored != given:
        findings.differs(kind, code, "its state is not the fold of its events")
    if (as_read_now(type(given), told) if given else told) != (given.model_dump(mode="json") if given else None):
        findings.differs(kind, code, "its last fact is not what its events give")


async def _compare_offices(session: AsyncSession, findings: Findings) -> None:
    """Expired tokens are forgotten here before an office's next fact says so."""
    now = datetime.now(UTC)
    offices = (await session.execute(select(col(Office.office)))).scalars().all()
    things = await session.execute(text("SELECT body FROM things WHERE kind = 'office'"))
    told = {body["office"]: body for body in things.scalars()}
    findings.compared("offices", len(offices))
    named(findings, "office", told.keys() - set(offices), "was told of, but is not in the registry")
    for office in offices:
        given = (await office_by_now(session, office)).model_dump(mode="json")
        if office not in told or _valid(told[office], now) != _valid(given, now):
            findings.differs("office", office, "its last fact is not what the registry holds")


def _valid(office: dict[str, Any], now: datetime) -> dict[str, Any]:
    tokens = [token for token in office["tokens"] if datetime.fromisoformat(token["expires"]) > now]
    keys = [key for key in office.get("keys", ()) if datetime.fromisoformat(key["expires"]) > now]
    return {**office, "tokens": tokens, "keys": keys}


_STRAYS = {
    "cohort": "SELECT cohort AS which FROM cohorts "
    "WHERE NOT EXISTS (SELECT FROM events WHERE unit = 'cohort/' || cohort)",
    "trainee": "SELECT enrolment AS which FROM enrolments "
    "WHERE NOT EXISTS (SELECT FROM cohorts WHERE cohorts.cohort = enrolments.cohort)",
    "programme": "SELECT programme AS which FROM programmes "
    "WHERE NOT EXISTS (SELECT FROM events WHERE unit = 'programme/' || programme)",
    "centre": "SELECT centre AS which FROM centres "
    "WHERE NOT EXISTS (SELECT FROM events WHERE unit = 'centre/' || centre)",
    "fact": """
        SELECT kind || ' ' || key AS which FROM things
        WHERE kind = 'cohort' AND NOT EXISTS (SELECT FROM cohorts WHERE cohort = key)
            OR kind = 'trainee' AND NOT EXISTS (SELECT FROM enrolments WHERE enrolment = key)
            OR kind = 'programme' AND NOT EXISTS (SELECT FROM programmes WHERE programme = key)
            OR kind = 'centre' AND NOT EXISTS (SELECT FROM centres WHERE centre = key)
    """,
    "link": f"SELECT enrolment AS which FROM links WHERE {IDENTIFIERS} AND NOT EXISTS "  # noqa: S608
    "(SELECT FROM enrolments WHERE enrolments.enrolment = links.enrolment AND status <> 'void')",
    "detail": """
        SELECT enrolment AS which FROM forgotten WHERE EXISTS (SELECT FROM register_keys WHERE owner = enrolment)
            OR EXISTS (SELECT FROM register_entries WHERE owner = enrolment)
    """,
    "decision": """
        SELECT one || '/' || other AS which FROM apart
        WHERE NOT EXISTS (SELECT FROM events WHERE unit = 'pair/' || one || '/' || other)
        UNION ALL SELECT link FROM links WHERE starts_with(link, 'merged/')
            AND NOT EXISTS (SELECT FROM events WHERE unit = 'pair/' || substr(link, 8))
    """,
    "standing": """
        SELECT source || '/' || id AS which FROM events LEFT JOIN receipts USING (source, id, number)
        WHERE (receipts.status, receipts.code) IS DISTINCT FROM (events.status, events.code)
    """,
}
"""Rows that the comparison from the journal onwards would never come to; of standings, those without their receipt."""
