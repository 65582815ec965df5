"""What is public, compared with what was decided, with the log, with the lists that are served and with the documents."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidTag
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.certification.holders import CERTIFICATION, Holder, Holders
from services.certification.log import Log
from services.certification.places import set_places
from services.certification.planning import CLOSED
from services.certification.signing import places_of, unpacked
from services.certification.standings import LIVE, Standing, wanted
from shared.checking import Findings
from shared.events.certification import CertificateFact

BATCH = 500
"""Enrolments at a time."""


class Attested:
    """Compares; knows whom to ask for what opens documents."""

    def __init__(self, holders: Holders, log: Log) -> None:
        self._holders = holders
        self._log = log

    async def compare(self, session: AsyncSession, findings: Findings) -> None:
        """All of it, in a session that sees one snapshot. What the issuer has still to look at is no difference."""
        async for rows in _rows(session):
            findings.compared("attestations", len(rows))
            _compare_standings(findings, rows)
            await self._compare_documents(findings, [row for row in rows if row["sealed"] is not None])
        await _compare_lists(session, findings)
        async for where, problem in self._log.verify(session):
            findings.differs("log", where, problem)
        strays = await session.execute(text(_NOT_AS_LOGGED))
        for row in strays:
            findings.differs("attestation", row.certificate, "is not what the log says of it last")

    async def _compare_documents(self, findings: Findings, rows: Sequence[Mapping[str, Any]]) -> None:
        """Opened as they are served; not while enrolment does not answer, which is no difference."""
        try:
            holders = await self._holders.ask({row["enrolment"] for row in rows}, CERTIFICATION)
        except ConnectionError:
            return
        there = [row for row in rows if holders[row["enrolment"]].status == "known"]
        findings.compared("documents", len(there))
        for row in there:
            if _digest(row, holders[row["enrolment"]]) != row["digest"]:
                findings.differs("document", row["certificate"], "is not what was signed and logged")


def _compare_standings(findings: Findings, rows: Sequence[Mapping[str, Any]]) -> None:
    awards: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        data = row["data"]
        awards.setdefault((row["enrolment"], data["scheme"], data["occupation"], data["level"]), []).append(row)
    for editions in awards.values():
        if any(row["due"] for row in editions):
            continue
        facts = [CertificateFact.model_validate(row["data"]) for row in editions]
        public = {row["certificate"] for row in editions if row["status"] not in (None, "prepared")}
        forgotten = any(row["holder"] == CLOSED for row in editions)
        targets = wanted(facts, public, (), forgotten=forgotten)
        for row in editions:
            if row["certificate"] not in public:
                continue
            if Standing(row["status"], row["since"]) != targets[row["certificate"]]:
                decided = targets[row["certificate"]].status
                findings.differs("attestation", row["certificate"], f"is {row['status']}, but {decided} was decided")
            if row["live"] != (row["status"] in LIVE):
                findings.differs("attestation", row["certificate"], "is live and should not be, or the other way round")


def _digest(row: Mapping[str, Any], holder: Holder) -> bytes | None:
    try:
        return unpacked(holder.unseal(row["sealed"], row["public_id"])).digest
    except (InvalidTag, ValueError, TypeError):
        return None


async def _compare_lists(session: AsyncSession, findings: Findings) -> None:
    """What is served, if it is of the version that there is: an older one is signed anew before it is."""
    rows = (await session.execute(text("SELECT * FROM status_lists ORDER BY list"))).mappings().all()
    findings.compared("status lists", len(rows))
    for row in rows:
        if (
            row["signed_version"] == row["version"]
            and places_of(row["document"]) != (await set_places(session, row["list"])).keys()
        ):
            findings.differs("status list", str(row["list"]), "has other bits than its attestations give")
        taken = text("SELECT count(*) FROM attestations WHERE list = :list")
        number = (await session.execute(taken, {"list": row["list"]})).scalar_one()
        if number > row["taken"]:
            findings.differs("status list", str(row["list"]), "has more attestations than places were given out")


async def _rows(session: AsyncSession) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
    """Certificates with what is public of them, whole enrolments at a time."""
    after = ""
    while True:
        some = await session.execute(
            text(
                """
                SELECT DISTINCT enrolment FROM attestations JOIN certificates USING (certificate)
                WHERE enrolment > :after ORDER BY enrolment LIMIT :limit
                """
            ),
            {"after": after, "limit": BATCH},
        )
        enrolments = list(some.scalars())
        if not enrolments:
            return
        after = enrolments[-1]
        rows = await session.execute(
            text(
                """
                SELECT certificate, enrolment, data, due, public_id, attestations.status, since, live, digest,
                    sealed, holder
                FROM certificates LEFT JOIN attestations USING (certificate) WHERE enrolment = ANY(:enrolments)
                """
            ),
            {"enrolments": enrolments},
        )
        yield [dict(row) for row in rows.mappings()]


_NOT_AS_LOGGED = """
    SELECT attestations.certificate FROM attestations LEFT JOIN LATERAL (
        SELECT * FROM log_leaves WHERE log_leaves.public_id = attestations.public_id ORDER BY place DESC LIMIT 1
    ) AS last ON true
    WHERE attestations.status <> 'prepared' AND (last.status, last.since, last.digest)
        IS DISTINCT FROM (attestations.status, attestations.since, encode(attestations.digest, 'hex'))
"""
