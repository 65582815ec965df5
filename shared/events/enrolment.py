"""Facts that enrolment publishes on ``enrolment.>``. Pseudonymous: no name, no identifier, no birth date."""

from typing import Literal

from shared.events.codes import AgeBand, Day, Model, Moment, Outcome, Role, Sex, TraineeRole, YesNo
from shared.events.codes import Country as CountryCode
from shared.events.facts import Fact
from shared.events.identity import office_of
from shared.events.offices_to_enrolment import (
    CentreRegistered,
    Learners,
    PartlyPresent,
    Party,
    Places,
    ProgrammeRegistered,
)


class ProgrammeFact(ProgrammeRegistered):
    """A programme as it was registered, or void."""

    status: Literal["registered", "void"]


class CentreFact(CentreRegistered):
    """A centre as it was registered, or void."""

    status: Literal["registered", "void"]


class Token(Model):
    """One officer's credential: the SHA-256 of the token, never the token."""

    sha256: str
    officer: str
    expires: Moment


class SigningKey(Model):
    """The public key of an officer's NATS credentials, with which bundles of events are signed while there is no connection."""

    key: str
    officer: str
    expires: Moment


class OfficeFact(Model):
    """An office's rights, its officers' tokens and keys, so that every service can tell who is calling or has signed."""

    office: str
    name: str
    roles: list[Role]
    status: Literal["active", "revoked"]
    tokens: list[Token]
    keys: list[SigningKey] = []


class Session(Model):
    session: int
    date: Day
    hours: float
    trade: str | None = None
    group: list[str] | None = None
    absent: list[str] = []
    partial: list[PartlyPresent] = []


class FormerParty(Party):
    """A party that a change of the cohort left out. What the office said before ``until``, it said as a party."""

    until: Moment


class CohortFact(Model):
    """A cohort with its sessions. Days are local to the cohort's time zone."""

    cohort: str
    status: Literal["announced", "started", "closed", "cancelled", "void"]
    programme: str
    titles: dict[str, str]
    places: list[Places]
    host_centre: str
    host_country: CountryCode
    mode: str
    trades: list[str]
    starts_on: Day
    ends_on: Day
    language: str
    timezone: str
    schemes: list[str]
    parties: list[Party]
    former_parties: list[FormerParty] = []
    announced_on: Day
    started_on: Day | None = None
    closed_on: Day | None = None
    cancelled_on: Day | None = None
    sessions: list[Session] = []


class Nomination(Model):
    competition: str
    skill: str
    on: Day


class Placing(Model):
    competition: str
    skill: str
    place: int | None = None
    medal: str | None = None
    on: Day


class OutcomeState(Model):
    months_after: int
    on: Day
    outcome: Outcome
    in_trade: bool | None = None
    country: CountryCode | None = None
    learners: Learners = Learners()


class TraineeFact(Model):
    """One trainee's place in one cohort.

    ``arrived`` is false when the cohort started without the trainee. ``completion`` is ``withdrawn`` when a completion had
    been said and none stands any more: a certificate that rests on it is then suspended, not undone.
    """

    enrolment: str
    cohort: str
    number: str
    person: str
    status: Literal["proposed", "declined", "enrolled", "withdrawn", "completed", "void"]
    role: TraineeRole
    country: CountryCode
    sending_centre: str | None = None
    trade: str
    sex: Sex
    age_band: AgeBand
    disability: YesNo
    arrived: bool = True
    proposed_on: Day | None = None
    declined_on: Day | None = None
    enrolled_on: Day | None = None
    withdrawn_on: Day | None = None
    completed_on: Day | None = None
    completion: Literal["none", "in-force", "withdrawn"] = "none"
    completion_withdrawn_at: Moment | None = None
    nominations: list[Nomination] = []
    placings: list[Placing] = []
    outcomes: list[OutcomeState] = []


DATA: dict[str, type[Model]] = {
    "programme.v1": ProgrammeFact,
    "centre.v1": CentreFact,
    "office.v1": OfficeFact,
    "cohort.v1": CohortFact,
    "trainee.v1": TraineeFact,
}
"""The data of each fact type on the stream ENROLMENT."""

ADDRESSES: dict[str, str] = {
    "programme.v1": "enrolment.programme.{programme}",
    "centre.v1": "enrolment.centre.{country}.{centre}",
    "office.v1": "enrolment.office.{country}.{office}",
    "cohort.v1": "enrolment.cohort.{country}.{cohort}",
    "trainee.v1": "enrolment.trainee.{country}.{cohort}.{number}",
}
"""The NATS subject of each fact type; countries in lower case: a centre's own, a cohort's host, a trainee's sending one."""


def programme_fact(data: ProgrammeFact, cause: str | None) -> Fact:
    address = ADDRESSES["programme.v1"].format(programme=data.programme)
    return Fact("programme", data.programme, address, data, cause)


def centre_fact(data: CentreFact, cause: str | None) -> Fact:
    address = ADDRESSES["centre.v1"].format(country=data.country.lower(), centre=data.centre)
    return Fact("centre", data.centre, address, data, cause)


def office_fact(data: OfficeFact) -> Fact:
    country, office = office_of(data.office)
    return Fact("office", data.office, ADDRESSES["office.v1"].format(country=country, office=office), data)


def cohort_fact(data: CohortFact, cause: str | None) -> Fact:
    address = ADDRESSES["cohort.v1"].format(country=data.host_country.lower(), cohort=data.cohort)
    return Fact("cohort", data.cohort, address, data, cause)


def trainee_fact(data: TraineeFact, cause: str | None) -> Fact:
    address = ADDRESSES["trainee.v1"].format(country=data.country.lower(), cohort=data.cohort, number=data.number)
    return Fact("trainee", data.enrolment, address, data, cause)
