"""Forgetting somebody: their keys are destroyed, and what the record still needs of them fades.

All enrolments that are known to be the person's, and for which the office speaks, are forgotten together, so that their links,
re-made with a key that is thrown away, still hold among themselves; what tells of them elsewhere goes with them. Only while
nobody else takes events, and under the publish lock.
"""

import asyncio
import json
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.enrolment.astray import Astray, destroy_astray, find_astray
from services.enrolment.deciding import Saved, decide_again, save
from services.enrolment.domain import Entry
from services.enrolment.facts import age_band
from services.enrolment.journal import Journal, without_birth_date
from services.enrolment.links import LINKING, Links, tells_of
from services.enrolment.register import Fading, Register, person_in
from services.enrolment.store import ENROLMENT, Held, Store
from services.enrolment.tables import ForgottenRow
from services.enrolment.telling import contact_tells, identifier_tells, tells
from shared.database import write
from shared.deadletters import DeadLetters
from shared.events.codes import TEXT_LIMIT, AgeBand
from shared.events.identity import enrolment_id, office_of
from shared.kept import plain
from shared.rejected import RejectedBodies


@dataclass(frozen=True, slots=True)
class Archive:
    """Where bodies are kept as they came."""

    rejected: RejectedBodies
    dead_letters: DeadLetters


@dataclass(frozen=True, slots=True)
class _Person:
    """Who is to be forgotten: by which event, by cohort their enrolments, and what tells of them elsewhere."""

    cause: Entry
    cohorts: Mapping[str, Collection[str]]
    links: Collection[str]
    astray: Astray

    @property
    def enrolments(self) -> list[str]:
        return sorted(key for keys in self.cohorts.values() for key in keys)


async def forget(
    journal: Journal,
    store: Store,
    register: Register,
    archive: Archive,
    forgets: Mapping[str, Entry],
    now: datetime,
) -> Saved:
    """Destroy the details of the persons of these enrolments, whose states are stored; each with the event that says so."""
    session = journal.session
    persons = await _persons(session, forgets)
    everyone = frozenset(key for person in persons for key in person.enrolments)
    telling = await _telling(session, register, persons)

    def about(event: Any) -> bool:
        return enrolment_named(event) in everyone or any(
            tells(detail, said) for text_ in _texts(event) for said in {text_, plain(text_)} for detail in telling
        )

    await _strike_reused(session, register, about)
    facts, changes = [], []
    for person in persons:
        cause, enrolments = person.cause, person.enrolments
        await write(
            session,
            ForgottenRow,
            [{"enrolment": key, "source": cause.source, "event": cause.id, "recordedtime": now} for key in enrolments],
        )
        await Links(session, register).keep(enrolments)
        await _fade(journal, store, person)
        for statement in _DESTROY:
            await session.execute(text(statement), {"enrolments": enrolments})
        await destroy_astray(session, person.astray)
        decision = await decide_again(journal, store, person.cohorts.keys() | person.astray.cohorts)
        saved = await save(journal, store, register, decision)
        changed = [*decision.changes(), *saved.changes]
        await journal.change([(entry.ref, standing, number) for entry, standing, number in changed], now)
        facts += saved.facts
        changes += changed

    await archive.rejected.strike_out(session, about)
    await archive.dead_letters.strike_out(session, about)
    return Saved(facts, changes)


async def _strike_reused(session: AsyncSession, register: Register, about: Callable[[Any], bool]) -> None:
    """Delete what is about them of events whose id had been used for another, under whatever number it stands."""

    def struck(rows: Sequence[Row[Any]]) -> list[dict[str, Any]]:
        return [
            {"source": row.source, "id": row.id, "content": row.content}
            for row in rows
            if about(json.loads(register.unseal(row.key, row.owner, row.sealed, f"{row.source}/{row.id}")))
        ]

    last: dict[str, Any] = {"source": "", "id": "", "content": b""}
    while rows := (await session.execute(_REUSED, last)).all():
        found = await asyncio.to_thread(struck, rows)
        if found:
            await session.execute(_STRIKE, found)
        last = {"source": rows[-1].source, "id": rows[-1].id, "content": rows[-1].content}


_REUSED = text(
    """
    SELECT source, id, content, owner, reused_ids.sealed, keys.sealed AS key
    FROM reused_ids JOIN register_keys AS keys USING (owner)
    WHERE (source, id, content) > (:source, :id, :content) ORDER BY source, id, content LIMIT 100
    """
)
_STRIKE = text("DELETE FROM reused_ids WHERE (source, id, content) = (:source, :id, :content)")


def enrolment_named(event: Any) -> str | None:
    """The enrolment that an event names, as somebody wrote it."""
    data = event.get("data") if isinstance(event, dict) else None
    if not isinstance(data, dict):
        return None
    cohort, number, enrolment = data.get("cohort"), data.get("number"), data.get("enrolment")
    if isinstance(cohort, str) and isinstance(number, str):
        return enrolment_id(cohort, number)
    return enrolment if isinstance(enrolment, str) else None


async def _telling(session: AsyncSession, register: Register, persons: Sequence[_Person]) -> frozenset[str]:
    """What tells who somebody is wherever it stands: names, numbers, addresses.

    Of what has not applied under their numbers only what an identifier says to be theirs, or else all that there is.
    """
    others = [ref for person in persons for ref in person.astray.events]
    links = {link for person in persons for link in person.links}
    selected = await session.execute(
        text(
            f"""
            SELECT source, id, type, events.status, code, events.person AS said, {LINKING},
                owner, entries.sealed, keys.sealed AS key
            FROM events JOIN register_entries AS entries USING (source, id)
            JOIN register_keys AS keys USING (owner) LEFT JOIN enrolments USING (enrolment)
            WHERE (source, id) IN (
                SELECT source, id FROM register_entries WHERE owner = ANY(:enrolments)
                UNION ALL SELECT * FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[]))
            )
            """  # noqa: S608 (a constant)
        ),
        {
            "enrolments": sorted(key for person in persons for key in person.enrolments),
            "sources": [source for source, _ in others],
            "ids": [id_ for _, id_ in others],
        },
    )
    rows = selected.all()
    theirs = [row for row in rows if (row.status, row.code) == ("accepted", "applied") or tells_of(row, links)]
    known = {row.owner for row in theirs}
    found: set[str] = set()
    for row in (*theirs, *(row for row in rows if row.owner not in known)):
        opened = json.loads(register.unseal(row.key, row.owner, row.sealed, f"{row.source}/{row.id}"))["data"]
        person = person_in(row.type, opened)
        names = person.get("names") or {}
        found |= {names[script] for script in ("original", "romanised") if script in names}
        found |= {said for said in _texts(person.get("contact")) if contact_tells(said)}
        identifiers = {(one["kind"], one["number"]) for one in person.get("identifiers") or ()}
        found |= {number for kind, number in identifiers if identifier_tells(kind, number)}
    return frozenset(form for detail in found for form in _forms(detail))


def _forms(detail: str) -> Iterator[str]:
    """A detail with its accents as they may be put together elsewhere."""
    yield detail
    if len(detail) <= TEXT_LIMIT:  # every name is; over some longer texts Python takes minutes
        yield unicodedata.normalize("NFC", detail)
        yield unicodedata.normalize("NFD", detail)


def _texts(value: Any) -> Iterator[str]:
    """Every text in what somebody wrote, and every whole number as one; what could not be read is a text."""
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, str):
            yield node
        elif isinstance(node, int) and not isinstance(node, bool):
            yield str(node)


async def _persons(session: AsyncSession, forgets: Mapping[str, Entry]) -> list[_Person]:
    """Each person with an office that says so: the enrolments that it names, and those for which it speaks by now, void ones too.

    What another country sent is that country's to forget; but of the one that an event names, its place in the fold has told who
    speaks. What was forgotten before stays as it is: nothing is left of it.
    """
    rows = await session.execute(
        text(
            """
            SELECT person, enrolment, cohort, CAST(state AS text) AS state FROM enrolments
            WHERE person IN (SELECT person FROM enrolments WHERE enrolment = ANY(:enrolments))
                AND NOT EXISTS (SELECT FROM forgotten WHERE forgotten.enrolment = enrolments.enrolment)
            ORDER BY person, enrolment
            """
        ),
        {"enrolments": sorted(forgets)},
    )
    enrolments = rows.all()
    person_of = {row.enrolment: row.person for row in enrolments}
    causes = {(person_of[enrolment], cause.source): cause for enrolment, cause in sorted(forgets.items())}
    found = []
    left = {row.enrolment: (row.person, ENROLMENT.validate_json(row.state)) for row in enrolments}
    for (person, source), cause in causes.items():
        country, cohorts, links = office_of(source)[0].upper(), dict[str, set[str]](), set[str]()
        named = {key for key, each in forgets.items() if each.source == source}
        for key, (whose, place) in list(left.items()):
            if whose == person and (key in named or country == place.country or source == place.said_by):
                cohorts.setdefault(place.cohort, set()).add(key)
                links |= place.links
                del left[key]
        astray = await find_astray(session, source, links, {key for keys in cohorts.values() for key in keys})
        found.append(_Person(cause, cohorts, links, astray))
    return found


async def _fade(journal: Journal, store: Store, person: _Person) -> None:
    """Leave of the person's particulars in the journal what tells nothing of them."""
    fading, enrolments, elsewhere = Fading(), frozenset(person.enrolments), person.astray.events
    held = await store.held(person.cohorts.keys() | person.astray.cohorts)
    kept = await journal.journal({*(f"cohort/{cohort}" for cohort in held), *elsewhere.values()})
    faded = []
    for unit, each in kept.items():
        terms = held.get(unit.removeprefix("cohort/"), Held()).cohort
        band = partial(age_band, on=terms.terms.starts_on) if terms else _unknown
        faded += [
            (one.entry.ref, json.dumps(without_birth_date(fading.of(one.entry.person, band))))
            for one in each
            if one.entry.person is not None and (one.entry.enrolment in enrolments or one.entry.ref in elsewhere)
        ]
    await journal.session.execute(
        text(
            """
            UPDATE events SET person = said.person
            FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[]), CAST(:persons AS jsonb[]))
                AS said (source, id, person)
            WHERE (events.source, events.id) = (said.source, said.id)
            """
        ),
        {
            "sources": [ref[0] for ref, _ in faded],
            "ids": [ref[1] for ref, _ in faded],
            "persons": [person for _, person in faded],
        },
    )


def _unknown(_: date) -> AgeBand:
    return "_U"


_DESTROY = (
    "DELETE FROM register_keys WHERE owner = ANY(:enrolments)",
    "DELETE FROM register_entries WHERE owner = ANY(:enrolments)",
    "DELETE FROM reused_ids WHERE owner = ANY(:enrolments)",
    # Rows of rosters: their digests are of the details. Of sessions there are numbers alone, and no digest of anybody.
    "DELETE FROM roster_rows USING enrolments WHERE enrolment = ANY(:enrolments) "
    "AND (kind, roster_rows.cohort, roster_rows.number) = ('trainees', enrolments.cohort, enrolments.state ->> 'number')",
    # Files that an officer has shown and not sent yet: whoever needs one still chooses it again.
    "DELETE FROM kept_files",
    # What is void is not folded again.
    "UPDATE enrolments SET sealed = NULL, state = state || '{\"identifiers\": []}' "
    "WHERE enrolment = ANY(:enrolments) AND status = 'void'",
    "UPDATE enrolments SET sealed = NULL WHERE enrolment = ANY(:enrolments)",
)
