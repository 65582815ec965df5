"""What reporting holds, compared with the facts that it heard, and the cube with a recount."""

import json
from collections.abc import Mapping

from sqlalchemy import Text, any_, cast, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.reporting import coarse, ledger, periods, projection, registered
from services.reporting.ledger import STREAMS
from services.reporting.projection import TABLES
from services.reporting.tables import Office, Token
from shared.bus import Bus
from shared.checking import (
    Findings,
    Told,
    as_read_now,
    compare_number,
    compare_offices,
    compare_rows,
    count,
    heard_facts,
)
from shared.events.facts import Version


async def check(session: AsyncSession, findings: Findings, bus: Bus) -> None:
    """Compare the rows with both streams as far as they are applied, and the cube with a recount of the rows.

    ``session`` must see one snapshot.
    """
    matched = dict.fromkeys([*TABLES, *registered.KINDS, "office"], 0)
    for stream in STREAMS:
        async for batch in heard_facts(session, bus, findings, stream):
            told: dict[str, dict[str, Told]] = {kind: {} for kind in matched}
            for delivery in batch:
                try:
                    fact = projection.read(delivery.body)
                except (ValueError, LookupError):
                    findings.differs("fact", f"{stream} {delivery.sequence}", "cannot be read: see the dead letters")
                    continue
                if fact.kind in told:
                    told[fact.kind][fact.key] = Told(fact.version, fact.data, delivery.sequence)
            matched["office"] += await compare_offices(session, findings, Office, Token, told.pop("office"))
            for kind, facts in told.items():
                there = await _held(session, kind, facts)
                # Most facts of a stream are not the last of their thing: of these only the version is compared.
                last = {key for key, one in facts.items() if key in there and there[key][0] == one.version}
                data = {
                    key: one._replace(data=one.data.model_dump(mode="json")) if key in last else one
                    for key, one in facts.items()
                }
                held = {
                    key: (version, as_read_now(type(facts[key].data), json.loads(row)) if key in last else None)
                    for key, (version, row) in there.items()
                }
                matched[kind] += compare_rows(findings, kind, data, held)
    for kind, (table, _) in TABLES.items():
        compare_number(findings, f"{kind}s", await count(session, table.__tablename__), matched[kind])
    compare_number(
        findings, "registered", await count(session, "registered"), sum(matched[kind] for kind in registered.KINDS)
    )
    compare_number(findings, "offices", await count(session, "offices"), matched["office"])
    cube = await projection.check(session)
    findings.compared("cells", cube.cells)
    for difference in cube.differences:
        cell = {name: value for name, value in difference.cell.items() if value != "_Z"}
        findings.differs("cell", json.dumps(cell), f"is {difference.cube}, and a recount gives {difference.recount}")
    findings.compared("changes", await count(session, "cube_changes"))
    for key, value, added in await ledger.unlike(session):
        findings.differs("changes", key.hex(), f"add up to {added}, and the cell is {value}")
    findings.compared("versions of periods", await count(session, "period_versions"))
    for which in await periods.unlike(session):
        findings.differs("version of a period", which, "is not what its digest was made of")
    findings.compared("coarser cells", await count(session, "coarse_cubes"))
    for problem in await coarse.unlike(session):
        findings.differs("coarser cell", "-", problem)


async def _held(session: AsyncSession, kind: str, told: Mapping[str, Told]) -> dict[str, tuple[Version, str]]:
    """The version and the data, as JSON, of what is held of these."""
    if kind in registered.KINDS:
        return await registered.held(session, kind, told)
    table, key = TABLES[kind]
    which = key == any_(literal(list(told), ARRAY(Text)))
    rows = await session.execute(
        select(key, col(table.epoch), col(table.revision), cast(col(table.data), Text)).where(which)
    )
    return {name: (Version(epoch, revision), data) for name, epoch, revision, data in rows}
