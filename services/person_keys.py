"""The keys of personal details, kept apart from the data: nobody who was forgotten is in them, but what forgetting left is.

Data may be kept for years, in many copies; of these keys only the newest are. An older backup is read with the newest keys, so
it opens nobody who was forgotten since, and what forgetting left of them is put into it before any service reads it.
"""

import hashlib
import json
import zlib
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

import asyncpg

TABLES = ("enrolment.register_keys", "enrolment.master_keys")
"""What is in the file and not in the data."""
_FORGETTING = "person.forgotten.v1"
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
    """The events of forgetting."""

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
        if self.position < await connection.fetchval(_POSITION):
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
            again = self._again(
                {row["enrolment"] for row in await connection.fetch("SELECT enrolment FROM enrolment.forgotten")},
                {
                    (row["source"], row["id"])
                    for row in await connection.fetch(
                        "SELECT source, id FROM enrolment.events WHERE type = $1", _FORGETTING
                    )
                },
            )
            if again:
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

    def _again(self, forgotten: set[str], known: set[tuple[str, str]]) -> list[dict[str, Any]]:
        """One event for each enrolment: links by which one event reached several may have come after the data."""
        events = []
        for cause in self.asked:
            ref = (cause["source"], cause["id"])
            reached = {enrolment for enrolment, *by in self.forgotten if tuple(by) == ref}
            if ref not in known and cause["enrolment"]:
                reached.add(cause["enrolment"])
            events += [_event(cause, enrolment) for enrolment in sorted(reached - forgotten)]
        return events


def _event(cause: dict[str, Any], enrolment: str) -> dict[str, Any]:
    # An id of its own: the office may send the event itself again, and it must be what it was.
    digest = hashlib.sha256("/".join((cause["source"], cause["id"], enrolment)).encode()).hexdigest()
    return {
        "specversion": "1.0",
        "id": f"again-{digest[:32]}",
        "source": cause["source"],
        "type": _FORGETTING,
        "time": cause["time"],
        "data": {
            "enrolment": enrolment,
            "decided_by": cause["data"]["decided_by"],
            "reason": cause["data"]["reason"],
        },
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
_ASKED = "SELECT source, id, time, data::text AS data, enrolment FROM enrolment.events WHERE type = $1"
