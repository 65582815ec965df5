"""The keys of personal details in the database: one for each enrolment, wrapped under a master key that can be rotated."""

from collections.abc import Collection

from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.enrolment.register import FIRST_MASTER, Register
from services.enrolment.tables import MasterKeyRow
from shared.audit import Act, Audit
from shared.database import Database
from shared.offices import Caller

BATCH = 500
"""Keys that are wrapped anew in one transaction."""


async def keys_of(session: AsyncSession, register: Register, owners: Collection[str]) -> dict[str, bytes]:
    """The owners' wrapped keys; who has none gets one. Raises MasterUnknown."""
    if not owners:
        return {}
    asked = {"owners": sorted(owners)}
    keys = {row.owner: row.sealed for row in await session.execute(_OF, asked)}
    missing = sorted(set(owners) - set(keys))
    if missing:
        master = await _newest(session)
        made = {owner: register.new_key(owner, master) for owner in missing}
        added = await session.execute(_ADD, {"owners": list(made), "sealed": list(made.values()), "master": master})
        keys |= {owner: made[owner] for owner in added.scalars()}
        if not keys.keys() >= made.keys():  # another transaction was faster
            keys.update({row.owner: row.sealed for row in await session.execute(_OF, asked)})
    return keys


_OF = text("SELECT owner, sealed FROM register_keys WHERE owner = ANY(:owners)")
_ADD = text(
    """
    INSERT INTO register_keys (owner, sealed, master)
    SELECT owner, sealed, :master FROM unnest(CAST(:owners AS text[]), CAST(:sealed AS bytea[])) AS made (owner, sealed)
    ON CONFLICT DO NOTHING RETURNING owner
    """
)


async def learn(session: AsyncSession, register: Register) -> None:
    """Read the master keys that there are by now."""
    rows = await session.execute(select(col(MasterKeyRow.id), col(MasterKeyRow.sealed)))
    register.learn({row.id: row.sealed for row in rows if row.sealed is not None})


async def rotate(database: Database, register: Register, audit: Audit, by: Caller) -> int | None:
    """Make a new master key and wrap every key anew; how many, or None while somebody else is about it.

    Each batch is a transaction. When this ends in the middle, both master keys stay usable, and the next rotation takes all keys
    along: nothing has to be undone. A master key under which nothing is wrapped any more is deleted. Who began is
    recorded with the new key, however far this comes.
    """
    async with database.alone("rotation of keys") as connection:
        if connection is None:
            return None
        master = await database.run(lambda session: _new_master(session, register, audit, by))
        wrapped = 0

        async def wrap_more() -> int:
            # Keeps the place, and raises once it is lost: two rotations would wrap each other's keys for ever.
            await connection.execute(text("SELECT 1"))
            return await database.run(lambda session: _wrap_some(session, register, master))

        while True:
            while done := await wrap_more():
                wrapped += done
            try:
                await database.run(lambda session: _delete_others(session, master))
            except IntegrityError:  # an event had just made a key under the old one
                continue
            return wrapped


async def _newest(session: AsyncSession) -> int:
    newest = select(col(MasterKeyRow.id)).order_by(col(MasterKeyRow.id).desc()).limit(1)
    found = (await session.execute(newest)).scalar_one_or_none()
    if found is None:
        await session.execute(
            text("INSERT INTO master_keys (id, made) VALUES (:id, now()) ON CONFLICT DO NOTHING"), {"id": FIRST_MASTER}
        )
    return found or FIRST_MASTER


async def _new_master(session: AsyncSession, register: Register, audit: Audit, by: Caller) -> int:
    master = await _newest(session) + 1
    await session.execute(
        text("INSERT INTO master_keys (id, sealed, made) VALUES (:id, :sealed, now())"),
        {"id": master, "sealed": register.new_master(master)},
    )
    await learn(session, register)
    await audit.record(session, Act(by, "keys.rotated", str(master)))
    return master


async def _wrap_some(session: AsyncSession, register: Register, master: int) -> int:
    rows = (
        await session.execute(
            text("SELECT owner, sealed FROM register_keys WHERE master <> :master LIMIT :batch FOR UPDATE"),
            {"master": master, "batch": BATCH},
        )
    ).all()
    await session.execute(
        text(
            """
            UPDATE register_keys SET master = :master, sealed = said.sealed
            FROM unnest(CAST(:owners AS text[]), CAST(:sealed AS bytea[])) AS said (owner, sealed)
            WHERE register_keys.owner = said.owner
            """
        ),
        {
            "master": master,
            "owners": [row.owner for row in rows],
            "sealed": [register.wrap_anew(row.sealed, row.owner, master) for row in rows],
        },
    )
    return len(rows)


async def _delete_others(session: AsyncSession, master: int) -> None:
    """The first one is made from the secret, and there as long as that is."""
    await session.execute(
        text("DELETE FROM master_keys WHERE id NOT IN (:first, :master)"), {"first": FIRST_MASTER, "master": master}
    )
