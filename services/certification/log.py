"""The transparency log: every issue and every change of status, in an order that nobody changes unnoticed.

Each leaf commits to what became public of one certificate, under the salt of its attestation. The tree's nodes are kept, so a
leaf costs a few hashes and a proof a few rows. Each append signs a new checkpoint with a key made from the service's secret: who
has the database alone can put no other tree in its place, and who has both is found out by any checkpoint that a partner kept.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.certification.tables import LogLeafRow
from shared import merkle
from shared.checkpoints import Checkpoint, LogKey, NotACheckpoint, Statement, leaf, opened, signed
from shared.database import write
from shared.evidence import LogEvidence, LoggedStanding, LoggedStatement, encoded
from shared.merkle import EMPTY, Node, covering, grown, leaf_hash, root_of
from shared.secrets import derive

_BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """What becomes public, and the salt under which the log commits to it (the attestation's own)."""

    what: Literal["issued", "status"]
    statement: Statement
    salt: bytes


class Log:
    """One installation's log."""

    def __init__(self, secret: bytes, host: str) -> None:
        """``secret`` is the service's own. The log is named for the public address' ``host`` as it is at its first leaf."""
        self._private = Ed25519PrivateKey.from_private_bytes(derive(secret, "transparency log"))
        self._origin = f"{host}/v1/log"

    async def append(self, session: AsyncSession, entries: Sequence[Entry], now: datetime) -> None:
        """Append in the transaction that makes the entries true.

        The log's lock is held until that transaction ends, so this comes after everything in it that takes time.
        """
        if not entries:
            return
        empty = signed(Checkpoint(self._origin, 0, EMPTY), self._private)
        # Made, or locked and read as it is once the lock is ours: an upsert sees what was committed while it waited.
        head = (
            await session.execute(
                text(
                    """
                    INSERT INTO log_head (id, origin, size, checkpoint) VALUES (1, :origin, 0, :empty)
                    ON CONFLICT (id) DO UPDATE SET id = 1 RETURNING origin, size
                    """
                ),
                {"origin": self._origin, "empty": empty},
            )
        ).one()
        rows, hashes = [], []
        for place, entry in enumerate(entries, head.size):
            content = leaf(entry.what, entry.statement.commitment(entry.salt), now)
            hashes.append(leaf_hash(content))
            rows.append(_row(place, content, entry))
        edge = await _nodes(session, covering(0, head.size))
        made = grown(head.size, edge, hashes)
        size = head.size + len(entries)
        checkpoint = Checkpoint(head.origin, size, root_of(size, edge | made))
        await write(session, LogLeafRow, rows)
        await session.execute(
            _ADD_NODES,
            {
                "levels": [node.level for node in made],
                "places": [node.place for node in made],
                "hashes": list(made.values()),
            },
        )
        await session.execute(
            text("UPDATE log_head SET size = :size, checkpoint = :checkpoint WHERE id = 1"),
            {"size": size, "checkpoint": signed(checkpoint, self._private)},
        )

    async def checkpoint(self, session: AsyncSession) -> str:
        """The newest checkpoint, as it was signed; one of an empty log while nothing was issued."""
        head = (await session.execute(text("SELECT checkpoint FROM log_head"))).scalar_one_or_none()
        return head or signed(Checkpoint(self._origin, 0, EMPTY), self._private)

    async def key(self, session: AsyncSession) -> LogKey:
        """What checkpoints are checked with."""
        origin = (await session.execute(text("SELECT origin FROM log_head"))).scalar_one_or_none()
        return LogKey(origin or self._origin, self._private.public_key().public_bytes_raw())

    async def size(self, session: AsyncSession) -> int:
        """How many leaves there are."""
        return (await session.execute(text("SELECT size FROM log_head"))).scalar_one_or_none() or 0

    async def inclusion(self, session: AsyncSession, place: int, size: int) -> list[bytes]:
        """What proves that a leaf is among the first ``size``. Raises ValueError when it is not."""
        path = merkle.inclusion(place, size)
        return merkle.proof(path, await _nodes(session, (node for part in path for node in part)))

    async def consistency(self, session: AsyncSession, first: int, second: int) -> list[bytes]:
        """What proves that the first ``second`` leaves begin with the first ``first``. Raises ValueError when they cannot."""
        path = merkle.consistency(first, second)
        return merkle.proof(path, await _nodes(session, (node for part in path for node in part)))

    async def leaves(self, session: AsyncSession, start: int, limit: int) -> list[str]:
        """The contents of leaves from a place on, as they were hashed."""
        rows = await session.execute(
            text("SELECT leaf FROM log_leaves WHERE place >= :start ORDER BY place LIMIT :limit"),
            {"start": start, "limit": limit},
        )
        return list(rows.scalars())

    async def evidence(self, session: AsyncSession, public_id: str) -> LogEvidence:
        """Every standing of one certificate and its way to the newest checkpoint; no standings when there are none."""
        checkpoint = await self.checkpoint(session)
        size = opened(checkpoint, await self.key(session)).size
        rows = await session.execute(
            text("SELECT * FROM log_leaves WHERE public_id = :public_id AND place < :size ORDER BY place"),
            {"public_id": public_id, "size": size},
        )
        found = rows.mappings().all()
        paths = {row["place"]: merkle.inclusion(row["place"], size) for row in found}
        nodes = await _nodes(session, {node for path in paths.values() for part in path for node in part})
        return LogEvidence(
            checkpoint=checkpoint,
            standings=[
                LoggedStanding(
                    place=row["place"],
                    leaf=row["leaf"],
                    standing=LoggedStatement(**asdict(_statement(row))),
                    salt=row["salt"].hex(),
                    proof=encoded(merkle.proof(paths[row["place"]], nodes)),
                )
                for row in found
            ],
        )

    async def verify(self, session: AsyncSession) -> AsyncIterator[tuple[str, str]]:
        """Every place at which the log is not as it was signed, and why; the session must see one snapshot."""
        size, edge = 0, dict[Node, bytes]()
        async for rows in _leaves(session):
            hashes: list[bytes] = []
            for row in rows:
                if row["place"] != size + len(hashes):
                    yield f"{size + len(hashes)}", "is missing"
                    return
                hashes.append(leaf_hash(row["leaf"].encode()))
                if f'"{_statement(row).commitment(row["salt"]).hex()}"' not in row["leaf"]:
                    yield f"{row['place']}", "does not commit to what is kept beside it"
            made = grown(size, edge, hashes)
            held = await _nodes(session, made)
            for node, value in made.items():
                if held.get(node) != value:
                    yield f"{node.place << node.level}", f"does not give the hash that is kept at level {node.level}"
                    break
            size += len(hashes)
            edge = {node: (made | edge)[node] for node in covering(0, size)}
        try:
            head = opened(await self.checkpoint(session), await self.key(session))
        except NotACheckpoint as wrong:
            yield "checkpoint", str(wrong)
            return
        if (head.size, head.root) != (size, root_of(size, edge)):
            yield "checkpoint", f"is of {head.size} leaves and another root than that of the {size} that are kept"


_ADD_NODES = text(
    """
    INSERT INTO log_nodes (level, place, hash)
    SELECT * FROM unnest(CAST(:levels AS int[]), CAST(:places AS bigint[]), CAST(:hashes AS bytea[]))
    """
)


async def _nodes(session: AsyncSession, nodes: Iterable[Node]) -> dict[Node, bytes]:
    asked = list(nodes)
    if not asked:
        return {}
    rows = await session.execute(
        text(
            """
            SELECT level, place, hash FROM log_nodes
            JOIN unnest(CAST(:levels AS int[]), CAST(:places AS bigint[])) AS asked (level, place) USING (level, place)
            """
        ),
        {"levels": [node.level for node in asked], "places": [node.place for node in asked]},
    )
    return {Node(row.level, row.place): row.hash for row in rows}


async def _leaves(session: AsyncSession) -> AsyncIterator[Sequence[Any]]:
    last = -1
    while True:
        found = await session.execute(
            text("SELECT * FROM log_leaves WHERE place > :last ORDER BY place LIMIT :limit"),
            {"last": last, "limit": _BATCH},
        )
        rows = found.mappings().all()
        if not rows:
            return
        yield rows
        last = rows[-1]["place"]


def _row(place: int, content: bytes, entry: Entry) -> dict[str, Any]:
    said = entry.statement
    return {
        "place": place,
        "leaf": content.decode(),
        "certificate": said.certificate,
        "public_id": said.public_id,
        "digest": said.digest,
        "status": said.status,
        "since": said.on,
        "salt": entry.salt,
    }


def _statement(row: Any) -> Statement:
    return Statement(row["certificate"], row["public_id"], row["digest"], row["status"], row["since"])
