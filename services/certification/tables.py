"""Certification's tables: its journal of events, what they led to, what enrolment told, and what the bus needs."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from shared import audit, deadletters, keeping, ledger, offices, outbox, rejected, sessions

NAMES = {
    "pk": "%(table_name)s_pkey",
    "ix": "%(table_name)s_%(column_0_name)s_idx",
    "uq": "%(table_name)s_%(column_0_name)s_key",
}


class Base(SQLModel, registry=registry(metadata=MetaData(naming_convention=NAMES))):
    """Certification's own tables, apart from the other services' in one process."""


class EventRow(Base, table=True):
    """One event, once, with its standing by now. ``place`` is its place in the order of recording."""

    __tablename__ = "events"
    # The three ways in which events hang together: see store.load.
    __table_args__ = (
        Index("events_target_idx", "source", "target", postgresql_where=text("target IS NOT NULL")),
        Index("events_number_idx", "source", "number", postgresql_where=text("number IS NOT NULL")),
        Index("events_recognised_idx", "recognised", postgresql_where=text("recognised IS NOT NULL")),
        Index("events_registered_idx", "scheme", postgresql_where=text("type = 'scheme.registered.v1'")),
        Index("events_waiting_idx", "code", postgresql_where=text("status = 'waiting'")),
    )

    source: str = Field(primary_key=True, sa_type=Text)
    id: str = Field(primary_key=True, sa_type=Text)
    place: int | None = Field(default=None, sa_type=BigInteger, sa_column_args=(Identity(always=True),), unique=True)
    type: str = Field(sa_type=Text)
    digest: bytes = Field(sa_type=LargeBinary)
    """A keyed digest of the whole event as it came: nobody without the key can try out what it said."""
    body: dict[str, Any] = Field(sa_type=JSONB)
    """The event without the fields that certification does not know: an office may have written a name there."""
    enrolment: str | None = Field(default=None, index=True, sa_type=Text)
    scheme: str | None = Field(default=None, sa_type=Text)
    number: str | None = Field(default=None, sa_type=Text)
    """The awarding body's number that the event gives."""
    target: str | None = Field(default=None, sa_type=Text)
    """The id of the event that this one voids or replaces."""
    recognised: str | None = Field(default=None, sa_type=Text)
    """The id of what a country recognises by it, or recognises no more."""
    recordedtime: datetime = Field(sa_type=DateTime(timezone=True))
    postedby: str = Field(sa_type=Text)
    correlation: str | None = Field(default=None, sa_type=Text)
    """The id that follows it through every log."""
    status: str = Field(sa_type=Text)
    code: str = Field(sa_type=Text)
    receipt: int
    """How often the standing has changed, from 1."""


class ReceiptRow(Base, table=True):
    """Every standing that an event has had."""

    __tablename__ = "receipts"

    source: str = Field(primary_key=True, sa_type=Text)
    id: str = Field(primary_key=True, sa_type=Text)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    status: str = Field(sa_type=Text)
    code: str = Field(sa_type=Text)
    recordedtime: datetime = Field(sa_type=DateTime(timezone=True))


class RefusedRow(Base, table=True):
    """An event whose id was used before for other content, kept for audit."""

    __tablename__ = "refused"

    place: int | None = Field(
        default=None, primary_key=True, sa_type=BigInteger, sa_column_args=(Identity(always=True),)
    )
    source: str = Field(sa_type=Text)
    id: str = Field(sa_type=Text)
    digest: bytes = Field(sa_type=LargeBinary)
    body: dict[str, Any] = Field(sa_type=JSONB)
    recordedtime: datetime = Field(sa_type=DateTime(timezone=True))
    postedby: str = Field(sa_type=Text)


class RejectedRow(rejected.RejectedRow, Base, table=True):
    pass


class CohortRow(Base, table=True):
    """What enrolment told of a cohort, as far as it matters here."""

    __tablename__ = "cohorts"

    cohort: str = Field(primary_key=True, sa_type=Text)
    timezone: str = Field(sa_type=Text)
    parties: list[dict[str, str]] = Field(sa_type=JSONB)
    former_parties: list[dict[str, str]] = Field(sa_type=JSONB)
    about: dict[str, Any] = Field(sa_type=JSONB)
    """What a certificate's document says of the course: decides nothing."""
    void: bool
    """Held all the same, so that an older fact of it is known to be old."""
    epoch: int = Field(sa_type=BigInteger)
    revision: int = Field(sa_type=BigInteger)


class CentreRow(Base, table=True):
    """What enrolment told of a centre: how a certificate's document calls the host."""

    __tablename__ = "centres"

    centre: str = Field(primary_key=True, sa_type=Text)
    names: dict[str, str] = Field(sa_type=JSONB)
    void: bool
    epoch: int = Field(sa_type=BigInteger)
    revision: int = Field(sa_type=BigInteger)


class TraineeRow(Base, table=True):
    """What enrolment told of a trainee's place, as far as it matters here."""

    __tablename__ = "trainees"

    enrolment: str = Field(primary_key=True, sa_type=Text)
    cohort: str = Field(index=True, sa_type=Text)
    number: str = Field(sa_type=Text)
    person: str = Field(index=True, sa_type=Text)
    country: str = Field(sa_type=Text)
    completion: str = Field(sa_type=Text)
    completed_on: date | None = None
    completion_withdrawn_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    void: bool
    epoch: int = Field(sa_type=BigInteger)
    revision: int = Field(sa_type=BigInteger)


class SchemeRow(Base, table=True):
    """A scheme as it now stands: the data of its fact."""

    __tablename__ = "schemes"

    scheme: str = Field(primary_key=True, sa_type=Text)
    data: dict[str, Any] = Field(sa_type=JSONB)


class CertificateRow(Base, table=True):
    """A certificate as it now stands: the data of its fact, and what it is asked by.

    The database holds besides (migration 0012) that nobody has two of one award that are live on the same day.
    """

    __tablename__ = "certificates"
    __table_args__ = (
        Index("certificates_due_idx", "enrolment", postgresql_where=text("due")),
        Index("certificates_number_idx", text("(data ->> 'number')")),
    )

    certificate: str = Field(primary_key=True, sa_type=Text)
    enrolment: str = Field(index=True, sa_type=Text)
    cohort: str = Field(index=True, sa_type=Text)
    scheme: str = Field(index=True, sa_type=Text)
    status: str = Field(sa_type=Text)
    country: str = Field(sa_type=Text)
    data: dict[str, Any] = Field(sa_type=JSONB)
    due: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    """Decided anew since the issuer last looked: what is public of it may have to follow."""


class AttestationRow(Base, table=True):
    """What is public of one certificate: its id in addresses, its standing, and the signed document, sealed.

    Made when a certificate is to be issued; ``prepared`` is not public yet. Its standing changes only in
    ``services.certification.attestations``.
    """

    __tablename__ = "attestations"
    __table_args__ = (UniqueConstraint("list", "place", name="attestations_list_key"),)

    certificate: str = Field(
        primary_key=True,
        sa_type=Text,
        sa_column_args=(ForeignKey("certificates.certificate", name="attestations_certificate_fkey"),),
    )
    public_id: str = Field(unique=True, sa_type=Text)
    """128 random bits: nobody guesses it, and it stays when the document is signed anew."""
    salt: bytes = Field(sa_type=LargeBinary)
    """Of its commitments in the log."""
    list: int
    place: int
    """Its bit: random among the free ones, so that neighbours in a list have nothing in common."""
    status: str = Field(sa_type=Text)
    """prepared, valid, suspended, revoked, superseded or void."""
    live: bool
    """Valid or suspended: the certificate that its holder has."""
    since: date | None = None
    """The day of the standing, as the awarding body said it."""
    changed: datetime = Field(sa_type=DateTime(timezone=True))
    """When this became public."""
    issued: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    """When it first became public."""
    key: int | None = Field(
        default=None, index=True, sa_column_args=(ForeignKey("issuer_keys.id", name="attestations_key_fkey"),)
    )
    """What its document is signed with."""
    digest: bytes | None = Field(default=None, sa_type=LargeBinary)
    """SHA-256 of the signed document."""
    content: bytes | None = Field(default=None, sa_type=LargeBinary)
    """SHA-256 of what the document says but the name: it is signed anew when this changes."""
    holder: bytes | None = Field(default=None, sa_type=LargeBinary)
    """Digest of the name, keyed with the person's key: means nothing once that is destroyed."""
    named: bool = False
    former: bytes = Field(default=b"", sa_type=LargeBinary, sa_column_kwargs={"server_default": text("''::bytea")})
    """Digests of the names that its documents said before, keyed as that of the name is: see ``matching``."""
    sealed: bytes | None = Field(default=None, sa_type=LargeBinary)
    """The signed document in both its forms, under a key that only enrolment has."""
    signed: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class DraftRow(Base, table=True):
    """A signed document on its way: stored, then read back and verified, then made the attestation's own."""

    __tablename__ = "attestation_drafts"

    certificate: str = Field(
        primary_key=True,
        sa_type=Text,
        sa_column_args=(
            ForeignKey("attestations.certificate", name="attestation_drafts_certificate_fkey", ondelete="CASCADE"),
        ),
    )
    key: int
    digest: bytes = Field(sa_type=LargeBinary)
    content: bytes = Field(sa_type=LargeBinary)
    holder: bytes = Field(sa_type=LargeBinary)
    named: bool
    former: bytes = Field(default=b"", sa_type=LargeBinary, sa_column_kwargs={"server_default": text("''::bytea")})
    """Digests of names that the document before said and this one does not."""
    sealed: bytes = Field(sa_type=LargeBinary)
    signed: datetime = Field(sa_type=DateTime(timezone=True))
    confirmed: bool = False


class IssuerKeyRow(Base, table=True):
    """A key that signs what this installation attests to; the newest that is neither retired nor compromised signs."""

    __tablename__ = "issuer_keys"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    public: bytes = Field(sa_type=LargeBinary)
    sealed: bytes | None = Field(default=None, sa_type=LargeBinary)
    """The private key, under a key from the service's secret; destroyed when it is compromised."""
    made: datetime = Field(sa_type=DateTime(timezone=True))
    retired: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    """Signs nothing any more; what it signed stays good."""
    compromised: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    """Nothing that it ever signed is good any more."""


class StatusListRow(Base, table=True):
    """A list of bits, one for each attestation in it; the bits themselves follow from the attestations."""

    __tablename__ = "status_lists"

    list: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    taken: int = 0
    version: int = Field(default=1, sa_type=BigInteger)
    """Counts the changes of its bits."""
    signed_version: int | None = Field(default=None, sa_type=BigInteger)
    document: str | None = Field(default=None, sa_type=Text)
    jwt: str | None = Field(default=None, sa_type=Text)
    reasons: str | None = Field(default=None, sa_type=Text)
    """The list beside it that says why each bit is set."""
    reasons_jwt: str | None = Field(default=None, sa_type=Text)
    key: int | None = None
    signed: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class NumberRow(Base, table=True):
    """Which award has a number of an awarding body's (its scheme's office): just one, whatever became of its certificates."""

    __tablename__ = "certificate_numbers"

    office: str = Field(primary_key=True, sa_type=Text)
    number: str = Field(primary_key=True, sa_type=Text)
    enrolment: str = Field(index=True, sa_type=Text)
    scheme: str = Field(sa_type=Text)
    occupation: str = Field(sa_type=Text)
    level: str = Field(sa_type=Text)


class WalletLinkRow(Base, table=True):
    """A link that a holder keeps: by the SHA-256 of what it ends in, so that a copy of the table opens nothing."""

    __tablename__ = "wallet_links"

    sha256: str = Field(primary_key=True, sa_type=Text)
    certificate: str = Field(
        index=True,
        sa_type=Text,
        sa_column_args=(ForeignKey("certificates.certificate", name="wallet_links_certificate_fkey"),),
    )
    madeby: str = Field(sa_type=Text)
    made: datetime = Field(sa_type=DateTime(timezone=True))
    expires: datetime = Field(sa_type=DateTime(timezone=True))


class LogLeafRow(Base, table=True):
    """A leaf of the transparency log, and what it commits to: see ``services.certification.log``."""

    __tablename__ = "log_leaves"

    place: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    leaf: str = Field(sa_type=Text)
    """What is hashed, and all of it that anybody sees."""
    certificate: str = Field(sa_type=Text)
    public_id: str = Field(index=True, sa_type=Text)
    digest: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    since: date | None = None
    salt: bytes = Field(sa_type=LargeBinary)


class LogNodeRow(Base, table=True):
    """The hash of a complete part of the log's tree; level 0 has the leaves' own."""

    __tablename__ = "log_nodes"

    level: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    place: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    hash: bytes = Field(sa_type=LargeBinary)


class LogHead(Base, table=True):
    """How far the log reaches: one row (id 1), made with the first leaf. Its lock is the log's."""

    __tablename__ = "log_head"

    id: int = Field(default=1, primary_key=True, sa_column_kwargs={"autoincrement": False})
    origin: str = Field(sa_type=Text)
    """The log's name, which stays whatever the address is called later."""
    size: int = Field(sa_type=BigInteger)
    checkpoint: str = Field(sa_type=Text)
    """As it was signed."""


class RecognitionRow(Base, table=True):
    """A recognition as it now stands: the data of its fact, and what it is asked by."""

    __tablename__ = "recognitions"
    __table_args__ = (Index("recognitions_level_idx", "scheme", "occupation", "level", "country"),)

    recognition: str = Field(primary_key=True, sa_type=Text)
    recognised: str = Field(index=True, sa_type=Text)
    country: str = Field(sa_type=Text)
    scheme: str = Field(sa_type=Text)
    occupation: str = Field(sa_type=Text)
    level: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    starts_on: date
    ends_on: date | None = None
    data: dict[str, Any] = Field(sa_type=JSONB)


class Office(offices.OfficeRow, Base, table=True):
    __tablename__ = "offices"


class Token(offices.TokenRow, Base, table=True):
    __tablename__ = "tokens"


class Session(sessions.SessionRow, Base, table=True):
    __tablename__ = "sessions"


class KeptFile(keeping.KeptRow, Base, table=True):
    __tablename__ = "kept_files"


class SigningKey(offices.KeyRow, Base, table=True):
    __tablename__ = "signing_keys"


class OutboxHead(outbox.OutboxHead, Base, table=True):
    pass


class Thing(outbox.Thing, Base, table=True):
    pass


class OutboxRow(outbox.OutboxRow, Base, table=True):
    pass


class NoticeRow(outbox.NoticeRow, Base, table=True):
    pass


class Heard(outbox.Heard, Base, table=True):
    pass


class DeadLetterRow(deadletters.DeadLetterRow, Base, table=True):
    pass


class RosterRow(ledger.RosterRow, Base, table=True):
    pass


class AuditRow(audit.AuditRow, Base, table=True):
    pass


class AuditHead(audit.AuditHead, Base, table=True):
    pass
