"""What is counted, by what, and how: the rules behind every report. No I/O.

A cube cell says how many of one measure there are at one place in every dimension. What a row contributes to the cube depends on
the rows alone (a cohort, an enrolment, its certificates, a person's other enrolments), never on the order in which they
came, so the cube is kept by ``new - old`` and a recount must always give it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property, lru_cache
from typing import NamedTuple

from services.reporting.measures import (
    COUNTED,
    DIMENSIONS,
    EXCEPTIONS,
    MEASURES,
    NO_ANSWER,
    NOT_APPLICABLE,
    TOTAL,
    UNKNOWN,
    Cell,
)
from shared.events.attendance import Given, counted, started_on
from shared.events.certification import CertificateFact
from shared.events.codes import Model, month_of
from shared.events.enrolment import CohortFact, TraineeFact
from shared.events.facts import Version

__all__ = ["COUNTED", "DIMENSIONS", "EXCEPTIONS", "MEASURES", "NOT_APPLICABLE", "TOTAL", "UNKNOWN", "Cell"]
"""The words in which is counted, for whoever asks here."""


NEVER = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Known:
    """A fact as it was heard: the whole state of the thing that ``kind`` and ``key`` name.

    ``position`` is its place in its stream, ``time`` when its service recorded it, ``cause`` the event behind it, and ``step``
    the first state of the cube in which it was known: a dead letter is taken up later than what stands behind it in the stream.
    """

    kind: str
    key: str
    version: Version
    data: Model
    position: int = 0
    time: datetime = NEVER
    cause: str | None = None
    step: int = 0


def newest(facts: Iterable[Known], held: Mapping[tuple[str, str], Version]) -> list[Known]:
    """The newest fact of each thing, if it is newer than what is held of it."""
    latest: dict[tuple[str, str], Known] = {}
    for fact in facts:
        thing = fact.kind, fact.key
        so_far = latest[thing].version if thing in latest else held.get(thing)
        if so_far is None or fact.version > so_far:
            latest[thing] = fact
    return list(latest.values())


@dataclass(frozen=True, slots=True)
class Rows:
    """The newest state of some cohorts, enrolments and certificates, by id."""

    cohorts: dict[str, CohortFact] = field(default_factory=dict)
    enrolments: dict[str, TraineeFact] = field(default_factory=dict)
    certificates: dict[str, CertificateFact] = field(default_factory=dict)

    def put(self, data: Model) -> None:
        """Take up a thing's state, in the place of its older one."""
        if isinstance(data, CohortFact):
            self.cohorts[data.cohort] = data
        elif isinstance(data, TraineeFact):
            self.enrolments[data.enrolment] = data
        elif isinstance(data, CertificateFact):
            self.certificates[data.certificate] = data

    def with_changes(self, changed: "Rows") -> "Rows":
        """These rows, with others in the place of their older selves."""
        return Rows(
            self.cohorts | changed.cohorts,
            self.enrolments | changed.enrolments,
            self.certificates | changed.certificates,
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to be counted: cohorts' own measures, those of enrolments with their awards, people."""

    cohorts: frozenset[str] = frozenset()
    enrolments: frozenset[str] = frozenset()
    persons: frozenset[str] = frozenset()


Tally = defaultdict[Cell, int]
"""Counts on their way into a cube."""


@dataclass(frozen=True)
class Course:
    """A cohort with what the counts of all its trainees have in common, made once for all of them."""

    cohort: CohortFact
    cell: Cell

    @classmethod
    def of(cls, cohort: CohortFact) -> "Course":
        return cls(cohort, _of_cohort(cohort))

    @cached_property
    def sessions(self) -> Sequence[Given]:
        """Its hours: read when they are counted."""
        return [Given.of(session) for session in self.cohort.sessions]


def count(rows: Rows, scope: Scope) -> Counter[Cell]:
    """What the rows in ``scope`` contribute to the cube; a row that is not there contributes nothing."""
    tally: Tally = defaultdict(int)
    awards = defaultdict(list)
    for certificate in rows.certificates.values():
        awards[certificate.enrolment].append(certificate)
    courses = {code: Course.of(cohort) for code, cohort in rows.cohorts.items()} if scope.enrolments else {}
    for key in scope.enrolments & rows.enrolments.keys():
        enrolment = rows.enrolments[key]
        if course := courses.get(enrolment.cohort):
            contribute(tally, course, enrolment, awards[key])
    counted = Counter(tally)
    for code in scope.cohorts & rows.cohorts.keys():
        counted.update(cohort_contributions(rows.cohorts[code]))
    places = defaultdict(list)
    for enrolment in rows.enrolments.values():
        if enrolment.person in scope.persons and (held := rows.cohorts.get(enrolment.cohort)):
            places[enrolment.person].append((held, enrolment))
    for lines in places.values():
        counted.update(people_contribution(lines))
    return counted


def cohort_contributions(cohort: CohortFact) -> Counter[Cell]:
    """The places that an announced cohort offers."""
    counted: Counter[Cell] = Counter()
    if cohort.status == "void":
        return counted
    for line in cohort.places:
        if line.places:
            cell = _of_cohort(cohort)._replace(
                measure="places", country=line.country, month=month_of(cohort.announced_on)
            )
            counted[cell] += line.places
    return counted


def contributions(cohort: CohortFact, enrolment: TraineeFact, certificates: Iterable[CertificateFact]) -> Counter[Cell]:
    """All that one enrolment and its certificates contribute, except the person behind it."""
    tally: Tally = defaultdict(int)
    contribute(tally, Course.of(cohort), enrolment, certificates)
    return Counter(tally)


def contribute(
    tally: Tally,
    course: Course,
    enrolment: TraineeFact,
    certificates: Iterable[CertificateFact],
    times: int = 1,
) -> None:
    """Count all that one enrolment and its certificates contribute, except the person behind it, so many times."""
    trainee = place_of(course, enrolment)
    if trainee is None:
        return
    count_awards(tally, trainee, awarded(certificates), times)
    for measure, on in dates_of(course.cohort, enrolment).items():
        if on is not None:
            tally[at(trainee, measure, on)] += times
    count_competitions(tally, trainee, enrolment, times)
    count_hours(tally, trainee, course, course.sessions, enrolment, times)
    count_outcomes(tally, trainee, enrolment, times)


def place_of(course: Course, enrolment: TraineeFact) -> Cell | None:
    """The trainee's place in the dimensions; None where nothing is counted."""
    return None if "void" in (course.cohort.status, enrolment.status) else _of_trainee(course.cell, enrolment)


def dates_of(cohort: CohortFact, enrolment: TraineeFact) -> dict[str, date | None]:
    """The measures that count a trainee once, each with its day, if there is one."""
    started, completed = started_on(cohort, enrolment), completed_on(enrolment)
    return {
        "proposed": enrolment.proposed_on,
        "declined": enrolment.declined_on,
        "enrolled": enrolment.enrolled_on,
        "started": started,
        "withdrawn": enrolment.withdrawn_on,
        "completed": completed,
        "completed_outside": completed if started is None else None,
    }


def completed_on(enrolment: TraineeFact) -> date | None:
    """When the trainee completed, if that stands."""
    return enrolment.completed_on if enrolment.completion == "in-force" else None


def people_contribution(lines: Iterable[tuple[CohortFact, TraineeFact]]) -> Counter[Cell]:
    """One person, once in each cell of people that one of their enrolments is in."""
    places = {
        (cohort.programme, enrolment.country, enrolment.sex, cohort.cohort)
        for cohort, enrolment in lines
        if enrolment.enrolled_on is not None and "void" not in (cohort.status, enrolment.status)
    }
    return Counter({cell: 1 for place in places for cell in _cells_of_people(*place)})


@lru_cache(maxsize=4096)
def _cells_of_people(programme: str, country: str, sex: str, cohort: str) -> tuple[Cell, ...]:
    people = Cell("people", programme=TOTAL, country=TOTAL, sex=TOTAL, cohort=TOTAL)
    wide = [
        people._replace(programme=one, country=two, sex=three)
        for one in (TOTAL, programme)
        for two in (TOTAL, country)
        for three in (TOTAL, sex)
    ]
    return (*wide, *(people._replace(programme=programme, cohort=cohort, country=two) for two in (TOTAL, country)))


def _of_cohort(cohort: CohortFact) -> Cell:
    return Cell(
        programme=cohort.programme,
        host_country=cohort.host_country,
        host_centre=cohort.host_centre,
        cohort=cohort.cohort,
        mode=cohort.mode,
        start_month=month_of(cohort.starts_on),
        end_month=month_of(cohort.ends_on),
    )


def _of_trainee(course: Cell, enrolment: TraineeFact) -> Cell:
    return course._replace(
        country=enrolment.country,
        sending_centre=enrolment.sending_centre or UNKNOWN,
        trade=enrolment.trade,
        sex=enrolment.sex,
        role=enrolment.role,
        age_band=enrolment.age_band,
        disability=enrolment.disability,
    )


def at(cell: Cell, measure: str, on: date) -> Cell:
    """A trainee's place in the month of a day."""
    return _in(cell, measure, month_of(on))


def _in(cell: Cell, measure: str, month: str) -> Cell:
    # What _replace does, in a fifth of its time.
    return Cell._make((measure, *cell[1:_MONTH], month, *cell[_MONTH + 1 :]))


_MONTH = Cell._fields.index("month")


_AWARD_DATES: Mapping[str, Callable[[CertificateFact], date | None]] = {
    "assessed": lambda award: award.assessed_on,
    "passed": lambda award: award.passed_on,
    "certified": lambda award: award.awarded_on,
    "revoked": lambda award: award.revoked_on,
}


class Awarded(NamedTuple):
    """Something that is counted once of a trainee for a scheme and level, with its day."""

    measure: str
    scheme: str
    level: str
    occupation: str
    on: date


def awarded(certificates: Iterable[CertificateFact]) -> set[Awarded]:
    """What is counted of a trainee's certificates."""
    awards = [award for award in certificates if award.status != "void"]
    found: set[Awarded] = set()
    assessed: dict[tuple[str, str], str] = {}
    for measure, date_of in _AWARD_DATES.items():
        first: dict[tuple[str, str], tuple[date, str]] = {}
        for award in awards:
            if (on := date_of(award)) is not None:
                key, candidate = (award.scheme, award.level), (on, award.occupation)
                first[key] = min(first.get(key, candidate), candidate)
        for (scheme, level), (on, occupation) in first.items():
            found.add(Awarded(measure, scheme, level, occupation, on))
            if measure == "assessed":
                assessed[scheme, level] = occupation
            elif measure != "revoked" and assessed.get((scheme, level)) != occupation:
                found.add(Awarded(f"{measure}_outside", scheme, level, occupation, on))
    return found


def count_awards(tally: Tally, trainee: Cell, awards: Iterable[Awarded], times: int = 1) -> None:
    """Count what was awarded so many times: -1 takes it away."""
    for award in awards:
        cell = at(trainee, award.measure, award.on)
        tally[cell._replace(scheme=award.scheme, occupation=award.occupation, level=award.level)] += times


def count_competitions(tally: Tally, trainee: Cell, enrolment: TraineeFact, times: int = 1) -> None:
    """The same of nominations and placings."""
    for measure, lines in (("nominated", enrolment.nominations), ("placed", enrolment.placings)):
        first: dict[tuple[str, str], date] = {}
        for line in lines:
            key = line.competition, line.skill
            first[key] = min(first.get(key, line.on), line.on)
        for on in first.values():
            tally[at(trainee, measure, on)] += times


def count_hours(
    tally: Tally, trainee: Cell, course: Course, sessions: Iterable[Given], enrolment: TraineeFact, times: int = 1
) -> None:
    """The same of the hours that some of the course's sessions gave."""
    received: dict[str, int] = {}
    number = enrolment.number
    for session in counted(course.cohort, sessions, enrolment):
        received[session.month] = received.get(session.month, 0) + session.hours_of(number)
    for month, hours in received.items():
        if hours:
            tally[_in(trainee, "training_hours", month)] += times * hours


def count_outcomes(tally: Tally, trainee: Cell, enrolment: TraineeFact, times: int = 1) -> None:
    """The same of what became of the trainee."""
    answered: set[int] | None = None if completed_on(enrolment) is None else set()
    for report in enrolment.outcomes:
        cell = at(trainee, "outcomes", report.on)._replace(
            outcome=report.outcome, months_after=str(report.months_after)
        )
        tally[cell] += times
        if report.outcome != NO_ANSWER:
            if answered is None or report.months_after in answered:
                tally[cell._replace(measure="answered_outside")] += times
            else:
                answered.add(report.months_after)
        learners = cell._replace(measure="learners_reached", age_band=NOT_APPLICABLE, disability=NOT_APPLICABLE)
        for sex, reached in (("F", report.learners.women), ("M", report.learners.men)):
            if reached:
                tally[learners._replace(sex=sex)] += times * reached
