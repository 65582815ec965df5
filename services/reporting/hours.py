"""Sessions as trainees are counted in them. Each is read once for all trainees of its cohort. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from shared.events.codes import hundredths
from shared.events.enrolment import Session, TraineeFact


@dataclass(frozen=True, slots=True)
class Given:
    """A session as its cohort's trainees are counted in it. Hours are in hundredths."""

    date: date
    month: str
    hours: int
    trade: str | None
    group: frozenset[str] | None
    absent: frozenset[str]
    partial: Mapping[str, int]

    @classmethod
    def of(cls, session: Session) -> "Given":
        return cls(
            session.date,
            month_of(session.date),
            hundredths(session.hours),
            session.trade,
            None if session.group is None else frozenset(session.group),
            frozenset(session.absent),
            {line.number: hundredths(line.hours) for line in reversed(session.partial)},
        )

    def given_to(self, enrolment: TraineeFact) -> int:
        """What the session gave to a trainee of its cohort.

        A group names its trainees one by one, so it counts before the trade. A trainee listed both as absent and as partly
        present is taken as partly present: somebody noted the hours.
        """
        number = enrolment.number
        if self.group is not None and number not in self.group:
            return 0
        if self.group is None and self.trade is not None and self.trade != enrolment.trade:
            return 0
        return self.partial.get(number, 0 if number in self.absent else self.hours)


def month_of(on: date) -> str:
    """A date's month as YYYY-MM."""
    return on.isoformat()[:7]
