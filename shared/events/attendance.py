"""Who attended what, for how many hours: one rule behind the desk's pages, what a person is given of themselves, and reports.

A session counts for a trainee who started, up to the day on which they left, if it was meant for them. No I/O.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from shared.events.codes import hundredths, month_of
from shared.events.enrolment import CohortFact, Session, TraineeFact


@dataclass(frozen=True, slots=True)
class Given:
    """A session as its cohort's trainees are counted in it, read once for all of them. Hours are in hundredths."""

    session: int
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
            session.session,
            session.date,
            month_of(session.date),
            hundredths(session.hours),
            session.trade,
            None if session.group is None else frozenset(session.group),
            frozenset(session.absent),
            {line.number: hundredths(line.hours) for line in reversed(session.partial)},
        )

    def hours_of(self, number: str) -> int:
        """What the session gave to a trainee for whom it was meant.

        A trainee listed both as absent and as partly present is taken as partly present: somebody noted the hours. Of two such
        lines the first counts.
        """
        return self.partial.get(number, 0 if number in self.absent else self.hours)


def counted(cohort: CohortFact, sessions: Iterable[Given], trainee: TraineeFact) -> list[Given]:
    """Those of some of the cohort's sessions that count for a trainee.

    Each was for everyone, for one trade, or for a group, which names its trainees one by one and so counts before the trade.
    """
    if started_on(cohort, trainee) is None:
        return []
    left, number, trades = left_on(trainee), trainee.number, (None, trainee.trade)
    return [
        session
        for session in sessions
        if session.date <= left and (session.trade in trades if session.group is None else number in session.group)
    ]


def started_on(cohort: CohortFact, trainee: TraineeFact) -> date | None:
    """When the trainee started, if they did: with the cohort, unless they did not arrive or had left before."""
    if "void" in (cohort.status, trainee.status):
        return None
    if cohort.started_on is None or trainee.enrolled_on is None or not trainee.arrived:
        return None
    return None if left_on(trainee) < cohort.started_on else cohort.started_on


def left_on(trainee: TraineeFact) -> date:
    """The last day, if there was one; else the last of the calendar."""
    return min(trainee.declined_on or date.max, trainee.withdrawn_on or date.max)
