"""What one enrolment counts in a figure, reckoned anew from its rows by the rules of the cube."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.reporting.domain import (
    COUNTED,
    Cell,
    Course,
    Rows,
    Tally,
    cohort_contributions,
    contributions,
    count_hours,
    place_of,
)
from services.reporting.queries import Number
from services.reporting.questions import Question
from services.reporting.rates import RATES
from shared.events.attendance import Given
from shared.events.certification import CertificateFact


@dataclass(frozen=True, slots=True)
class Counted:
    """What one enrolment counts in a figure."""

    cohort: str
    enrolment: str
    person: str | None
    country: str | None
    host_country: str
    sending_centre: str | None
    value: int
    of: int

    @property
    def key(self) -> str:
        return f"{self.cohort}.{self.enrolment}"


@dataclass(frozen=True, slots=True)
class Reckoner:
    """A figure's rule for one enrolment: what it counts of the cells that the enrolment makes."""

    question: Question

    @property
    def measure(self) -> str:
        return self.question.measures[0]

    @property
    def counts(self) -> frozenset[str]:
        """The counts that the measure is made of; people are those who are enrolled."""
        if self.measure in RATES:
            return frozenset(term.measure for term in RATES[self.measure].terms)
        return frozenset({"enrolled" if self.measure == "people" else self.measure})

    @property
    def of_sessions(self) -> bool:
        """Whether a cohort's sessions are counted; what is not counts the same whatever they are."""
        return "training_hours" in self.counts

    def of(self, cells: Mapping[Cell, int]) -> tuple[int, int]:
        """The value and, of a rate, the denominator."""
        counts, months = self.counts, "end_month" if self.question.basis_of(self.measure) == "cohort" else "month"
        first, last = self.question.from_month or "", self.question.to_month or "~"
        mine = [
            (cell, value)
            for cell, value in cells.items()
            if cell.measure in counts
            and first <= getattr(cell, months) <= last
            and all(getattr(cell, name) in values for name, values in self.question.where)
        ]
        if self.measure in RATES:
            return RATES[self.measure].parts((cell._asdict(), value) for cell, value in mine)
        if self.measure == "people":
            return int(bool(mine)), 0
        return sum(value for _, value in mine), 0

    def counted(self, rows: Rows) -> Iterable[Counted]:
        """What each enrolment of some rows counts, or each cohort where places are asked for."""
        for course in rows.cohorts.values() if self.measure == "places" else ():
            value, of = self.of(cohort_contributions(course))
            yield Counted(course.cohort, "", None, None, course.host_country, None, value, of)
        if self.measure == "places":
            return
        awards: dict[str, list[CertificateFact]] = defaultdict(list)
        for award in rows.certificates.values():
            awards[award.enrolment].append(award)
        for trainee in rows.enrolments.values():
            if (held := rows.cohorts.get(trainee.cohort)) is None:
                continue
            value, of = self.of(contributions(held, trainee, awards[trainee.enrolment]))
            yield Counted(
                trainee.cohort,
                trainee.enrolment,
                trainee.person,
                trainee.country,
                held.host_country,
                trainee.sending_centre,
                value,
                of,
            )

    def moved(self, rows: Rows, gone: Iterable[Given], come: Iterable[Given]) -> int:
        """By how much hours are others when a cohort's sessions are, and nothing else: each counts by itself."""
        tally: Tally = defaultdict(int)
        for trainee in rows.enrolments.values():
            if (held := rows.cohorts.get(trainee.cohort)) is None:
                continue
            course = Course.of(held)
            if (place := place_of(course, trainee)) is not None:
                count_hours(tally, place, course, gone, trainee, -1)
                count_hours(tally, place, course, come, trainee)
        return self.of(tally)[0]

    def shown(self, value: int) -> Number:
        parts = 1 if self.measure in RATES else COUNTED[self.measure].parts
        return value if parts == 1 else value / parts
