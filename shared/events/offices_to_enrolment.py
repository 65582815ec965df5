"""What offices say to enrolment: the data of each event type, by type name."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from shared.events.codes import (
    Code,
    Count,
    Country,
    Day,
    Hours,
    Language,
    Many,
    Mode,
    Model,
    Outcome,
    Reason,
    Role,
    Source,
    Text,
    Timezone,
    Titles,
    TraineeRole,
    each_once,
)
from shared.events.identity import enrolment_id
from shared.events.persons import (
    ConsentWithdrawn,
    Person,
    PersonCorrected,
    PersonForgotten,
    PersonMerged,
    PersonParted,
    TraineeRef,
)


class Period(Model):
    """A reporting period of a programme."""

    period: Code
    starts_on: Day
    ends_on: Day


class Target(Model):
    """What a programme means to reach: a measure of reporting, and by when."""

    indicator: Reason
    period: Code | None = None
    value: Count


class Trade(Model):
    """What a trade is called, with its codes in ISCO-08 and, for the field of learning, in ISCED-F 2013."""

    trade: Code
    titles: Titles
    isco: Annotated[str, Field(pattern=r"^[0-9]{1,4}$")] | None = None
    iscedf: Annotated[str, Field(pattern=r"^[0-9]{2,4}$")] | None = None


class ProgrammeRegistered(Model):
    """A cooperation of several countries, with its trades, its reporting periods and what it means to reach."""

    programme: Code
    titles: Titles
    countries: Annotated[Many[Country], Field(min_length=1), each_once()]
    donor: Text | None = None
    trades: Annotated[Many[Trade], each_once("trade")] = []
    periods: Annotated[Many[Period], each_once("period")] = []
    targets: Annotated[Many[Target], each_once("indicator", "period")] = []


class CentreRegistered(Model):
    """A training institution that hosts cohorts or sends trainees."""

    centre: Code
    names: Titles
    country: Country
    kind: Literal["training-institute", "school", "university", "employer", "ministry", "other"]


class Places(Model):
    """Places that a sending country has in a cohort."""

    country: Country
    places: Count


class Party(Model):
    """An office and what it is to this cohort; one office may have several lines."""

    office: Source
    role: Role


class CohortAnnounced(Model):
    """One group on one course: who sends, who hosts, where, when, and which offices have a part in it."""

    cohort: Code
    programme: Code
    titles: Titles
    places: Annotated[Many[Places], Field(min_length=1)]
    host_centre: Code
    host_country: Country
    trainers: Many[Text] = []
    mode: Mode
    trades: Annotated[Many[Code], Field(min_length=1), each_once()]
    starts_on: Day
    ends_on: Day
    language: Language
    timezone: Timezone
    schemes: Annotated[Many[Code], each_once()] = []
    parties: Annotated[Many[Party], Field(min_length=1), each_once("office", "role")]

    @model_validator(mode="after")
    def _in_order(self) -> "CohortAnnounced":
        _dates_in_order(self.starts_on, self.ends_on)
        _one_line_per_country(self.places)
        return self


class CohortChanged(Model):
    """Names only what changes. The host country stays: another country is another cohort.

    An office that new ``parties`` leave out may say nothing more; what it said before stays said.
    """

    cohort: Code
    titles: Titles | None = None
    places: Annotated[Many[Places], Field(min_length=1)] | None = None
    host_centre: Code | None = None
    trainers: Many[Text] | None = None
    mode: Mode | None = None
    trades: Annotated[Many[Code], Field(min_length=1), each_once()] | None = None
    starts_on: Day | None = None
    ends_on: Day | None = None
    language: Language | None = None
    timezone: Timezone | None = None
    schemes: Annotated[Many[Code], each_once()] | None = None
    parties: Annotated[Many[Party], Field(min_length=1), each_once("office", "role")] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "CohortChanged":
        if self.starts_on and self.ends_on:
            _dates_in_order(self.starts_on, self.ends_on)
        if self.places:
            _one_line_per_country(self.places)
        return self


class CohortStarted(Model):
    """The cohort has begun; who did not come is listed by number."""

    cohort: Code
    date: Day
    not_arrived: Many[Code] = []


class CohortClosed(Model):
    """The cohort is over."""

    cohort: Code
    date: Day


class CohortCancelled(Model):
    """The cohort does not take place."""

    cohort: Code
    date: Day | None = None
    reason: Reason


class _Candidate(Model):
    cohort: Code
    number: Code
    role: TraineeRole | None = None
    country: Country | None = None
    sending_centre: Code | None = None
    employer: Text | None = None
    trade: Code | None = None
    person: Person | None = None
    date: Day | None = None

    @property
    def enrolment_id(self) -> str:
        """The enrolment's id, derived."""
        return enrolment_id(self.cohort, self.number)


class TraineeProposed(_Candidate):
    """Asks for a place. Role, country and trade are needed; the person may come with the enrolment."""

    role: TraineeRole
    country: Country
    trade: Code


class TraineeEnrolled(_Candidate):
    """The place was accepted: as proposed (name only what differs), or by itself with all of it."""


class TraineeDeclined(TraineeRef):
    """The place was not given, or not taken."""

    reason: Literal["not-selected", "reserve", "visa", "medical", "own-choice"]
    date: Day | None = None


class PartlyPresent(Model):
    number: Code
    hours: Annotated[float, Field(ge=0, le=24)]


class SessionHeld(Model):
    """One session. It was for everyone, for one trade, or for the trainee numbers in ``group``."""

    cohort: Code
    session: Annotated[int, Field(ge=1, le=9999)]
    date: Day
    mode: Mode | None = None
    trade: Code | None = None
    group: Annotated[Many[Code], Field(min_length=1)] | None = None
    hours: Hours
    absent: Many[Code] = []
    partial: Many[PartlyPresent] = []

    @model_validator(mode="after")
    def _within_the_session(self) -> "SessionHeld":
        if any(line.hours > self.hours for line in self.partial):
            raise PydanticCustomError("invalid_data", "somebody was present for more hours than the session had")
        if any(round(line.hours, 2) != line.hours for line in self.partial):
            raise PydanticCustomError("invalid_data", "hours in partial has more than two decimals")
        return self


class TraineeWithdrawn(TraineeRef):
    """The trainee left before the end."""

    date: Day
    reason: Reason


class TraineeCompleted(TraineeRef):
    """The trainee completed the course. This is neither an assessment nor a certificate."""

    date: Day
    result: Code = "completed"


class CompetitorNominated(TraineeRef):
    """The trainee is a candidate in one skill of a competition."""

    competition: Code
    skill: Code
    date: Day | None = None


class CompetitorPlaced(TraineeRef):
    """What the trainee reached in the competition: the place, the medal, or both."""

    competition: Code
    skill: Code
    place: Annotated[int, Field(ge=1, le=999)] | None = None
    medal: Literal["gold", "silver", "bronze", "excellence"] | None = None
    date: Day | None = None

    @model_validator(mode="after")
    def _something(self) -> "CompetitorPlaced":
        if self.place is None and self.medal is None:
            raise PydanticCustomError("invalid_data", "give the place, the medal, or both")
        return self


class Learners(Model):
    """People whom a returned teacher has taught since."""

    women: Count = 0
    men: Count = 0


class OutcomeReported(TraineeRef):
    """What the trainee does some months after completion."""

    date: Day
    months_after: Annotated[int, Field(ge=0, le=240)]
    outcome: Outcome
    in_trade: bool | None = None
    country: Country | None = None
    learners: Learners = Learners()


class EventVoided(Model):
    """One of the office's own events should never have been said. If it is a void itself, what that one took out stands again.

    ``about`` is for the void of a void, whose ``type`` is the same at either service: the type of what stands again. Whoever
    sends to the right address need not say it.
    """

    event: Code
    type: Annotated[str, Field(max_length=100)]
    reason: Reason
    about: Annotated[str | None, Field(max_length=100)] = None


TYPES: dict[str, type[Model]] = {
    "programme.registered.v1": ProgrammeRegistered,
    "centre.registered.v1": CentreRegistered,
    "cohort.announced.v1": CohortAnnounced,
    "cohort.changed.v1": CohortChanged,
    "cohort.started.v1": CohortStarted,
    "cohort.closed.v1": CohortClosed,
    "cohort.cancelled.v1": CohortCancelled,
    "trainee.proposed.v1": TraineeProposed,
    "trainee.declined.v1": TraineeDeclined,
    "trainee.enrolled.v1": TraineeEnrolled,
    "session.held.v1": SessionHeld,
    "trainee.withdrawn.v1": TraineeWithdrawn,
    "trainee.completed.v1": TraineeCompleted,
    "person.corrected.v1": PersonCorrected,
    "consent.withdrawn.v1": ConsentWithdrawn,
    "person.merged.v1": PersonMerged,
    "person.parted.v1": PersonParted,
    "person.forgotten.v1": PersonForgotten,
    "competitor.nominated.v1": CompetitorNominated,
    "competitor.placed.v1": CompetitorPlaced,
    "outcome.reported.v1": OutcomeReported,
    "event.voided.v1": EventVoided,
}
"""Every type that enrolment takes. ``event.voided.v1`` goes to the service that owns the voided type."""


def _dates_in_order(starts_on: Day, ends_on: Day) -> None:
    if ends_on < starts_on:
        raise PydanticCustomError("invalid_data", "ends_on lies before starts_on")


def _one_line_per_country(places: list[Places]) -> None:
    if len({line.country for line in places}) != len(places):
        raise PydanticCustomError("invalid_data", "places names a country twice")
