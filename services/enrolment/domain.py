"""The words of enrolment: what the journal holds, what is true of one unit, and how an event may stand.

A unit is what is folded by itself: a programme, a centre, a cohort with its enrolments, or what people have decided about two
enrolments. No I/O, no clock, no ids made.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Literal
from zoneinfo import ZoneInfo

from shared.events.codes import AgeBand, Model, Outcome, Sex, TraineeRole, YesNo, named
from shared.events.enrolment import FormerParty, Session
from shared.events.offices_to_enrolment import (
    CentreRegistered,
    CohortAnnounced,
    EventVoided,
    Learners,
    Party,
    ProgrammeRegistered,
    SessionHeld,
)
from shared.events.persons import PersonMerged, PersonParted

Ref = tuple[str, str]
"""(source, id): what an event is known by."""
Seers = Mapping[str, datetime | None]
"""Offices that see a trainee's details; one that was left out of the cohort's parties, until when it saw them."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """A person's identifier: its number only as a keyed hash, equal for equal numbers and good for nothing else."""

    kind: str
    country: str | None
    hash: str


@dataclass(frozen=True, slots=True)
class Faded:
    """What is left of a birth date once the person is forgotten: a mark that is equal for equal dates, and the age band."""

    mark: str
    band: AgeBand


@dataclass(frozen=True, slots=True, repr=False)
class Particulars:
    """What the fold needs of a person: no name, no number. None means: not said in this event."""

    sex: Sex | None = None
    birth_date: date | Faded | None = None
    disability: YesNo | None = None
    identifiers: tuple[Identifier, ...] | None = None
    purposes: tuple[str, ...] | None = None
    """What a consent is for; it is for everything when it names nothing."""


@dataclass(frozen=True)
class Entry:
    """One event as the journal holds it: ``data`` without its personal parts, which come as ``person``."""

    source: str
    id: str
    type: str
    time: datetime
    rank: int
    data: Model
    person: Particulars | None = field(default=None, repr=False)
    replaces: str | None = None

    @cached_property
    def ref(self) -> Ref:
        """(source, id)."""
        return self.source, self.id

    @cached_property
    def order(self) -> tuple[datetime, int, str, str]:
        """Where the event stands among those of its unit, whenever it arrived."""
        return self.time, self.rank, self.source, self.id

    @cached_property
    def enrolment(self) -> str | None:
        """The enrolment that the event is about, if it is about one."""
        enrolment: str | None = named(self.data, "enrolment_id")
        return enrolment

    @cached_property
    def cohort(self) -> str | None:
        """The cohort that the event names, if it names one."""
        cohort: str | None = named(self.data, "cohort")
        return cohort

    @property
    def voids(self) -> Ref | None:
        """The event that this one voids."""
        return (self.source, self.data.event) if isinstance(self.data, EventVoided) else None

    @property
    def acts_on(self) -> Ref | None:
        """The event that this one voids or replaces."""
        return (self.source, self.replaces) if self.replaces else self.voids

    @property
    def when(self) -> "When":
        """When it happened."""
        return When(self.time, named(self.data, "date"))

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two enrolments that it says to be one person's or two persons', the smaller first."""
        return self.data.pair if isinstance(self.data, PersonMerged | PersonParted) else None

    @cached_property
    def needs(self) -> frozenset[str]:
        """The units that must be registered, and the enrolments of other units that must be there, before it can apply."""
        if self.pair:
            return frozenset(f"enrolment/{enrolment}" for enrolment in self.pair)
        programme = named(self.data, "programme") if self.type == "cohort.announced.v1" else None
        centres = (named(self.data, "host_centre"), named(self.data, "sending_centre"))
        needed = {f"centre/{centre}" for centre in centres if centre}
        return frozenset(needed | ({f"programme/{programme}"} if programme else set()))


@dataclass(frozen=True, slots=True)
class When:
    """When something happened: the day that its event names, else its moment, which has a day only at the cohort's place."""

    at: datetime
    day: date | None = None

    def on(self, timezone: str) -> date:
        """The local day."""
        return self.day or self.at.astimezone(ZoneInfo(timezone)).date()


@dataclass(frozen=True, slots=True)
class Standing:
    """How an event stands: it applies, it waits for another one, or it contradicts another one."""

    status: Literal["accepted", "waiting", "conflict"]
    code: str


APPLIED = Standing("accepted", "applied")
VOIDED = Standing("accepted", "voided")
REPLACED = Standing("accepted", "replaced")


@dataclass(frozen=True, slots=True)
class Cohort:
    """One group on one course. ``terms`` are those of the announcement with every change since."""

    terms: CohortAnnounced
    announced: When
    former_parties: tuple[FormerParty, ...] = ()
    started: date | None = None
    not_arrived: frozenset[str] = frozenset()
    closed: date | None = None
    cancelled: When | None = None
    sessions: tuple[Session, ...] = ()

    @property
    def cohort(self) -> str:
        """The cohort's code."""
        return self.terms.cohort

    @property
    def status(self) -> Literal["announced", "started", "closed", "cancelled"]:
        """How far it has come."""
        if self.cancelled:
            return "cancelled"
        if self.closed:
            return "closed"
        return "started" if self.started else "announced"

    def roles_of(self, office: str) -> frozenset[str]:
        """What an office is to this cohort."""
        return frozenset(party.role for party in self.terms.parties if party.office == office)

    def left_by(self, parties: Sequence[Party], until: datetime) -> tuple[FormerParty, ...]:
        """The former parties, once these are the parties from a moment on."""
        before = {(party.office, party.role): until for party in self.terms.parties}
        before |= {(party.office, party.role): party.until for party in self.former_parties}
        now = {(party.office, party.role) for party in parties}
        return tuple(
            FormerParty(office=office, role=role, until=at)
            for (office, role), at in sorted(before.items())
            if (office, role) not in now
        )


@dataclass(frozen=True, slots=True)
class Nomination:
    """A trainee's nomination for a competition."""

    competition: str
    skill: str
    when: When


@dataclass(frozen=True, slots=True)
class Placing:
    """What a competitor reached."""

    competition: str
    skill: str
    place: int | None
    medal: str | None
    when: When


@dataclass(frozen=True, slots=True)
class OutcomeReport:
    """What became of a trainee some months after completion."""

    months_after: int
    day: date
    outcome: Outcome
    in_trade: bool | None
    country: str | None
    learners: Learners


@dataclass(frozen=True, slots=True)
class Withheld:
    """The purposes that a person does not agree to (any more); with ``every``, all but these."""

    every: bool = False
    purposes: tuple[str, ...] = ()

    def __contains__(self, purpose: str) -> bool:
        return (purpose in self.purposes) != self.every

    def without_consent(self, purposes: Collection[str]) -> "Withheld":
        """Once consent to these is withdrawn; to all if there is none."""
        if not purposes:
            return Withheld(every=True)
        kept = set(self.purposes) - set(purposes) if self.every else set(self.purposes) | set(purposes)
        return Withheld(self.every, tuple(sorted(kept)))

    @classmethod
    def with_consent(cls, purposes: Collection[str]) -> "Withheld":
        """Once consent is given: to these, or to all if there is none. What was said before no longer counts."""
        return cls(every=True, purposes=tuple(sorted(set(purposes)))) if purposes else cls()


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One trainee's place in one cohort. ``said_by`` is the office that first named the person."""

    enrolment: str
    cohort: str
    number: str
    status: Literal["proposed", "declined", "enrolled", "withdrawn", "completed"]
    role: TraineeRole
    country: str
    trade: str
    said_by: str
    sending_centre: str | None = None
    sex: Sex = "U"
    disability: YesNo = "not-stated"
    birth_date: date | Faded | None = field(default=None, repr=False)
    identifiers: tuple[Identifier, ...] = ()
    withheld: Withheld = Withheld()
    proposed: When | None = None
    declined: When | None = None
    enrolled: When | None = None
    withdrawn: date | None = None
    completed: date | None = None
    nominations: tuple[Nomination, ...] = ()
    placings: tuple[Placing, ...] = ()
    outcomes: tuple[OutcomeReport, ...] = ()

    @property
    def links(self) -> frozenset[str]:
        """What links enrolments to one person."""
        return links_of(self.identifiers, self.country, self.sending_centre or self.said_by)


def links_of(identifiers: Iterable[Identifier], country: str, centre: str) -> frozenset[str]:
    """What identifiers link to one person. A centre's number means something only at its centre, a national number only in its
    country."""
    return frozenset(
        f"{known.kind}/{centre if known.kind == 'centre-number' else known.country or country}/{known.hash}"
        for known in identifiers
    )


@dataclass(frozen=True, slots=True)
class Undone:
    """The latest times at which what completions rest on was voided or replaced.

    ``completions`` and ``places`` are by enrolment, ``cohort`` is for its announcement and its start.
    """

    completions: Mapping[str, datetime] = field(default_factory=dict)
    places: Mapping[str, datetime] = field(default_factory=dict)
    cohort: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """What people have decided about two enrolments: that they are one person's, or that they are two persons'."""

    merged: bool = False
    apart: bool = False
    """That they are two persons' was said while they were not merged: they stay two also if they share an identifier."""


@dataclass(frozen=True, slots=True)
class State:
    """What is true of one unit, and the events that could not apply so far, in order."""

    programme: ProgrammeRegistered | None = None
    centre: CentreRegistered | None = None
    cohort: Cohort | None = None
    enrolments: Mapping[str, Enrolment] = field(default_factory=dict)
    pending: tuple[Entry, ...] = ()
    undone: Undone = Undone()
    pair: Pair = Pair()


@dataclass(frozen=True, slots=True)
class Known:
    """What a unit's fold must know of other units.

    ``registered`` are programmes and centres as ``programme/<code>`` and ``centre/<code>``; ``elsewhere`` are events of
    other units that this unit's events want to replace; ``forgotten`` are the enrolments of persons who were forgotten.
    ``seen_by`` says, for each enrolment that a pair names and that is there, which offices see its details, and until when.
    """

    registered: frozenset[str] = frozenset()
    elsewhere: frozenset[Ref] = frozenset()
    forgotten: frozenset[str] = frozenset()
    seen_by: Mapping[str, "Seers"] = field(default_factory=dict)


def unit_of(entry: Entry) -> str:
    """The unit that an event names by itself. A void belongs to its target's unit, and until that is known waits under the
    target's name; so does a trainee who is named by an enrolment whose cohort is not known."""
    if entry.voids:
        return "event{}/{}".format(*entry.voids)
    if entry.pair:
        return "pair/{}/{}".format(*entry.pair)
    if entry.type == "programme.registered.v1":
        return f"programme/{getattr(entry.data, 'programme', '')}"
    if entry.type == "centre.registered.v1":
        return f"centre/{getattr(entry.data, 'centre', '')}"
    return f"cohort/{entry.cohort}" if entry.cohort else f"enrolment/{entry.enrolment}"


def session_of(held: SessionHeld) -> Session:
    """A session as the cohort keeps it."""
    return Session(
        session=held.session,
        date=held.date,
        hours=held.hours,
        trade=held.trade,
        group=sorted(set(held.group)) if held.group else None,
        absent=sorted(set(held.absent)),
        partial=held.partial,
    )
