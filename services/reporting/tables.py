"""Reporting's tables: the newest fact of each thing, the cube and its changes, who may ask, and how far the streams are heard."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from shared import audit, deadletters, offices, outbox, sessions

NAMES = {
    "pk": "%(table_name)s_pkey",
    "ix": "%(table_name)s_%(column_0_name)s_idx",
}


class Base(SQLModel, registry=registry(metadata=MetaData(naming_convention=NAMES))):
    """Reporting's own tables, apart from the other services' in one process."""


class _Held(SQLModel):
    """What is held of a thing: the data of its newest fact, and which one that is.

    ``position`` is the fact's place in its stream, ``time`` when its service recorded it, ``cause`` the event behind it.
    """

    position: int = Field(sa_type=BigInteger)
    time: datetime = Field(sa_type=DateTime(timezone=True))
    cause: str | None = Field(default=None, sa_type=Text)
    epoch: int = Field(sa_type=BigInteger)
    revision: int = Field(sa_type=BigInteger)
    data: dict[str, Any] = Field(sa_type=JSONB)


class _Counted(_Held):
    """The same of a thing that is counted; ``step`` is the cube's first step in which the fact was known."""

    step: int = Field(sa_type=BigInteger)


class Cohort(_Counted, Base, table=True):
    __tablename__ = "cohorts"
    __table_args__ = (Index("cohorts_starts_on_idx", text("(data ->> 'starts_on') DESC"), text("cohort DESC")),)

    cohort: str = Field(primary_key=True, sa_type=Text)


class Enrolment(_Counted, Base, table=True):
    __tablename__ = "enrolments"

    enrolment: str = Field(primary_key=True, sa_type=Text)
    cohort: str = Field(index=True, sa_type=Text)
    person: str = Field(index=True, sa_type=Text)


class Certificate(_Counted, Base, table=True):
    __tablename__ = "certificates"

    certificate: str = Field(primary_key=True, sa_type=Text)
    enrolment: str = Field(index=True, sa_type=Text)


class PastFact(Base, table=True):
    """A fact in whose place a newer one of the same thing has come: what was held once."""

    __tablename__ = "past_facts"

    kind: str = Field(primary_key=True, sa_type=Text)
    key: str = Field(primary_key=True, sa_type=Text)
    epoch: int = Field(primary_key=True, sa_type=BigInteger)
    revision: int = Field(primary_key=True, sa_type=BigInteger)
    position: int = Field(sa_type=BigInteger)
    time: datetime = Field(sa_type=DateTime(timezone=True))
    cause: str | None = Field(default=None, sa_type=Text)
    data: dict[str, Any] = Field(sa_type=JSONB)
    step: int = Field(sa_type=BigInteger)


class Registered(_Held, Base, table=True):
    """A programme, a centre or a scheme: nothing is counted from it, and every code has its titles from here."""

    __tablename__ = "registered"

    kind: str = Field(primary_key=True, sa_type=Text)
    key: str = Field(primary_key=True, sa_type=Text)


class Publication(Base, table=True):
    """Whether figures are published, and by which threshold: one row, or none while nobody has said."""

    __tablename__ = "publication"

    id: int = Field(primary_key=True, sa_type=SmallInteger, sa_column_kwargs={"autoincrement": False})
    on: bool
    threshold: int = Field(sa_type=SmallInteger)


class ReleasedException(Base, table=True):
    """A figure that is public already, who said so, and why."""

    __tablename__ = "released_exceptions"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    programme: str = Field(sa_type=Text)
    table: str = Field(sa_type=Text)
    row: str | None = Field(default=None, sa_type=Text)
    measure: str = Field(sa_type=Text)
    value: int = Field(sa_type=BigInteger)
    reason: str = Field(sa_type=Text)
    made: datetime = Field(sa_type=DateTime(timezone=True))
    made_by: str = Field(sa_type=Text)


class Release(Base, table=True):
    """A version of the public tables: as anybody reads them, and the figures from which they were made, which nobody does."""

    __tablename__ = "releases"

    version: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    released: date = Field(sa_type=Date, unique=True)
    threshold: int = Field(sa_type=SmallInteger)
    position: dict[str, int] = Field(sa_type=JSONB)
    tables: dict[str, Any] = Field(sa_type=JSONB)
    kept: dict[str, Any] = Field(sa_type=JSONB)
    kept_back: list[str] = Field(sa_type=JSONB)


class _Placed(SQLModel):
    """A measure, and its place in every dimension."""

    measure: str = Field(sa_type=Text)
    programme: str = Field(sa_type=Text)
    country: str = Field(sa_type=Text)
    host_country: str = Field(sa_type=Text)
    sending_centre: str = Field(sa_type=Text)
    host_centre: str = Field(sa_type=Text)
    cohort: str = Field(sa_type=Text)
    trade: str = Field(sa_type=Text)
    mode: str = Field(sa_type=Text)
    scheme: str = Field(sa_type=Text)
    occupation: str = Field(sa_type=Text)
    level: str = Field(sa_type=Text)
    sex: str = Field(sa_type=Text)
    role: str = Field(sa_type=Text)
    age_band: str = Field(sa_type=Text)
    disability: str = Field(sa_type=Text)
    outcome: str = Field(sa_type=Text)
    months_after: str = Field(sa_type=Text)
    month: str = Field(sa_type=Text)
    start_month: str = Field(sa_type=Text)
    end_month: str = Field(sa_type=Text)


class CubeCell(_Placed, Base, table=True):
    """One cell, also one that came back to 0. ``key`` is a hash of all its other columns but ``value``."""

    __tablename__ = "cube"
    # Room for new values beside the old ones: only `value` changes, and no index holds it.
    __table_args__ = (
        Index("cube_measure_cohort_idx", "measure", "cohort"),
        {"postgresql_with": {"fillfactor": "80"}},
    )

    key: bytes = Field(primary_key=True, sa_type=LargeBinary)
    value: int = Field(sa_type=BigInteger)


class CoarseCell(_Placed, Base, table=True):
    """One cell of a coarser cube: `_T` in what the cube is not by. ``grain`` is the cube's number."""

    __tablename__ = "coarse_cubes"
    __table_args__ = (
        Index("coarse_cubes_months_idx", "grain", "measure", "month", "end_month"),
        {"postgresql_with": {"fillfactor": "80"}},
    )

    grain: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    key: bytes = Field(primary_key=True, sa_type=LargeBinary)
    value: int = Field(sa_type=BigInteger)


class TailCell(_Placed, Base, table=True):
    """A change of the cube that is not yet in the coarser ones."""

    __tablename__ = "cube_tail"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    delta: int = Field(sa_type=BigInteger)


class CubeVersion(Base, table=True):
    """How often the cube has changed, or what is told with it: one row. A replayed dead letter does at a position that stays."""

    __tablename__ = "cube_version"

    id: int = Field(primary_key=True, sa_type=SmallInteger, sa_column_kwargs={"autoincrement": False})
    number: int = Field(sa_type=BigInteger)
    time: datetime = Field(sa_type=DateTime(timezone=True))
    """When the newest fact was recorded that has changed it, or when it was put right, if that was later."""


class CubeStep(Base, table=True):
    """One change of the cube: the position in both streams after it, and when the newest fact up to it was recorded, or the
    cube was put right, if that was later."""

    __tablename__ = "cube_steps"

    step: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    time: datetime = Field(index=True, sa_type=DateTime(timezone=True))
    enrolment: int = Field(index=True, sa_type=BigInteger)
    certification: int = Field(index=True, sa_type=BigInteger)
    why: str | None = Field(default=None, sa_type=Text)
    """Where it was not a fact that changed it."""


class CubeChange(Base, table=True):
    """What a step added to a cell or took from it."""

    __tablename__ = "cube_changes"

    step: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    key: bytes = Field(primary_key=True, sa_type=LargeBinary)
    delta: int = Field(sa_type=BigInteger)


class PeriodVersion(Base, table=True):
    """A version of a period's report: written once, and never changed."""

    __tablename__ = "period_versions"

    id: str = Field(primary_key=True, sa_type=Text)
    """<programme>.<period>"""
    version: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    made: datetime = Field(sa_type=DateTime(timezone=True))
    by: str = Field(sa_type=Text)
    reason: str | None = Field(default=None, sa_type=Text)
    position: dict[str, int] = Field(sa_type=JSONB)
    step: int | None = Field(default=None, sa_type=BigInteger)
    """The cube's last step in it: a dead letter that is replayed is a later one, perhaps at the same position. None of old."""
    rules: int = Field(sa_type=Integer)
    digest: str = Field(sa_type=Text)
    figures: dict[str, Any] = Field(sa_type=JSONB)
    restated: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))


class Remaking(Base, table=True):
    """How the last rebuild stands: one row, if ever one was asked for."""

    __tablename__ = "remakings"

    id: int = Field(primary_key=True, sa_type=SmallInteger, sa_column_kwargs={"autoincrement": False})
    state: dict[str, Any] = Field(sa_type=JSONB)


class RebuildRow(Base, table=True):
    """The position in a stream up to which it is heard again after an update that emptied the read side."""

    __tablename__ = "rebuilds"

    stream: str = Field(primary_key=True, sa_type=Text)
    until: int = Field(sa_type=BigInteger)


class Office(offices.OfficeRow, Base, table=True):
    __tablename__ = "offices"


class Token(offices.TokenRow, Base, table=True):
    __tablename__ = "tokens"


class Session(sessions.SessionRow, Base, table=True):
    __tablename__ = "sessions"


class Heard(outbox.Heard, Base, table=True):
    pass


class NoticeRow(outbox.NoticeRow, Base, table=True):
    pass


class DeadLetterRow(deadletters.DeadLetterRow, Base, table=True):
    pass


class AuditRow(audit.AuditRow, Base, table=True):
    pass


class AuditHead(audit.AuditHead, Base, table=True):
    pass
