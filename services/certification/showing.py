"""Tables to what anybody may see of a certificate: its standing today, and what is attested. No name is among it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, Literal

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.events.certification import CertificateFact, SchemeFact
from shared.events.offices_to_certification import Level, Occupation
from shared.vc import moments

PUBLIC_ID: Final = "[a-z2-7]{26}"
"""128 bits in base32: nobody guesses one."""
NUMBERS_LIMIT: Final = 20
"""How many certificates with one number are looked at: numbers are a body's own, and there are several bodies."""

Word = Literal["valid", "suspended", "revoked", "superseded", "expired", "void"]


@dataclass(frozen=True, slots=True)
class Course:
    """The cohort's course, as enrolment told of it."""

    titles: Mapping[str, str]
    starts_on: date
    ends_on: date
    host: Mapping[str, str]
    """The host centre's names; its code while none is known."""

    host_country: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One certificate as it stands for everybody."""

    fact: CertificateFact
    scheme: SchemeFact
    public_id: str
    status: Word
    since: date | None
    """The day from which it stands like this, as the awarding body said it, or its last day once it has expired."""
    changed: datetime
    """When this became public."""
    named: bool
    """Whether its document names the holder."""
    former: bytes = field(default=b"", repr=False)
    """Digests of the names that its documents said before; only of what was asked for by its number."""
    sealed: bytes | None = field(default=None, repr=False)
    """The document as it is served; only of what was asked for by its number."""
    course: Course | None = None

    @property
    def look_up(self) -> str | None:
        """Where the awarding body itself can be asked."""
        return self.scheme.lookup_url

    @property
    def occupation(self) -> Occupation:
        return next(
            (one for one in self.scheme.occupations if one.occupation == self.fact.occupation),
            Occupation(occupation=self.fact.occupation, titles={"en": self.fact.occupation}),
        )

    @property
    def level(self) -> Level:
        return next(
            (one for one in self.scheme.levels if one.level == self.fact.level),
            Level(level=self.fact.level, titles={"en": self.fact.level}),
        )


async def by_public_id(session: AsyncSession, public_id: str, now: datetime) -> Shown | None:
    """The certificate with this id in its address; None also for one that is not public (yet)."""
    return next(iter(await _shown(session, "attestations.public_id = :value", public_id, now)), None)


async def by_certificate(session: AsyncSession, certificate: str, now: datetime) -> Shown | None:
    """The certificate with this id of ours; None also for one that is not public (yet)."""
    return next(iter(await _shown(session, "certificate = :value", certificate, now)), None)


async def by_number(session: AsyncSession, number: str, now: datetime) -> list[Shown]:
    """The public certificates with an awarding body's number, those that are live first, with what a name is compared with."""
    where = "certificates.data ->> 'number' IN (:value, upper(:value))"
    return await _shown(session, where, number, now, ", former, sealed")


@dataclass(frozen=True, slots=True)
class Proved:
    """Where the log holds the newest standing of a certificate, and the log's head as it is signed."""

    place: int
    size: int
    root: str


async def proved(session: AsyncSession, public_id: str) -> Proved | None:
    """None while the log has nothing of it."""
    rows = await session.execute(
        text(
            """
            SELECT max(place) AS place, size, checkpoint FROM log_leaves, log_head WHERE public_id = :public_id
            GROUP BY size, checkpoint
            """
        ),
        {"public_id": public_id},
    )
    row = rows.one_or_none()
    # A checkpoint's lines: the log's name, its size, its root (C2SP tlog-checkpoint).
    return Proved(row.place, row.size, row.checkpoint.split("\n")[2]) if row else None


async def _shown(session: AsyncSession, where: str, value: str, now: datetime, more: str = "") -> list[Shown]:
    rows = await session.execute(
        text(
            f"""
            SELECT certificates.data AS fact, schemes.data AS scheme, about, names AS host, public_id,
                attestations.status, since, changed, named{more}
            FROM attestations JOIN certificates USING (certificate) JOIN schemes USING (scheme)
            LEFT JOIN cohorts USING (cohort)
            LEFT JOIN centres ON centre = about ->> 'host_centre' AND NOT centres.void
            WHERE {where} AND attestations.status <> 'prepared' ORDER BY live DESC, changed DESC LIMIT {NUMBERS_LIMIT}
            """  # noqa: S608 - constants of this module
        ),
        {"value": value},
    )
    return [_read(row, now) for row in rows.mappings()]


def _read(row: RowMapping, now: datetime) -> Shown:
    fact = CertificateFact.model_validate(row["fact"])
    status, since = row["status"], row["since"]
    # The last day ends when the document says so, whoever looks at which: days of a credential are days of UTC.
    if status == "valid" and fact.valid_until is not None and now > moments.end_of(fact.valid_until):
        status, since = "expired", fact.valid_until
    return Shown(
        fact=fact,
        scheme=SchemeFact.model_validate(row["scheme"]),
        public_id=row["public_id"],
        status=status,
        since=since,
        changed=row["changed"],
        named=row["named"],
        former=row.get("former", b""),
        sealed=row.get("sealed"),
        course=_course(row["about"] or {}, row["host"]),
    )


def _course(about: Mapping[str, Any], host: Mapping[str, str] | None) -> Course | None:
    if not {"titles", "starts_on", "ends_on"} <= about.keys():
        return None
    return Course(
        about["titles"],
        date.fromisoformat(about["starts_on"]),
        date.fromisoformat(about["ends_on"]),
        host or {"en": about["host_centre"]},
        about["host_country"],
    )
