"""What is counted, by what, and how: the rules behind every report. No I/O.

A cube cell says how many of one measure there are at one place in every dimension. What a row contributes to the cube depends on
the rows alone (a cohort, an enrolment, its certificates, a person's other enrolments), never on the order in which they
came, so the cube is kept by ``new - old`` and a recount must always give it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import NamedTuple

from services.reporting.hours import Given, month_of
from shared.events.certification import CertificateFact
from shared.events.codes import Model
from shared.events.enrolment import CohortFact, TraineeFact

NOT_APPLICABLE = "_Z"
"""SDMX: the dimension does not apply to the measure."""
UNKNOWN = "_U"
"""SDMX: the dimension applies, and its value is not known."""


class Cell(NamedTuple):
    """One cell of the cube: a measure and its place in every dimension."""

    measure: str = ""
    programme: str = NOT_APPLICABLE
    country: str = NOT_APPLICABLE
    host_country: str = NOT_APPLICABLE
    sending_centre: str = NOT_APPLICABLE
    host_centre: str = NOT_APPLICABLE
    cohort: str = NOT_APPLICABLE
    trade: str = NOT_APPLICABLE
    mode: str = NOT_APPLICABLE
    scheme: str = NOT_APPLICABLE
    occupation: str = NOT_APPLICABLE
    level: str = NOT_APPLICABLE
    sex: str = NOT_APPLICABLE
    role: str = NOT_APPLICABLE
    age_band: str = NOT_APPLICABLE
    disability: str = NOT_APPLICABLE
    outcome: str = NOT_APPLICABLE
    months_after: str = NOT_APPLICABLE
    month: str = NOT_APPLICABLE
    start_month: str = NOT_APPLICABLE
    end_month: str = NOT_APPLICABLE


DIMENSIONS: Mapping[str, str] = {
    "programme": "The cohort's programme.",
    "country": "The sending country, ISO 3166-1 alpha-2.",
    "host_country": "The country that hosts the cohort, ISO 3166-1 alpha-2.",
    "sending_centre": "The centre that sent the trainee; _U when none was named.",
    "host_centre": "The centre that hosts the cohort.",
    "cohort": "The cohort.",
    "trade": "The trainee's trade.",
    "mode": "How the cohort is taught: in-person, online or blended.",
    "scheme": "The certification scheme.",
    "occupation": "The occupation, by the scheme's own code.",
    "level": "The scheme's level, by name.",
    "sex": "F, M, or U when not known. For learners_reached the learners', not the teacher's.",
    "role": "What the trainee is: student, teacher, worker, official or coach.",
    "age_band": "Age in completed years on the cohort's first day; _U when the birth date is not known.",
    "disability": "yes, no or not-stated.",
    "outcome": "What the trainee does some months after completion.",
    "months_after": "How many months after completion an outcome was reported for.",
    "month": "The month in which it happened, YYYY-MM, at the cohort's place.",
    "start_month": "The month in which the cohort was to start, YYYY-MM.",
    "end_month": "The month in which the cohort was to end, YYYY-MM.",
}
"""Each dimension, and what its values say."""

_OF_COHORT = ("programme", "host_country", "host_centre", "cohort", "mode", "month", "start_month", "end_month")
_OF_PLACES = (*_OF_COHORT, "country")
_OF_TRAINEE = (*_OF_PLACES, "sending_centre", "trade", "sex", "role", "age_band", "disability")
_OF_AWARD = (*_OF_TRAINEE, "scheme", "occupation", "level")
_OF_OUTCOME = (*_OF_TRAINEE, "outcome", "months_after")
_OF_LEARNERS = tuple(name for name in _OF_OUTCOME if name not in ("age_band", "disability"))


@dataclass(frozen=True, slots=True)
class Measure:
    """What is counted, in a sentence; the dimensions that apply; in what parts of one it is kept."""

    counts: str
    dimensions: tuple[str, ...]
    parts: int = 1


MEASURES: Mapping[str, Measure] = {
    "places": Measure("Places in announced cohorts, per sending country, when the cohort was announced.", _OF_PLACES),
    "proposed": Measure("Trainees proposed for a place, when they were proposed.", _OF_TRAINEE),
    "declined": Measure("Trainees whose proposal was declined, when it was.", _OF_TRAINEE),
    "enrolled": Measure("Trainees enrolled, when they were; also those who withdrew later.", _OF_TRAINEE),
    "started": Measure(
        "Trainees enrolled in a cohort that started, who arrived and had not left before; when the cohort started.",
        _OF_TRAINEE,
    ),
    "withdrawn": Measure("Trainees who withdrew, when they did.", _OF_TRAINEE),
    "completed": Measure("Trainees who completed the cohort, when they did.", _OF_TRAINEE),
    "assessed": Measure("Trainees assessed, once per scheme and level, at the first assessment.", _OF_AWARD),
    "passed": Measure("Trainees who passed, once per scheme and level, at the first pass.", _OF_AWARD),
    "certified": Measure(
        "Trainees awarded a certificate, once per scheme and level, at the first award; a later revocation, "
        "suspension or replacement takes nothing away.",
        _OF_AWARD,
    ),
    "revoked": Measure("Certificates revoked, once per trainee, scheme and level, at the first revocation.", _OF_AWARD),
    "nominated": Measure("Nominations to a competition, once per trainee, competition and skill.", _OF_TRAINEE),
    "placed": Measure("Placings in a competition, once per trainee, competition and skill.", _OF_TRAINEE),
    "training_hours": Measure(
        "Hours of training received: per session and trainee who had started and not left, absences taken off; "
        "in the session's month.",
        _OF_TRAINEE,
        parts=100,
    ),
    "outcomes": Measure("Reports of what trainees do some months after completion, by the report's date.", _OF_OUTCOME),
    "learners_reached": Measure(
        "Learners whom returned trainees have taught since, by the learners' sex and the report's date.", _OF_LEARNERS
    ),
    "people": Measure(
        "People, each once: at their first enrolment, with that enrolment's dimensions and month.", _OF_TRAINEE
    ),
}
"""Each measure, in the order of a trainee's way through the programme."""


class Version(NamedTuple):
    """Which of two facts of one thing is the newer: a restore raises the epoch, every change the revision."""

    epoch: int
    revision: int


NEVER = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Known:
    """A fact as it was heard: the whole state of the thing that ``kind`` and ``key`` name.

    ``position`` is its place in its stream, ``time`` when its service recorded it, ``cause`` the event behind it.
    """

    kind: str
    key: str
    version: Version
    data: Model
    position: int = 0
    time: datetime = NEVER
    cause: str | None = None


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


@dataclass(frozen=True, slots=True)
class Course:
    """A cohort with what the counts of all its trainees have in common, made once for all of them."""

    cohort: CohortFact
    cell: Cell
    sessions: Sequence[Given]

    @classmethod
    def of(cls, cohort: CohortFact) -> "Course":
        return cls(cohort, _of_cohort(cohort), [Given.of(session) for session in cohort.sessions])


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


def count_all(rows: Rows) -> Counter[Cell]:
    """The whole cube."""
    persons = frozenset(enrolment.person for enrolment in rows.enrolments.values())
    return count(rows, Scope(frozenset(rows.cohorts), frozenset(rows.enrolments), persons=persons))


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
    count_awards(tally, trainee, certificates, times)
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
    return {
        "proposed": enrolment.proposed_on,
        "declined": enrolment.declined_on,
        "enrolled": enrolment.enrolled_on,
        "started": started_on(cohort, enrolment),
        "withdrawn": enrolment.withdrawn_on,
        "completed": enrolment.completed_on if enrolment.completion == "in-force" else None,
    }


def people_contribution(lines: Iterable[tuple[CohortFact, TraineeFact]]) -> Counter[Cell]:
    """One person, counted at the first of their enrolments: by date, then by enrolment id."""
    enrolled = [
        (enrolment.enrolled_on, enrolment.enrolment, cohort, enrolment)
        for cohort, enrolment in lines
        if enrolment.enrolled_on is not None and "void" not in (cohort.status, enrolment.status)
    ]
    if not enrolled:
        return Counter()
    on, _, cohort, enrolment = min(enrolled, key=lambda line: line[:2])
    return Counter({at(_of_trainee(_of_cohort(cohort), enrolment), "people", on): 1})


def started_on(cohort: CohortFact, enrolment: TraineeFact) -> date | None:
    """When the trainee started, if they did: with the cohort, unless they did not arrive or had left before."""
    if cohort.started_on is None or enrolment.enrolled_on is None or not enrolment.arrived:
        return None
    return None if _left_before(enrolment, cohort.started_on) else cohort.started_on


def _left_before(enrolment: TraineeFact, on: date) -> bool:
    return any(left is not None and left < on for left in (enrolment.declined_on, enrolment.withdrawn_on))


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


def count_awards(tally: Tally, trainee: Cell, certificates: Iterable[CertificateFact], times: int = 1) -> None:
    """Count what was awarded so many times: -1 takes it away."""
    awards = [award for award in certificates if award.status != "void"]
    for measure, date_of in _AWARD_DATES.items():
        first: dict[tuple[str, str], tuple[date, str]] = {}
        for award in awards:
            if (on := date_of(award)) is not None:
                key, candidate = (award.scheme, award.level), (on, award.occupation)
                first[key] = min(first.get(key, candidate), candidate)
        for (scheme, level), (on, occupation) in first.items():
            cell = at(trainee, measure, on)._replace(scheme=scheme, occupation=occupation, level=level)
            tally[cell] += times


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
    if started_on(course.cohort, enrolment) is None:
        return
    left = left_on(enrolment)
    received: dict[str, int] = {}
    for session in sessions:
        if session.date <= left:
            received[session.month] = received.get(session.month, 0) + session.given_to(enrolment)
    for month, hours in received.items():
        if hours:
            tally[_in(trainee, "training_hours", month)] += times * hours


def left_on(enrolment: TraineeFact) -> date:
    """The last day, if there was one."""
    return min((on for on in (enrolment.declined_on, enrolment.withdrawn_on) if on is not None), default=date.max)


def count_outcomes(tally: Tally, trainee: Cell, enrolment: TraineeFact, times: int = 1) -> None:
    """The same of what became of the trainee."""
    for report in enrolment.outcomes:
        cell = at(trainee, "outcomes", report.on)._replace(
            outcome=report.outcome, months_after=str(report.months_after)
        )
        tally[cell] += times
        learners = cell._replace(measure="learners_reached", age_band=NOT_APPLICABLE, disability=NOT_APPLICABLE)
        for sex, reached in (("F", report.learners.women), ("M", report.learners.men)):
            if reached:
                tally[learners._replace(sex=sex)] += times * reached
