"""What a change of rows adds to the cube and takes from it: new - old, counted only in what differs. No I/O.

Most facts change one thing about a trainee, and most of a cohort's add a session; counting all of a trainee before and after, to
find the rest equal, was the most that reporting did.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from services.reporting.domain import (
    Cell,
    Course,
    Rows,
    Scope,
    Tally,
    at,
    awarded,
    completed_on,
    contribute,
    count,
    count_awards,
    count_competitions,
    count_hours,
    count_outcomes,
    dates_of,
    place_of,
)
from shared.events.attendance import Given, left_on, started_on
from shared.events.certification import CertificateFact
from shared.events.enrolment import TraineeFact


@dataclass(frozen=True, slots=True)
class Reach:
    """What the effect of a change depends on besides the rows that change, their enrolments and cohorts."""

    persons: set[str] = field(default_factory=set)
    """Who may be counted elsewhere by it, with all their enrolments and those cohorts."""
    awards: set[str] = field(default_factory=set)
    """The enrolments whose certificates are counted: by other certificates, or at another place."""


def reach(held: Rows, changed: Rows) -> Reach:
    """``held`` must hold the older selves of what changes, their enrolments and cohorts, and those of the new selves."""
    reached = Reach(awards={award.enrolment for award in changed.certificates.values()})
    old, new = _Lines(held), _Lines(held.with_changes(changed))
    for key in _enrolments(held, changed):
        was, now = old.line(key), new.line(key)
        if _elsewhere(was, now):
            reached.awards.add(key)
        reached.persons.update(_persons(was, now))
    return reached


def effect(held: Rows, changed: Rows) -> Counter[Cell]:
    """What ``changed`` adds to the cube and takes from it.

    ``held`` must hold the older selves of what is affected, and whatever else it reaches. A cohort's change reaches its
    enrolments, an enrolment's the person behind it, before and after; a certificate's reaches the awards of its enrolment and
    nothing else.
    """
    after = held.with_changes(changed)
    old, new = _Lines(held), _Lines(after)
    certified = {award.enrolment for award in changed.certificates.values()}
    difference = _Difference(changed.cohorts.keys() & held.cohorts.keys(), old, new)
    for key in certified | _enrolments(held, changed):
        difference.count(old.line(key), new.line(key), certified=key in certified)
    delta = Counter(difference.tally)
    cohorts, persons = frozenset(changed.cohorts), frozenset(difference.persons)
    delta.update(count(after, Scope(cohorts, persons=persons)))
    delta.subtract(count(held, Scope(cohorts, persons=persons)))
    return Counter({cell: value for cell, value in delta.items() if value})


def _enrolments(held: Rows, changed: Rows) -> set[str]:
    """Those that change, and those of cohorts that do."""
    return {key for key, one in held.enrolments.items() if one.cohort in changed.cohorts} | changed.enrolments.keys()


@dataclass(frozen=True, slots=True)
class _Line:
    """One enrolment with all that its counts depend on, but the person behind it."""

    course: Course
    enrolment: TraineeFact
    awards: Sequence[CertificateFact]
    place: Cell

    @property
    def attends(self) -> tuple[object, ...]:
        """What the hours of one session depend on besides the session and the place."""
        started = started_on(self.course.cohort, self.enrolment) is not None
        return started, left_on(self.enrolment), self.enrolment.number


class _Lines:
    """The lines of some rows; a cohort's sessions are read once."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._courses: dict[str, Course] = {}
        self._awards: defaultdict[str, list[CertificateFact]] = defaultdict(list)
        for certificate in rows.certificates.values():
            self._awards[certificate.enrolment].append(certificate)

    def course(self, code: str) -> Course:
        if code not in self._courses:
            self._courses[code] = Course.of(self._rows.cohorts[code])
        return self._courses[code]

    def line(self, key: str) -> _Line | None:
        """None where nothing of an enrolment is counted."""
        enrolment = self._rows.enrolments.get(key)
        if enrolment is None or enrolment.cohort not in self._rows.cohorts:
            return None
        course = self.course(enrolment.cohort)
        place = place_of(course, enrolment)
        return None if place is None else _Line(course, enrolment, self._awards.get(key, ()), place)


class _Difference:
    """Counts how lines differ from their older selves, and remembers the persons who may be counted elsewhere by it."""

    def __init__(self, cohorts: Iterable[str], old: _Lines, new: _Lines) -> None:
        """``cohorts`` are those that have changed, and were there."""
        self.tally: Tally = defaultdict(int)
        self.persons: set[str] = set()
        self._sessions = {code: sessions_moved(old.course(code), new.course(code)) for code in cohorts}

    def count(self, old: _Line | None, new: _Line | None, *, certified: bool) -> None:
        lines = [(line, times) for line, times in ((old, -1), (new, 1)) if line is not None]
        self.persons |= _persons(old, new)
        if old is None or new is None or old.place != new.place:
            for line, times in lines:
                contribute(self.tally, line.course, line.enrolment, line.awards, times)
            return
        was, now = old.enrolment, new.enrolment
        if certified:
            before, after = awarded(old.awards), awarded(new.awards)
            count_awards(self.tally, old.place, before - after, -1)
            count_awards(self.tally, new.place, after - before)
        if was is now and old.course.cohort is new.course.cohort:
            return
        self._hours(old, new)
        self._dates(old, new)
        if (was.nominations, was.placings) != (now.nominations, now.placings):
            for line, times in lines:
                count_competitions(self.tally, line.place, line.enrolment, times)
        if (was.outcomes, completed_on(was) is None) != (now.outcomes, completed_on(now) is None):
            for line, times in lines:
                count_outcomes(self.tally, line.place, line.enrolment, times)

    def _dates(self, old: _Line, new: _Line) -> None:
        before, after = dates_of(old.course.cohort, old.enrolment), dates_of(new.course.cohort, new.enrolment)
        for measure in before:
            if before[measure] != after[measure]:
                for on, times in ((before[measure], -1), (after[measure], 1)):
                    if on is not None:
                        self.tally[at(new.place, measure, on)] += times

    def _hours(self, old: _Line, new: _Line) -> None:
        # Who attends as before has other hours only from sessions that are not as before.
        gone, come = old.course.sessions, new.course.sessions
        if old.attends == new.attends:
            gone, come = self._sessions.get(new.enrolment.cohort, ((), ()))
        count_hours(self.tally, old.place, old.course, gone, old.enrolment, -1)
        count_hours(self.tally, new.place, new.course, come, new.enrolment)


def _elsewhere(old: _Line | None, new: _Line | None) -> bool:
    """Whether all of a line is counted at another place, or only before or only after."""
    return (old and old.place) != (new and new.place)


def _persons(old: _Line | None, new: _Line | None) -> set[str]:
    """Who may be counted elsewhere by it."""
    lines = [line.enrolment for line in (old, new) if line is not None]
    same = not _elsewhere(old, new) and len({(line.person, line.enrolled_on) for line in lines}) == 1
    return set() if same else {line.person for line in lines}


def sessions_moved(old: Course, new: Course) -> tuple[Sequence[Given], Sequence[Given]]:
    """The sessions that are no more, and those that were not; two that are alike in all are two."""
    gone, come = list(old.sessions), []
    for session in new.sessions:
        if session in gone:
            gone.remove(session)
        else:
            come.append(session)
    return gone, come
