"""Enrolment's tables: the journal of events, what is true by now, the register, the offices, and what the bus needs.

Personal details are in the columns named ``sealed`` and nowhere else.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from shared import audit, deadletters, keeping, ledger, offices, outbox, rejected, sessions

NAMES = {
    "pk": "%(table_name)s_pkey",
    "ix": "%(table_name)s_%(column_0_name)s_idx",
    "uq": "%(table_name)s_%(column_0_name)s_key",
}
UNSETTLED = "status <> 'accepted' OR code <> 'applied' OR target IS NOT NULL"
"""Events that the short way needs besides the stored state: what has not applied, what voids and replaces, and what was."""
OF_TWO = "type IN ('person.merged.v1', 'person.parted.v1')"
"""Events that decide about two persons: the only ones that need enrolments."""
NEEDING = "needs <> '{}'"
"""Events that need something of other units."""
AT_ONCE: Mapping[str, Any] = {"postgresql_using": "gin", "postgresql_with": {"fastupdate": "off"}}


class Base(SQLModel, registry=registry(metadata=MetaData(naming_convention=NAMES))):
    """Enrolment's own tables, apart from the other services' in one process."""


class EventRow(Base, table=True):
    """The journal: each event once, without its personal parts, and how it stands by now."""

    __tablename__ = "events"
    __table_args__ = (
        Index("events_unit_idx", "unit", "time"),
        Index("events_unsettled_idx", "unit", postgresql_where=text(UNSETTLED)),
        Index("events_target_idx", "source", "target", postgresql_where=text("target IS NOT NULL")),
        Index("events_waiting_idx", "code", postgresql_where=text("status = 'waiting'")),
        # Written at once: what is put off is gone through for each key that a question has.
        Index("events_needs_idx", "needs", postgresql_where=text(NEEDING), **AT_ONCE),
        Index("events_of_two_idx", "needs", postgresql_where=text(OF_TWO), **AT_ONCE),
    )

    source: str = Field(primary_key=True, sa_type=Text)
    id: str = Field(primary_key=True, sa_type=Text)
    place: int | None = Field(default=None, sa_type=BigInteger, sa_column_args=(Identity(always=True),), unique=True)
    """Its place in the order of recording."""
    type: str = Field(sa_type=Text)
    time: datetime = Field(sa_type=DateTime(timezone=True))
    rank: int = Field(sa_type=SmallInteger)
    unit: str = Field(sa_type=Text)
    """What it is folded with: a programme, centre or cohort, or the name under which it waits for one."""
    enrolment: str | None = Field(default=None, index=True, sa_type=Text)
    target: str | None = Field(default=None, sa_type=Text)
    """The id of the event that it voids or replaces."""
    needs: list[str] = Field(sa_type=ARRAY(Text))
    data: dict[str, Any] = Field(sa_type=JSONB)
    person: dict[str, Any] | None = Field(default=None, sa_type=JSONB)
    """What the fold needs of a person, but the birth date: sex, disability, keyed hashes of identifiers, what a consent is for;
    once the person is forgotten, also what is left of the birth date."""
    content: bytes = Field(sa_type=LargeBinary)
    """Keyed digest of the whole event as it came."""
    postedby: str = Field(sa_type=Text)
    correlation: str | None = Field(default=None, sa_type=Text)
    """The id that follows it through every log."""
    recordedtime: datetime = Field(sa_type=DateTime(timezone=True))
    status: str = Field(sa_type=Text)
    code: str = Field(sa_type=Text)
    number: int
    """How often its standing has changed, from 1."""


class ReceiptRow(Base, table=True):
    """Every standing that an event has had."""

    __tablename__ = "receipts"

    source: str = Field(primary_key=True, sa_type=Text)
    id: str = Field(primary_key=True, sa_type=Text)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    status: str = Field(sa_type=Text)
    code: str = Field(sa_type=Text)
    recordedtime: datetime = Field(sa_type=DateTime(timezone=True))


class ReusedIdRow(Base, table=True):
    """An event whose id had been used for other content: rejected, and kept for audit."""

    __tablename__ = "reused_ids"

    source: str = Field(primary_key=True, sa_type=Text)
    id: str = Field(primary_key=True, sa_type=Text)
    content: bytes = Field(primary_key=True, sa_type=LargeBinary)
    owner: str = Field(sa_type=Text)
    sealed: bytes = Field(sa_type=LargeBinary)
    postedby: str = Field(sa_type=Text)
    recordedtime: datetime = Field(sa_type=DateTime(timezone=True))


class ProgrammeRow(Base, table=True):
    """A programme by now; ``data`` is its fact's."""

    __tablename__ = "programmes"

    programme: str = Field(primary_key=True, sa_type=Text)
    status: str = Field(sa_type=Text)
    data: dict[str, Any] = Field(sa_type=JSONB)


class CentreRow(Base, table=True):
    """A centre by now; ``data`` is its fact's."""

    __tablename__ = "centres"

    centre: str = Field(primary_key=True, sa_type=Text)
    status: str = Field(sa_type=Text)
    data: dict[str, Any] = Field(sa_type=JSONB)


class CohortRow(Base, table=True):
    """A cohort by now, or, with status ``void``, as it last was."""

    __tablename__ = "cohorts"
    __table_args__ = (Index("cohorts_offices_idx", "offices", postgresql_using="gin"),)

    cohort: str = Field(primary_key=True, sa_type=Text)
    status: str = Field(sa_type=Text)
    offices: list[str] = Field(sa_type=ARRAY(Text))
    """Its parties, for the question of who may read it."""
    state: dict[str, Any] = Field(sa_type=JSONB)


class EnrolmentRow(Base, table=True):
    """An enrolment by now, or, with status ``void``, as it last was."""

    __tablename__ = "enrolments"
    __table_args__ = (Index("enrolments_void_idx", "enrolment", postgresql_where=text("status = 'void'")),)

    enrolment: str = Field(primary_key=True, sa_type=Text)
    cohort: str = Field(index=True, sa_type=Text)
    status: str = Field(sa_type=Text)
    country: str = Field(sa_type=Text)
    person: str = Field(index=True, sa_type=Text)
    state: dict[str, Any] = Field(sa_type=JSONB)
    """All of it but the birth date."""
    sealed: bytes | None = Field(default=None, sa_type=LargeBinary)
    """The birth date, under the enrolment's key."""


class LinkRow(Base, table=True):
    """What links enrolments to one person."""

    __tablename__ = "links"

    enrolment: str = Field(primary_key=True, sa_type=Text)
    link: str = Field(primary_key=True, index=True, sa_type=Text)


class ApartRow(Base, table=True):
    """Two enrolments that somebody has said to be two persons', the smaller first."""

    __tablename__ = "apart"

    one: str = Field(primary_key=True, sa_type=Text)
    other: str = Field(primary_key=True, index=True, sa_type=Text)


class ForgottenRow(Base, table=True):
    """An enrolment of a person who was forgotten, and the event that said so. Stays for ever."""

    __tablename__ = "forgotten"

    enrolment: str = Field(primary_key=True, sa_type=Text)
    source: str = Field(sa_type=Text)
    event: str = Field(sa_type=Text)
    recordedtime: datetime = Field(sa_type=DateTime(timezone=True))


class MasterKeyRow(Base, table=True):
    """A key under which others are wrapped, itself sealed under one from the service's secret; the first is that one."""

    __tablename__ = "master_keys"

    id: int = Field(primary_key=True, sa_type=Integer, sa_column_kwargs={"autoincrement": False})
    sealed: bytes | None = Field(default=None, sa_type=LargeBinary)
    made: datetime = Field(sa_type=DateTime(timezone=True))


class RegisterKeyRow(Base, table=True):
    """The key of one enrolment's personal details, wrapped under a master key."""

    __tablename__ = "register_keys"

    owner: str = Field(primary_key=True, sa_type=Text)
    sealed: bytes = Field(sa_type=LargeBinary)
    master: int = Field(
        index=True, sa_type=Integer, sa_column_args=(ForeignKey("master_keys.id", name="register_keys_master_fkey"),)
    )
    """Written in the wrapped key, too; here it keeps a master key that is used from being deleted."""


class LookRow(Base, table=True):
    """Somebody was shown an enrolment's personal details, or was given them."""

    __tablename__ = "looks"
    __table_args__ = (Index("looks_enrolment_idx", "enrolment"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=(Identity(always=True),))
    at: datetime = Field(sa_type=DateTime(timezone=True))
    office: str | None = Field(default=None, sa_type=Text)
    """Null for an administrator."""
    officer: str = Field(sa_type=Text)
    enrolment: str = Field(sa_type=Text)
    why: str = Field(sa_type=Text)
    sent_by: str = Field(sa_type=Text)
    """The country that sends the trainee."""
    recipient: str | None = Field(default=None, sa_type=Text)
    """The office's country; where it is another, the details went over a border."""


class RejectedRow(rejected.RejectedRow, Base, table=True):
    pass


class RegisterEntryRow(Base, table=True):
    """An event with personal details as it came, under its enrolment's key."""

    __tablename__ = "register_entries"

    source: str = Field(primary_key=True, sa_type=Text)
    id: str = Field(primary_key=True, sa_type=Text)
    owner: str = Field(index=True, sa_type=Text)
    sealed: bytes = Field(sa_type=LargeBinary)


class Office(offices.OfficeRow, Base, table=True):
    __tablename__ = "offices"


class Token(offices.TokenRow, Base, table=True):
    __tablename__ = "tokens"


class Session(sessions.SessionRow, Base, table=True):
    __tablename__ = "sessions"


class KeptFile(keeping.KeptRow, Base, table=True):
    __tablename__ = "kept_files"


class BrokerUser(Base, table=True):
    """A NATS user that was made for an office, by its public key, until it expires; its credentials are kept nowhere."""

    __tablename__ = "broker_users"

    key: str = Field(primary_key=True, sa_type=Text)
    office: str = Field(index=True, sa_type=Text)
    officer: str | None = Field(default=None, sa_type=Text)
    """None for one that was made before officers had users of their own."""
    expires: datetime = Field(sa_type=DateTime(timezone=True))
    revoked: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class OutboxHead(outbox.OutboxHead, Base, table=True):
    pass


class Thing(outbox.Thing, Base, table=True):
    pass


class OutboxRow(outbox.OutboxRow, Base, table=True):
    pass


class NoticeRow(outbox.NoticeRow, Base, table=True):
    pass


class DeadLetterRow(deadletters.DeadLetterRow, Base, table=True):
    pass


class RosterRow(ledger.RosterRow, Base, table=True):
    pass


class AuditRow(audit.AuditRow, Base, table=True):
    pass


class AuditHead(audit.AuditHead, Base, table=True):
    pass
