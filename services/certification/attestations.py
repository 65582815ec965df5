"""What is public of certificates follows what was decided: the moves of attestations, each of them one transaction.

Prepared, then a draft that is signed, then the draft confirmed, then public: a crash between any two leaves what is public as it
was, and the next look goes on from there. In the transaction that makes a replacement public the edition before it becomes
superseded, the lists in which bits change are marked, and the log gets its leaves; a standing that needs no document changes at
once.
"""

import json
import secrets
from base64 import b32encode
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.certification.log import Entry
from services.certification.places import free_places
from services.certification.planning import CLOSED, Award, Complete, Describe, Plan, Row, Wish
from services.certification.standings import LIVE, Standing
from services.certification.tables import AttestationRow, DraftRow
from shared.checkpoints import Statement
from shared.database import write
from shared.events.certification import CertificateFact

SALT_BYTES: Final = 32
PUBLIC_ID_BYTES: Final = 16

Append = Callable[[AsyncSession, Sequence[Entry], datetime], Awaitable[None]]
"""Puts leaves at the end of the log, in the transaction of what they say."""


class Signed(NamedTuple):
    """A signed document on its way to the database."""

    certificate: str
    key: int
    digest: bytes
    content: bytes
    holder: bytes
    named: bool
    former: bytes
    sealed: bytes
    signed: datetime


@dataclass(frozen=True, slots=True)
class Settled:
    """What is left to do of some awards before all that should be public of them is, and how many moved."""

    to_sign: Sequence[Wish]
    to_confirm: Sequence[str]
    issued: int
    changed: int


async def due(session: AsyncSession, after: str, limit: int) -> list[str]:
    """Enrolments whose certificates the issuer has to look at, in order."""
    rows = await session.execute(
        text(
            "SELECT DISTINCT enrolment FROM certificates WHERE due AND enrolment > :after ORDER BY enrolment LIMIT :limit"
        ),
        {"after": after, "limit": limit},
    )
    return list(rows.scalars())


async def moved(session: AsyncSession, limit: int) -> list[str]:
    """Enrolments with a certificate whose public standing is behind, and can follow at once."""
    rows = await session.execute(
        text(
            f"""
            SELECT DISTINCT enrolment FROM certificates LEFT JOIN attestations USING (certificate)
            WHERE due AND ({_BEHIND} OR {_STOOD_FOR}) LIMIT :limit
            """  # noqa: S608 - constants of this module
        ),
        {"limit": limit},
    )
    return list(rows.scalars())


_DECIDED: Final = """
    CASE certificates.status WHEN 'issued' THEN 'valid' WHEN 'suspended' THEN 'suspended' WHEN 'revoked' THEN 'revoked'
        ELSE 'void' END
"""
_BEHIND: Final = f"""
    certificates.status <> 'superseded' AND attestations.status NOT IN ('prepared', {_DECIDED})
"""
"""Of a certificate and its attestation: what is public is not what was decided."""
_STOOD_FOR: Final = f"""
    COALESCE(attestations.status, 'prepared') = 'prepared' AND certificates.data ->> 'edition' <> '1'
    AND certificates.status IN ('issued', 'suspended', 'revoked') AND EXISTS (
        SELECT FROM certificates AS replaced JOIN attestations AS public USING (certificate)
        WHERE replaced.enrolment = certificates.enrolment AND replaced.status = 'superseded'
        AND (replaced.scheme, replaced.data ->> 'occupation', replaced.data ->> 'level')
            = (certificates.scheme, certificates.data ->> 'occupation', certificates.data ->> 'level')
        AND CAST(replaced.data ->> 'edition' AS int) < CAST(certificates.data ->> 'edition' AS int)
        AND public.status NOT IN ('prepared', 'superseded', {_DECIDED})
    )
"""
"""The same of one that is not public yet: what stands for it in public, which it replaced, does not stand as it does."""


async def hold(session: AsyncSession, enrolments: Sequence[str]) -> list[str]:
    """Keep the certificates of these for this transaction. What documents say is read after it: whoever changes that has them
    looked at again, and waits until what was read before is settled.
    """
    asked = text(
        "SELECT certificate FROM certificates WHERE enrolment = ANY(:enrolments) ORDER BY certificate FOR UPDATE"
    )
    held: list[str] | None = None
    # Whoever was waited for may have made another edition, which that statement did not see.
    while (there := list((await session.execute(asked, {"enrolments": list(enrolments)})).scalars())) != held:
        held = there
    return held


async def settle(
    session: AsyncSession,
    held: Sequence[str],
    describe: Describe,
    complete: Complete,
    append: Append,
    now: datetime,
) -> Settled:
    """Of those that are ``held``, make public what can be, and say what has to be signed or confirmed before the rest can."""
    awards = await _awards(session, held)
    certificates = [fact.certificate for award in awards for fact in award.editions]
    rows = await _rows(session, certificates)
    drafts = await _drafts(session, certificates)
    plan = Plan(rows, drafts, await _given_up(session), describe, complete)
    for award in awards:
        plan.add(award)
    await _withdraw(session, plan.withdraw)
    entries = await _publish(session, plan, now)
    prepared = await _prepare(session, plan.prepare, now)
    await session.execute(
        text("UPDATE certificates SET due = false WHERE certificate = ANY(:done)"), {"done": plan.done}
    )
    await append(session, entries, now)  # the last: it holds the log's lock until the end
    return Settled([*plan.sign, *prepared], plan.confirm, len(plan.issue), len(plan.change))


# ---- reading


async def _awards(session: AsyncSession, held: Sequence[str]) -> list[Award]:
    rows = await session.execute(
        text("SELECT data, due FROM certificates WHERE certificate = ANY(:held) ORDER BY certificate"),
        {"held": list(held)},
    )
    awards: dict[tuple[str, ...], Award] = {}
    for row in rows:
        fact = CertificateFact.model_validate(row.data)
        award = awards.setdefault((fact.enrolment, fact.scheme, fact.occupation, fact.level), Award())
        award.editions.append(fact)
        award.due = award.due or row.due
    return list(awards.values())


async def _rows(session: AsyncSession, certificates: Sequence[str]) -> dict[str, Row]:
    rows = await session.execute(
        text(
            """
            SELECT certificate, public_id, salt, list, place, status, since, live, changed, issued, key, digest, content, holder
            FROM attestations WHERE certificate = ANY(:certificates)
            """
        ),
        {"certificates": list(certificates)},
    )
    return {row["certificate"]: dict(row) for row in rows.mappings()}


async def _drafts(session: AsyncSession, certificates: Sequence[str]) -> dict[str, Row]:
    rows = await session.execute(
        text(
            """
            SELECT certificate, key, digest, content, confirmed FROM attestation_drafts
            WHERE certificate = ANY(:certificates)
            """
        ),
        {"certificates": list(certificates)},
    )
    return {row["certificate"]: dict(row) for row in rows.mappings()}


async def _given_up(session: AsyncSession) -> set[int]:
    return set((await session.execute(text("SELECT id FROM issuer_keys WHERE compromised IS NOT NULL"))).scalars())


# ---- preparing, and taking back what was never public


async def _prepare(session: AsyncSession, wanted: Sequence[tuple[CertificateFact, bytes]], now: datetime) -> list[Wish]:
    if not wanted:
        return []
    places = await free_places(session, len(wanted))
    wishes, lines = [], []
    for (fact, content), (number, place) in zip(wanted, places, strict=True):
        public_id = new_public_id()
        wishes.append(Wish(fact, public_id, number, place, content, public=False))
        lines.append(
            {
                "certificate": fact.certificate,
                "public_id": public_id,
                "salt": secrets.token_bytes(SALT_BYTES),
                "list": number,
                "place": place,
                "status": "prepared",
                "live": False,
                "changed": now,
                "named": False,
            }
        )
    await write(session, AttestationRow, lines)
    return wishes


def new_public_id() -> str:
    """128 random bits in 26 small letters and digits."""
    return b32encode(secrets.token_bytes(PUBLIC_ID_BYTES)).decode().rstrip("=").lower()


async def _withdraw(session: AsyncSession, certificates: Sequence[str]) -> None:
    """Of these nothing was ever public, and nothing is to be."""
    await session.execute(
        text("DELETE FROM attestations WHERE certificate = ANY(:certificates) AND status = 'prepared'"),
        {"certificates": list(certificates)},
    )


# ---- documents on their way


async def keep_drafts(session: AsyncSession, signed: Sequence[Signed]) -> None:
    """Store signed documents where nobody is served them. What was withdrawn meanwhile is left out."""
    rows = await session.execute(
        text("SELECT certificate FROM attestations WHERE certificate = ANY(:certificates) FOR UPDATE"),
        {"certificates": [one.certificate for one in signed]},
    )
    there = set(rows.scalars())
    lines = [{**one._asdict(), "confirmed": False} for one in signed if one.certificate in there]
    await write(session, DraftRow, lines, [*Signed._fields[1:], "confirmed"])


async def read_drafts(session: AsyncSession, certificates: Sequence[str]) -> list[dict[str, Any]]:
    """Drafts as they were stored, with what opens them."""
    rows = await session.execute(
        text(
            """
            SELECT drafts.*, public_id, enrolment, public FROM attestation_drafts AS drafts
            JOIN attestations USING (certificate) JOIN certificates USING (certificate)
            JOIN issuer_keys ON issuer_keys.id = drafts.key
            WHERE certificate = ANY(:certificates)
            """
        ),
        {"certificates": list(certificates)},
    )
    return [dict(row) for row in rows.mappings()]


async def confirm(session: AsyncSession, good: Mapping[str, bytes], bad: Iterable[str]) -> None:
    """Mark drafts that were read back and found good, by their digests; throw away those that were not."""
    await session.execute(
        text(
            """
            UPDATE attestation_drafts SET confirmed = true
            FROM unnest(CAST(:certificates AS text[]), CAST(:digests AS bytea[])) AS good (certificate, digest)
            WHERE (attestation_drafts.certificate, attestation_drafts.digest) = (good.certificate, good.digest)
            """
        ),
        {"certificates": list(good), "digests": list(good.values())},
    )
    await session.execute(text("DELETE FROM attestation_drafts WHERE certificate = ANY(:bad)"), {"bad": sorted(bad)})


async def nobody_to_name(session: AsyncSession, enrolments: Sequence[str]) -> None:
    """Their persons are forgotten: what was never public never is, and what was is closed for good. Standing and log stay.

    What is public is still due: its standing may be behind, and what superseded it never comes.
    """
    rows = await session.execute(
        text("SELECT certificate FROM certificates WHERE enrolment = ANY(:enrolments) ORDER BY certificate FOR UPDATE"),
        {"enrolments": list(enrolments)},
    )
    certificates = list(rows.scalars())
    await session.execute(
        text(
            """
            UPDATE certificates SET due = false WHERE certificate = ANY(:certificates) AND NOT EXISTS (
                SELECT FROM attestations AS public
                WHERE public.certificate = certificates.certificate AND public.status <> 'prepared'
            )
            """
        ),
        {"certificates": certificates},
    )
    await _withdraw(session, certificates)
    await session.execute(
        text(
            """
            UPDATE attestations SET holder = :closed, sealed = NULL, named = false, former = ''
            WHERE certificate = ANY(:certificates)
            """
        ),
        {"certificates": certificates, "closed": CLOSED},
    )
    await session.execute(
        text("DELETE FROM attestation_drafts WHERE certificate = ANY(:certificates)"), {"certificates": certificates}
    )


async def served(session: AsyncSession, certificates: Sequence[str]) -> dict[str, Row]:
    """Documents that name their holder, as they are stored now: what takes their place may say another name."""
    rows = await session.execute(
        text(
            """
            SELECT certificate, public_id, sealed, former FROM attestations
            WHERE certificate = ANY(:certificates) AND named AND sealed IS NOT NULL
            """
        ),
        {"certificates": list(certificates)},
    )
    return {row["certificate"]: dict(row) for row in rows.mappings()}


async def sign_anew(session: AsyncSession, certificates: Sequence[str]) -> None:
    """Have the documents of these signed anew with the names that enrolment gives by now."""
    named = {"certificates": list(certificates)}
    # As the issuer does, certificates before what is public of them, in order: neither waits for the other for ever.
    await session.execute(
        text("SELECT FROM certificates WHERE certificate = ANY(:certificates) ORDER BY certificate FOR UPDATE"), named
    )
    await session.execute(
        text("UPDATE attestations SET holder = NULL WHERE certificate = ANY(:certificates) AND sealed IS NOT NULL"),
        named,
    )
    await session.execute(text("UPDATE certificates SET due = true WHERE certificate = ANY(:certificates)"), named)


# ---- becoming public


async def _publish(session: AsyncSession, plan: Plan, now: datetime) -> list[Entry]:
    """All of it at once: documents, standings, lists; what the log is to say of it."""
    fresh = [row for row, _ in plan.issue] + plan.anew
    digests = await _swap(session, [row["certificate"] for row in fresh])
    entries = [_entry("status", row, row["digest"], target) for row, target in plan.change]
    said = {row["certificate"]: target for row, target in (*plan.change, *plan.issue)}
    for row in fresh:
        target = said.get(row["certificate"]) or Standing(row["status"], row["since"])
        entries.append(_entry("issued", row, digests[row["certificate"]], target))
    # Whoever ceases to be live makes room for whoever becomes it.
    moves = [*plan.change, *plan.issue]
    await _move(session, [(row, target) for row, target in moves if target.status not in LIVE], now)
    await _move(session, [(row, target) for row, target in moves if target.status in LIVE], now)
    lists = {row["list"] for row, target in plan.change if row["status"] != target.status}
    await session.execute(
        text("UPDATE status_lists SET version = version + 1 WHERE list = ANY(:lists)"), {"lists": sorted(lists)}
    )
    return entries


async def _swap(session: AsyncSession, certificates: Sequence[str]) -> dict[str, bytes]:
    """Serve the confirmed drafts of these from now on; their digests."""
    rows = await session.execute(
        text(
            """
            WITH served AS (
                DELETE FROM attestation_drafts WHERE certificate = ANY(:certificates) AND confirmed RETURNING *
            )
            UPDATE attestations SET key = served.key, digest = served.digest, content = served.content,
                holder = served.holder, named = served.named, sealed = served.sealed, signed = served.signed,
                former = attestations.former || served.former
            FROM served WHERE attestations.certificate = served.certificate
            RETURNING attestations.certificate, attestations.digest
            """
        ),
        {"certificates": list(certificates)},
    )
    return {row.certificate: row.digest for row in rows}


async def _move(session: AsyncSession, moves: Sequence[tuple[Row, Standing]], now: datetime) -> None:
    if not moves:
        return
    lines = [
        {"certificate": row["certificate"], "status": to.status, "since": to.since, "live": to.status in LIVE}
        for row, to in moves
    ]
    await session.execute(
        text(
            """
            UPDATE attestations SET status = said.status, since = said.since, live = said.live, changed = :now,
                issued = COALESCE(issued, :now)
            FROM jsonb_to_recordset(CAST(:lines AS jsonb)) AS said (certificate text, status text, since date, live boolean)
            WHERE attestations.certificate = said.certificate
            """
        ),
        {"lines": json.dumps(lines, default=str), "now": now},
    )


def _entry(what: Literal["issued", "status"], row: Row, digest: bytes | None, to: Standing) -> Entry:
    said = Statement(row["certificate"], row["public_id"], (digest or b"").hex(), to.status, to.since)
    return Entry(what, said, row["salt"])


async def named_rows(session: AsyncSession, after: str, limit: int) -> list[dict[str, Any]]:
    """Attestations with a document, by certificate: whose it is, and what is known of the name in it."""
    rows = await session.execute(
        text(
            """
            SELECT certificate, enrolment, attestations.holder FROM attestations JOIN certificates USING (certificate)
            WHERE sealed IS NOT NULL AND attestations.holder IS NOT NULL AND certificate > :after
            ORDER BY certificate LIMIT :limit
            """
        ),
        {"after": after, "limit": limit},
    )
    return [dict(row) for row in rows.mappings()]
