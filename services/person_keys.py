"""The keys of personal details, kept apart from the data: nobody who was forgotten is in them, but what forgetting left is.

Data may be kept for years, in many copies; of these keys only the newest are. An older backup is read with the newest keys, so
it opens nobody who was forgotten since, and what forgetting left of them is put into it before any service reads it.
"""

import hashlib
import json
import zlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

import asyncpg

from shared.events.identity import office_of

TABLES = ("enrolment.register_keys", "enrolment.master_keys")
"""What is in the file and not in the data."""
_FORGETTING = "person.forgotten.v1"
_FORGOTTEN_BEFORE = {"data": {"decided_by": "administrator", "reason": "forgotten-before"}}
"""For whom a restore has put among the forgotten: their event is not in the journal any more."""
_JOURNALS = ("enrolment", "certification")
_POSITION = "SELECT position FROM enrolment.outbox_head"


@dataclass(frozen=True, slots=True, repr=False)
class PersonKeys:
    """What the file holds: columns of rows as PostgreSQL writes them, bytes in hexadecimal."""

    position: int
    """How far enrolment's journal of facts reached: keys that are older than the data lack some."""
    epochs: dict[str, int]
    """By service: a restore goes beyond the newest that is known."""
    masters: list[list[Any]]
    keys: list[list[Any]]
    forgotten: list[list[str]]
    """[enrolment, source, event]."""
    faded: list[list[Any]]
    """[source, id, person]: what is left of what events said of the forgotten; it tells nothing of them."""
    asked: list[dict[str, Any]]
    """The events of forgetting, but those that an office had no right to say."""

    @classmethod
    async def read(cls, connection: asyncpg.Connection) -> Self:
        """Of a live database, as of one moment."""
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            epochs = {
                service: await connection.fetchval(f"SELECT epoch FROM {service}.outbox_head")  # noqa: S608
                for service in _JOURNALS
            }
            return cls(
                position=await connection.fetchval(_POSITION),
                epochs=epochs,
                masters=[
                    [row["id"], _hexadecimal(row["sealed"]), row["made"].isoformat()]
                    for row in await connection.fetch("SELECT id, sealed, made FROM enrolment.master_keys")
                ],
                keys=[
                    [row["owner"], _hexadecimal(row["sealed"]), row["master"]]
                    for row in await connection.fetch("SELECT owner, sealed, master FROM enrolment.register_keys")
                ],
                forgotten=[
                    list(row)
                    for row in await connection.fetch("SELECT enrolment, source, event FROM enrolment.forgotten")
                ],
                faded=[list(row) for row in await connection.fetch(_FADED)],
                asked=[
                    {**row, "time": row["time"].isoformat(), "data": json.loads(row["data"])}
                    for row in await connection.fetch(_ASKED, _FORGETTING)
                ],
            )

    @classmethod
    def from_bytes(cls, written: bytes) -> Self:
        """Of what ``to_bytes`` made."""
        return cls(**json.loads(zlib.decompress(written)))

    def to_bytes(self) -> bytes:
        """To be sealed and kept."""
        return zlib.compress(json.dumps(asdict(self), separators=(",", ":")).encode())

    async def put(self, connection: asyncpg.Connection) -> list[dict[str, Any]]:
        """Put them into restored data, and raise the epochs; the events by which whoever was forgotten since is forgotten again.

        Nothing else may use the database. Raises LookupError when these keys are older than the data.
        """
        epoch = await connection.fetchval("SELECT epoch FROM enrolment.outbox_head")
        if self.epochs["enrolment"] < epoch or self.position < await connection.fetchval(_POSITION):
            raise LookupError
        async with connection.transaction():
            masters = [(id_, _bytes(sealed), datetime.fromisoformat(made)) for id_, sealed, made in self.masters]
            await _copy(connection, "master_keys", ("id", "sealed", "made"), masters)
            keys = [(owner, _bytes(sealed), master) for owner, sealed, master in self.keys]
            await _copy(connection, "register_keys", ("owner", "sealed", "master"), keys)
            for service, epoch in self.epochs.items():
                await connection.execute(
                    f"UPDATE {service}.outbox_head SET epoch = greatest(epoch, $1) + 1",  # noqa: S608
                    epoch,
                )
            before = {row["enrolment"] for row in await connection.fetch("SELECT enrolment FROM enrolment.forgotten")}
            gone = [row for row in self.forgotten if row[0] not in before]
            places = {
                row["enrolment"]: _Place.of(row)
                for row in await connection.fetch(_PLACES, [enrolment for enrolment, *_ in gone])
            }
            again = self._again(
                places,
                {
                    (row["source"], row["id"])
                    for row in await connection.fetch(
                        "SELECT source, id FROM enrolment.events WHERE type = $1", _FORGETTING
                    )
                },
            )
            # Of who is not there, or void, nothing has to be decided, and no event would apply. What is said of them later brings
            # no detail back.
            nobody = [row for row in gone if row[0] not in places]
            await connection.executemany(
                "INSERT INTO enrolment.forgotten (enrolment, source, event, recordedtime) VALUES ($1, $2, $3, now())",
                nobody,
            )
            for statement in _DESTROY:
                await connection.execute(statement, [enrolment for enrolment, *_ in nobody])
            if again or nobody:
                await connection.execute(_FADE_VOID)
                await connection.executemany(
                    "UPDATE enrolment.events SET person = $3::jsonb WHERE (source, id) = ($1, $2)", self.faded
                )
                # What told of them under a number that is somebody else's is sealed under a key that is still there.
                await connection.executemany(
                    "DELETE FROM enrolment.register_entries WHERE (source, id) = ($1, $2)",
                    [(source, id_) for source, id_, _ in self.faded],
                )
                # Without the keys nobody can tell any more which of these name them.
                await connection.execute("DELETE FROM enrolment.reused_ids")
                for service in _JOURNALS:
                    await connection.execute(f"DELETE FROM {service}.rejected")  # noqa: S608
                    await connection.execute(f"DELETE FROM {service}.dead_letters WHERE stream = 'INTAKE'")  # noqa: S608
        return again

    async def left(self, connection: asyncpg.Connection) -> int:
        """How many enrolments are there that were forgotten when these keys were written, and are not: none, once the events
        are posted."""
        return int(await connection.fetchval(_LEFT, sorted(self._everybody())))

    def _everybody(self) -> set[str]:
        return {enrolment for enrolment, *_ in self.forgotten}

    def _again(self, places: Mapping[str, "_Place"], known: set[tuple[str, str]]) -> list[dict[str, Any]]:
        """One event for each enrolment: links by which one event reached several may have come after the data."""
        asked = {(cause["source"], cause["id"]): cause for cause in self.asked}
        everybody = self._everybody()
        again = []
        for enrolment, *by in sorted(self.forgotten):
            if place := places.get(enrolment):
                ref = (by[0], by[1])
                speaker, moment = place.speaker(ref[0], everybody), place.named.isoformat()
                again.append(_event(ref, asked.get(ref, _FORGOTTEN_BEFORE)["data"], enrolment, speaker, moment))
        # Those that waited for somebody: they are said again as they were.
        waiting = [
            _event(ref, cause["data"], cause["enrolment"], cause["source"], cause["time"])
            for ref, cause in asked.items()
            if ref not in known and cause["enrolment"] and cause["enrolment"] not in everybody
        ]
        return again + waiting


@dataclass(frozen=True, slots=True)
class _Place:
    """Where somebody is who is to be forgotten again."""

    country: str
    said_by: str
    named: datetime
    """When an office first named them."""
    senders: frozenset[str]
    """The offices that have sent trainees to this cohort since then."""
    others: list[dict[str, str]]
    """The same person's enrolments."""

    @classmethod
    def of(cls, row: asyncpg.Record) -> Self:
        cohort, named = json.loads(row["cohort"]), row["named"]
        parties = [*cohort["terms"]["parties"], *cohort["former_parties"]]
        senders = {
            party["office"]
            for party in parties
            if party["role"] == "sending-office"
            and ("until" not in party or datetime.fromisoformat(party["until"]) > named)
        }
        return cls(row["country"], row["said_by"], named, frozenset(senders), json.loads(row["others"]))

    def speaker(self, source: str, forgotten: Collection[str]) -> str:
        """The office that has them forgotten: at the moment of their naming, or as soon as it became a party of the cohort.

        An event reaches all that its office speaks for, and the one that asked then may have no part in this cohort; so, of
        those that have, one that reaches nobody who was not forgotten, if there is one.
        """

        def speaks(office: str, country: str, said_by: str) -> bool:
            return country == office_of(office)[0].upper() or said_by == office

        def too_many(office: str) -> int:
            return sum(
                speaks(office, other["country"], other["said_by"]) and other["enrolment"] not in forgotten
                for other in self.others
            )

        may = [office for office in self.senders if speaks(office, self.country, self.said_by)]
        return min(may, key=lambda office: (too_many(office), office != source, office), default=source)


def _event(ref: tuple[str, str], said: Mapping[str, Any], enrolment: str, source: str, time: str) -> dict[str, Any]:
    # An id of its own: the office may send the event itself again, and it must be what it was.
    digest = hashlib.sha256("/".join((*ref, enrolment)).encode()).hexdigest()
    return {
        "specversion": "1.0",
        "id": f"again-{digest[:32]}",
        "source": source,
        "type": _FORGETTING,
        "time": time,
        "data": {"enrolment": enrolment, "decided_by": said["decided_by"], "reason": said["reason"]},
    }


async def _copy(connection: asyncpg.Connection, table: str, columns: tuple[str, ...], rows: list[Any]) -> None:
    await connection.copy_records_to_table(table, schema_name="enrolment", columns=columns, records=rows)


def _hexadecimal(value: bytes | None) -> str | None:
    return None if value is None else value.hex()


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value)


_FADED = """
SELECT source, id, person::text FROM enrolment.events
WHERE person IS NOT NULL AND NOT EXISTS (
    SELECT FROM enrolment.register_entries AS entries WHERE (entries.source, entries.id) = (events.source, events.id)
)
"""
_ASKED = """
SELECT source, id, time, data::text AS data, enrolment FROM enrolment.events
WHERE type = $1 AND (
    status <> 'conflict' OR EXISTS (SELECT FROM enrolment.forgotten WHERE (forgotten.source, event) = (events.source, id))
)
"""
"""Those that applied, once or still, and those that wait; what an office had no right to say is not said again for it."""
_PLACES = """
SELECT enrolment, place.country, place.state ->> 'said_by' AS said_by, cohorts.state::text AS cohort,
    (
        SELECT min(time) FROM enrolment.events
        WHERE events.enrolment = place.enrolment AND type IN ('trainee.proposed.v1', 'trainee.enrolled.v1')
    ) AS named,
    (
        SELECT jsonb_agg(
            jsonb_build_object('enrolment', enrolment, 'country', country, 'said_by', state ->> 'said_by')
        )::text FROM enrolment.enrolments AS other WHERE other.person = place.person
    ) AS others
FROM enrolment.enrolments AS place JOIN enrolment.cohorts USING (cohort)
WHERE enrolment = ANY($1) AND place.status <> 'void'
"""
_LEFT = """
SELECT count(*) FROM enrolment.enrolments
WHERE enrolment = ANY($1) AND status <> 'void'
    AND NOT EXISTS (SELECT FROM enrolment.forgotten WHERE forgotten.enrolment = enrolments.enrolment)
"""
_DESTROY = (
    "DELETE FROM enrolment.register_entries WHERE owner = ANY($1)",
    "DELETE FROM enrolment.roster_rows USING enrolment.enrolments WHERE enrolment = ANY($1) AND (kind, roster_rows.cohort, "
    "roster_rows.number) = ('trainees', enrolments.cohort, enrolments.state ->> 'number')",
)
"""As forgetting does it."""
_FADE_VOID = """
UPDATE enrolment.enrolments SET sealed = NULL, state = state || '{"identifiers": []}'
WHERE status = 'void' AND NOT EXISTS (SELECT FROM enrolment.register_keys WHERE owner = enrolment)
"""
"""What is void is not folded again. It had a key until its person was forgotten, under this number or another."""
