"""The journal: every event that was taken, how it stands, what is sealed of it, and the locks under which it is read.

Locks are taken in one order: the registry, the units by name, and last the publish lock.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.enrolment.domain import Entry, Faded, Identifier, Particulars, Ref, Standing
from services.enrolment.fold import SESSION, Later
from services.enrolment.keys import keys_of
from services.enrolment.register import Register, birth_date_of
from services.enrolment.tables import (
    NEEDING,
    OF_TWO,
    UNSETTLED,
    EventRow,
    ReceiptRow,
    ReusedIdRow,
)
from shared import correlation
from shared.database import write
from shared.events.offices_to_enrolment import TYPES

SERVICE = "service"
"""Owner of the key for sealed events that name no enrolment."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An event of the journal, and how it stands."""

    entry: Entry
    standing: Standing
    number: int


@dataclass(frozen=True, slots=True)
class Record:
    """What the journal says of an event without reading it."""

    unit: str
    content: bytes
    standing: Standing
    number: int
    recordedtime: datetime


@dataclass(frozen=True, slots=True)
class New:
    """An event for the journal: its unit, where it stands, and what is sealed of it."""

    entry: Entry
    unit: str
    standing: Standing
    content: bytes
    original: bytes | None
    postedby: str


class Journal:
    """One transaction's view of the journal."""

    def __init__(self, session: AsyncSession, register: Register) -> None:
        self.session = session
        self._register = register

    # --- locks

    async def lock_registry(self, *, alone: bool) -> None:
        """Shared for most; alone for what concerns units that cannot be named yet."""
        await self.session.execute(
            text(f"SELECT pg_advisory_xact_lock{'' if alone else '_shared'}(:key)"), {"key": _lock_key("registry")}
        )

    async def lock_units(self, units: Iterable[str]) -> None:
        """In one order for everybody, so that no two transactions wait for each other."""
        await self.session.execute(
            text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key"),
            {"keys": sorted({_lock_key(unit) for unit in units})},
        )

    # --- finding units

    async def records(self, refs: Collection[Ref]) -> dict[Ref, Record]:
        """What is known of these events."""
        if not refs:
            return {}
        rows = await self.session.execute(
            text(
                """
                SELECT source, id, unit, content, status, code, number, recordedtime FROM events
                JOIN unnest(CAST(:sources AS text[]), CAST(:ids AS text[])) AS asked (source, id) USING (source, id)
                """
            ),
            _refs(refs),
        )
        return {
            (row.source, row.id): Record(
                row.unit, row.content, Standing(row.status, row.code), row.number, row.recordedtime
            )
            for row in rows
        }

    async def cohorts_of(self, enrolments: Collection[str]) -> dict[str, str]:
        """The cohort's unit of each enrolment that any event has named together with its cohort."""
        if not enrolments:
            return {}
        rows = await self.session.execute(
            text(
                "SELECT DISTINCT enrolment, unit FROM events "
                "WHERE enrolment = ANY(:enrolments) AND unit LIKE 'cohort/%'"
            ),
            {"enrolments": sorted(enrolments)},
        )
        return {row.enrolment: row.unit for row in rows}

    async def acting_on(self, refs: Collection[Ref]) -> dict[Ref, set[str]]:
        """The units of events that void or replace these ones."""
        rows = await self.session.execute(
            text(
                """
                SELECT source, target, unit FROM events
                JOIN unnest(CAST(:sources AS text[]), CAST(:ids AS text[])) AS asked (source, target)
                USING (source, target) WHERE target IS NOT NULL
                """
            ),
            _refs(refs),
        )
        found: dict[Ref, set[str]] = {}
        for row in rows:
            found.setdefault((row.source, row.target), set()).add(row.unit)
        return found

    async def existing(self, units: Collection[str]) -> set[str]:
        """Those of these units that have events."""
        if not units:
            return set()
        rows = await self.session.execute(
            text(
                "SELECT unit FROM unnest(CAST(:units AS text[])) AS asked (unit) "
                "WHERE EXISTS (SELECT FROM events WHERE events.unit = asked.unit)"
            ),
            {"units": sorted(units)},
        )
        return set(rows.scalars())

    async def move(self, units: Mapping[str, str]) -> None:
        """Give the events of units that wait under a name to the unit that the name turned out to mean."""
        if units:
            await self.session.execute(
                text(
                    """
                    UPDATE events SET unit = asked.new
                    FROM unnest(CAST(:olds AS text[]), CAST(:news AS text[])) AS asked (old, new) WHERE unit = asked.old
                    """
                ),
                {"olds": list(units), "news": list(units.values())},
            )

    async def needing(self, needs: Collection[str]) -> set[str]:
        """The units whose events need these programmes and centres."""
        return await self._needing(NEEDING, needs)

    async def deciding_about(self, enrolments: Collection[str]) -> set[str]:
        """The units of what was decided about these enrolments and others."""
        return await self._needing(OF_TWO, [f"enrolment/{enrolment}" for enrolment in enrolments])

    async def _needing(self, which: str, needs: Collection[str]) -> set[str]:
        if not needs:
            return set()
        rows = await self.session.execute(
            text(f"SELECT DISTINCT unit FROM events WHERE {which} AND needs && CAST(:needs AS text[])"),  # noqa: S608
            {"needs": sorted(needs)},
        )
        return set(rows.scalars())

    # --- the journal

    async def later(self, first: Mapping[str, Entry]) -> dict[str, list[Later]]:
        """The events of each unit that come after the first of its new ones."""
        found: dict[str, list[Later]] = {unit: [] for unit in first}
        if not first:
            return found
        rows = await self.session.execute(
            text(
                """
                SELECT unit, time, rank, source, id, type, enrolment FROM events
                JOIN unnest(CAST(:units AS text[]), CAST(:times AS timestamptz[])) AS asked (unit, first) USING (unit)
                WHERE time >= first
                """
            ),
            {"units": list(first), "times": [entry.time for entry in first.values()]},
        )
        for row in rows:
            order = row.time, row.rank, row.source, row.id
            if order > first[row.unit].order:
                found[row.unit].append(Later(order, row.type, row.enrolment))
        return found

    async def journal(self, units: Collection[str], *, unsettled: bool = False) -> dict[str, list[Kept]]:
        """All events of these units; or only what the short way needs of them."""
        return await self._kept(units, UNSETTLED if unsettled else "true")

    async def settled(self, again: Mapping[str, Collection[str]]) -> dict[str, list[Kept]]:
        """What the short way needs besides where trainees are folded anew: what settled of these, and of the cohort itself."""
        which = f"NOT ({UNSETTLED}) AND (enrolment = ANY(:trainees) OR enrolment IS NULL AND type <> '{SESSION}')"
        return await self._kept(again, which, sorted({trainee for each in again.values() for trainee in each}))

    async def _kept(self, units: Collection[str], which: str, trainees: Sequence[str] = ()) -> dict[str, list[Kept]]:
        found: dict[str, list[Kept]] = {unit: [] for unit in units}
        if not units:
            return found
        rows = await self.session.execute(
            text(
                f"""
                SELECT source, id, type, time, rank, unit, target, CAST(data AS text) AS data, person, status, code, number,
                    entries.owner, entries.sealed, keys.sealed AS key
                FROM events LEFT JOIN register_entries AS entries USING (source, id)
                LEFT JOIN register_keys AS keys USING (owner)
                WHERE unit = ANY(:units) AND ({which})
                """  # noqa: S608
            ),
            {"units": sorted(units), **({"trainees": trainees} if trainees else {})},
        )
        for row in rows:
            found[row.unit].append(Kept(self._entry(row), Standing(row.status, row.code), row.number))
        return found

    def _entry(self, row: Row[Any]) -> Entry:
        person = row.person
        return Entry(
            source=row.source,
            id=row.id,
            type=row.type,
            time=row.time,
            rank=row.rank,
            data=TYPES[row.type].model_validate_json(row.data),
            person=None if person is None else self._particulars(row, person),
            replaces=None if row.type == "event.voided.v1" else row.target,
        )

    def _particulars(self, row: Row[Any], person: dict[str, Any]) -> Particulars:
        birth_date: date | Faded | None = Faded(*person["faded"]) if "faded" in person else None
        if row.key is not None:
            original = self._register.unseal(row.key, row.owner, row.sealed, _place(row.source, row.id))
            birth_date = birth_date_of(row.type, original)
        identifiers = person.get("identifiers")
        return Particulars(
            sex=person.get("sex"),
            birth_date=birth_date,
            disability=person.get("disability"),
            identifiers=None if identifiers is None else tuple(Identifier(*known) for known in identifiers),
            purposes=tuple(person["purposes"]) if "purposes" in person else None,
        )

    async def add(self, events: Sequence[New], now: datetime) -> None:
        """Put new events into the journal. Raises IntegrityError when one has come in meanwhile."""
        if not events:
            return
        rows = [
            {
                "source": new.entry.source,
                "id": new.entry.id,
                "type": new.entry.type,
                "time": new.entry.time,
                "rank": new.entry.rank,
                "unit": new.unit,
                "enrolment": new.entry.enrolment,
                "target": new.entry.acts_on[1] if new.entry.acts_on else None,
                "needs": sorted(new.entry.needs),
                "data": new.entry.data.model_dump(mode="json", exclude_none=True),
                "person": without_birth_date(new.entry.person),
                "content": new.content,
                "postedby": new.postedby,
                "correlation": correlation.id_of(new.entry.ref),
                "recordedtime": now,
                "status": new.standing.status,
                "code": new.standing.code,
                "number": 1,
            }
            for new in events
        ]
        await write(self.session, EventRow, rows)
        await self._history([(*new.entry.ref, 1, new.standing) for new in events], now)
        await self._keep_originals([(new.entry, new.original) for new in events if new.original is not None])

    async def _keep_originals(self, originals: Sequence[tuple[Entry, bytes]]) -> None:
        if not originals:
            return
        keys = await keys_of(self.session, self._register, {entry.enrolment or SERVICE for entry, _ in originals})
        sealed = [self._sealed(keys, entry, original) for entry, original in originals]
        # As bytes: of whole events, to write and to read them as hexadecimal takes longer than the rest.
        await self.session.execute(
            text(
                """
                INSERT INTO register_entries (source, id, owner, sealed)
                SELECT source, id, owner, sealed FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[]),
                    CAST(:owners AS text[]), CAST(:sealed AS bytea[])) AS new (source, id, owner, sealed)
                """
            ),
            {
                **_refs([entry.ref for entry, _ in originals]),
                "owners": [row["owner"] for row in sealed],
                "sealed": [row["sealed"] for row in sealed],
            },
        )

    async def change(self, changes: Sequence[tuple[Ref, Standing, int]], now: datetime) -> None:
        """Give events of the journal the standing that they have by now; the number is its new one."""
        if not changes:
            return
        await self.session.execute(
            text(
                """
                UPDATE events SET status = said.status, code = said.code, number = said.number
                FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[]), CAST(:statuses AS text[]),
                    CAST(:codes AS text[]), CAST(:numbers AS integer[])) AS said (source, id, status, code, number)
                WHERE (events.source, events.id) = (said.source, said.id)
                """
            ),
            {
                **_refs([ref for ref, _, _ in changes]),
                "statuses": [standing.status for _, standing, _ in changes],
                "codes": [standing.code for _, standing, _ in changes],
                "numbers": [number for _, _, number in changes],
            },
        )
        await self._history([(*ref, number, standing) for ref, standing, number in changes], now)

    async def keep_reused(self, entry: Entry, content: bytes, original: bytes, postedby: str, now: datetime) -> None:
        """Keep, sealed, an event whose id had been used for another."""
        keys = await keys_of(self.session, self._register, {entry.enrolment or SERVICE})
        row = {
            "source": entry.source,
            "id": entry.id,
            "content": content,
            "postedby": postedby,
            "recordedtime": now,
            **self._sealed(keys, entry, original),
        }
        await self.session.execute(insert(ReusedIdRow).values(row).on_conflict_do_nothing())

    async def _history(self, lines: Sequence[tuple[str, str, int, Standing]], now: datetime) -> None:
        await write(
            self.session,
            ReceiptRow,
            [
                {
                    "source": source,
                    "id": id_,
                    "number": number,
                    "status": standing.status,
                    "code": standing.code,
                    "recordedtime": now,
                }
                for source, id_, number, standing in lines
            ],
        )

    def _sealed(self, keys: Mapping[str, bytes], entry: Entry, original: bytes) -> dict[str, Any]:
        owner = entry.enrolment or SERVICE
        return {"owner": owner, "sealed": self._register.seal(keys[owner], owner, original, _place(*entry.ref))}


def _refs(refs: Iterable[Ref]) -> dict[str, list[str]]:
    pairs = list(refs)
    return {"sources": [source for source, _ in pairs], "ids": [id_ for _, id_ in pairs]}


def _place(source: str, id_: str) -> str:
    return f"{source}/{id_}"


def _lock_key(name: str) -> int:
    # Advisory locks are the whole database's, which the services share.
    return int.from_bytes(hashlib.sha256(f"enrolment {name}".encode()).digest()[:8], "big", signed=True)


def without_birth_date(person: Particulars | None) -> dict[str, Any] | None:
    """What the journal holds of a person in clear."""
    if person is None:
        return None
    known: dict[str, Any] = {"sex": person.sex, "disability": person.disability}
    if person.identifiers is not None:
        known["identifiers"] = [[one.kind, one.country, one.hash] for one in person.identifiers]
    if person.purposes is not None:
        known["purposes"] = list(person.purposes)
    if isinstance(person.birth_date, Faded):
        known["faded"] = [person.birth_date.mark, person.birth_date.band]
    return {name: value for name, value in known.items() if value is not None}
