"""One award and its certificates: the states of the fold, and what follows from a state."""

from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from shared.events.certification import Attempt, CertificateFact, SchemeFact
from shared.events.codes import LAST_YEAR
from shared.events.envelope import Event
from shared.events.identity import certificate_id
from shared.events.offices_to_certification import TraineeAssessed

Ref = tuple[str, str]
"""An event: (source, id)."""
Moment = tuple[datetime, int, str, str]
"""An event's place in the fold: (time, rank of its type, source, id)."""


@dataclass(frozen=True, slots=True)
class Trainee:
    """What certification needs to know of an enrolment."""

    enrolment: str
    cohort: str
    number: str
    person: str
    country: str
    completion: Literal["none", "in-force", "withdrawn"] = "none"
    completed_on: date | None = None
    completion_withdrawn_at: datetime | None = None

    @property
    def completion_gone_at(self) -> datetime | None:
        """Since when a completion is withdrawn that there was."""
        if self.completion != "withdrawn":
            return None
        # Without a moment, any later word of the awarding body decides.
        return self.completion_withdrawn_at or datetime(1900, 1, 2, tzinfo=UTC)

    def had_completed(self, at: datetime) -> bool:
        """Whether completion stands, or was withdrawn only after this moment."""
        gone_at = self.completion_gone_at
        return self.completion == "in-force" or (gone_at is not None and at < gone_at)


@dataclass(frozen=True, slots=True)
class Cohort:
    """A cohort's parties as (office, role), those it had as (office, role, until), and its time zone."""

    cohort: str
    timezone: str
    parties: frozenset[tuple[str, str]]
    former_parties: frozenset[tuple[str, str, datetime]] = frozenset()

    def roles_of(self, office: str, at: datetime) -> set[str]:
        """What an office is to this cohort, or was until after this moment."""
        roles = {role for party, role in self.parties if party == office}
        return roles | {role for party, role, until in self.former_parties if party == office and at < until}

    def day(self, at: datetime) -> date:
        """The day of a moment at the cohort's place."""
        return at.astimezone(ZoneInfo(self.timezone)).date()


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside the events: trainees by enrolment, cohorts and schemes by code. Nobody and nothing void."""

    trainees: Mapping[str, Trainee] = field(default_factory=dict)
    cohorts: Mapping[str, Cohort] = field(default_factory=dict)
    schemes: Mapping[str, SchemeFact] = field(default_factory=dict)


class Key(NamedTuple):
    """An award: what a person may hold once."""

    enrolment: str
    scheme: str
    occupation: str
    level: str


@dataclass(frozen=True, slots=True)
class Pass:
    """A passed attempt. ``gone_at`` is when it was voided or replaced."""

    on: date
    gone_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Suspension:
    """What the awarding body said."""

    at: datetime
    on: date
    reason: str


@dataclass(frozen=True, slots=True)
class Edition:
    """One certificate. ``awarded_on`` is None when a pass issued it: the day then follows from the passes.

    ``kept_on`` is the day that it stays at when it cannot follow them: see ``domain``.
    """

    made_by: Moment
    awarded_on: date | None
    kept_on: date | None = None
    number: str | None = None
    suspension: Suspension | None = None
    reinstated_at: datetime | None = None
    superseded: tuple[date, str] | None = None
    revoked: tuple[date, str] | None = None


@dataclass(frozen=True, slots=True)
class Award:
    """All that was said of one award. What is said of a certificate is said of the last edition."""

    attempts: tuple[Attempt, ...] = ()
    reports: tuple[TraineeAssessed, ...] = ()
    """What was said of each attempt, in the same order."""
    gone_passes: tuple[Pass, ...] = ()
    editions: tuple[Edition, ...] = ()

    @property
    def last(self) -> Edition:
        """The newest edition; there must be one."""
        return self.editions[-1]

    @property
    def passes(self) -> tuple[Pass, ...]:
        """The passes in force."""
        return tuple(Pass(attempt.on) for attempt in self.attempts if attempt.result == "pass")

    def gone_after(self, at: datetime) -> list[datetime]:
        """When those passes went that were voided or replaced after this moment."""
        return [passed.gone_at for passed in self.gone_passes if passed.gone_at and at < passed.gone_at]

    def with_last(self, edition: Edition) -> "Award":
        """The same with another newest edition."""
        return replace(self, editions=(*self.editions[:-1], edition))


@dataclass(frozen=True, slots=True)
class State:
    """What a unit's events have led to; ``pending`` holds, in order, those that cannot be applied (yet)."""

    awards: Mapping[Key, Award] = field(default_factory=dict)
    pending: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Holding:
    """An award with everything that its state depends on."""

    key: Key
    award: Award
    trainee: Trainee
    cohort: Cohort
    scheme: SchemeFact

    def issue_day(self) -> date | None:
        """The first day on which a pass and, where the scheme asks for it, completion stood together.

        A pass that was voided before completion came never issued anything; passes in force go before those that are gone.
        """
        earliest, until = date.min, date.max
        if self.scheme.completion_required:
            if self.trainee.completion == "none":
                return None
            earliest = self.trainee.completed_on or earliest
            if gone_at := self.trainee.completion_gone_at:
                until = self.cohort.day(gone_at)
        for passed in (*_by_day(self.award.passes), *_by_day(self.award.gone_passes)):
            day = max(passed.on, earliest)
            if day <= until and (passed.gone_at is None or day <= self.cohort.day(passed.gone_at)):
                return day
        return None

    def awarded_on(self, edition: Edition) -> date | None:
        """The day of the award, which a replacement keeps."""
        return edition.awarded_on or edition.kept_on or self.issue_day()

    def valid_until(self, edition: Edition) -> date | None:
        """The last day of validity, or None for ever."""
        day = self.awarded_on(edition)
        if day is None or self.scheme.valid_months is None:
            return None
        return _months_after(day, self.scheme.valid_months)

    def held(self) -> list[tuple[date, date]]:
        """First and last days on which the person holds a certificate of this award. Suspended is held; revoked is not.

        An edition that expired is followed by another award, not superseded: each that stands has days of its own.
        """
        standing = [one for one in self.award.editions if not one.revoked and not one.superseded]
        return [(self.awarded_on(one) or date.min, self.valid_until(one) or date.max) for one in standing]

    def is_live_on(self, day: date) -> bool:
        """Whether the person holds a certificate of this award on a day, or after it."""
        return any(day <= until for _, until in self.held())

    def basis_gone(self) -> list[datetime]:
        """When completion or the last pass went from under the certificate, as far as the body has not decided since."""
        last, gone = self.award.last, []
        if self.scheme.completion_required and (completion_gone := self.trainee.completion_gone_at):
            gone.append(completion_gone)
        # What the body awarded does not rest on a pass that was gone by then; what a pass issued rests on a pass, always.
        passes = self.award.gone_after(last.made_by[0] if last.awarded_on else datetime.min.replace(tzinfo=UTC))
        if passes and not self.award.passes:
            gone.append(max(passes))
        decided = last.reinstated_at
        return sorted(at for at in gone if decided is None or decided < at)

    def facts(self) -> Iterator[CertificateFact]:
        """One fact per edition; before the first one is issued, what led to it."""
        if self.award.editions:
            for number, edition in enumerate(self.award.editions, start=1):
                yield self._issued(number, edition)
        elif self.award.attempts:
            yield self._not_issued()

    def _not_issued(self) -> CertificateFact:
        complete = not self.scheme.completion_required or self.trainee.completion == "in-force"
        eligible = bool(self.award.passes) and complete
        # What a pass would have issued by itself is held back by another certificate of the person.
        held_back = eligible and self.scheme.rule == "on_pass"
        return self._fact(1, "eligible" if eligible else "assessed", "already_certified" if held_back else None)

    def _issued(self, number: int, edition: Edition) -> CertificateFact:
        fact = self._fact(number, "issued", None).model_copy(
            update={
                "number": edition.number,
                "awarded_on": self.awarded_on(edition),
                "valid_until": self.valid_until(edition),
            }
        )
        update: dict[str, object] = {}
        if edition.superseded:
            on, reason = edition.superseded
            update = {"status": "superseded", "superseded_on": on, "reason": reason}
        elif edition.revoked:
            on, reason = edition.revoked
            update = {"status": "revoked", "revoked_on": on, "reason": reason}
        elif edition.suspension:
            update = {"status": "suspended", "suspended_on": edition.suspension.on, "reason": edition.suspension.reason}
        elif edition is self.award.last and (gone := self.basis_gone()):
            update = {"status": "suspended", "suspended_on": self.cohort.day(gone[0]), "reason": "basis_withdrawn"}
        return fact.model_copy(update=update)

    def _fact(
        self, edition: int, status: Literal["assessed", "eligible", "issued"], reason: str | None
    ) -> CertificateFact:
        attempts = sorted(self.award.attempts, key=lambda attempt: attempt.attempt)
        return CertificateFact(
            certificate=certificate_id(*self.key, edition),
            enrolment=self.key.enrolment,
            cohort=self.trainee.cohort,
            trainee=self.trainee.number,
            person=self.trainee.person,
            country=self.trainee.country,
            scheme=self.key.scheme,
            occupation=self.key.occupation,
            level=self.key.level,
            edition=edition,
            status=status,
            reason=reason,
            attempts=attempts,
            assessed_on=min((attempt.on for attempt in attempts if attempt.result != "absent"), default=None),
            passed_on=min((passed.on for passed in self.award.passes), default=None),
        )


def _by_day(passes: tuple[Pass, ...]) -> list[Pass]:
    return sorted(passes, key=lambda passed: passed.on)


def _months_after(day: date, months: int) -> date:
    """The same day so many months later, or that month's last; not beyond the last year that a date may have."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    if year > LAST_YEAR:
        return date(LAST_YEAR, 12, 31)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
