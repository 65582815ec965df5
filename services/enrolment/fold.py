"""The state of a unit is the fold of the set of its events, whatever the order and number of their arrivals.

Events go by (time, rank of their type, source, id). One that cannot apply yet is kept, and tried again whenever another has
applied. Voids and replacements hold whatever their time: what they take out is never folded at all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from services.enrolment.domain import (
    APPLIED,
    REPLACED,
    VOIDED,
    Entry,
    Known,
    Ref,
    Standing,
    State,
    Undone,
)
from services.enrolment.rules import GUARDS, judge
from shared.events.offices_to_enrolment import EventVoided, SessionHeld
from shared.events.voids import Said, voids

SESSION = "session.held.v1"
PLACES = ("trainee.proposed.v1", "trainee.enrolled.v1")
"""Types that give somebody a place who had none."""
DETAILS_FORGOTTEN = Standing("accepted", "details_forgotten")
UNKNOWN = Standing("waiting", "event_unknown")
TYPE_DIFFERS = Standing("conflict", "type_differs")
ALREADY_VOIDED = Standing("conflict", "already_voided")
ALREADY_REPLACED = Standing("conflict", "already_replaced")
ITSELF = Standing("conflict", "replaces_itself")
VOIDS_ITSELF = Standing("conflict", "voids_itself")
ELSEWHERE = Standing("conflict", "belongs_elsewhere")
LINK_CODES = frozenset(
    standing.code
    for standing in (UNKNOWN, TYPE_DIFFERS, ALREADY_VOIDED, ALREADY_REPLACED, ITSELF, VOIDS_ITSELF, ELSEWHERE)
)
"""Codes of voids and replacements that do not hold: only the whole fold can change these."""
_OF_VOIDS = {
    standing.code: standing for standing in (APPLIED, VOIDED, UNKNOWN, TYPE_DIFFERS, ALREADY_VOIDED, VOIDS_ITSELF)
}


@dataclass(frozen=True, slots=True)
class Folded:
    """A state, and how each event stands that was judged on the way to it."""

    state: State
    standings: Mapping[Ref, Standing]


def fold(entries: Iterable[Entry], known: Known) -> Folded:
    """The state of a unit from the whole set of its events."""
    ordered = sorted(entries, key=lambda entry: entry.order)
    decided, undone = _links(ordered, known)
    return advance(State(undone=undone), [entry for entry in ordered if entry.ref not in decided], known, decided)


def advance(
    state: State, entries: Sequence[Entry], known: Known, standings: Mapping[Ref, Standing] | None = None
) -> Folded:
    """The short way: from a state on, with events in order that all come after what it was made from.

    Equal to the whole fold if none of them voids, replaces, or is voided or replaced.
    """
    judged = dict(standings or {})
    for entry in entries:
        state = _step(state, entry, known, judged)
    return Folded(state, judged)


class Later(NamedTuple):
    """An event of the journal that comes after a new one: what tells whether their order matters."""

    order: tuple[datetime, int, str, str]
    type: str
    enrolment: str | None


class Late(NamedTuple):
    """New events that come before others of the journal, where the unit need not be folded whole.

    ``apart`` pass by nothing that touches what they touch: sessions, and events of trainees. The trainees of ``again`` are folded
    anew, each by itself.
    """

    apart: Sequence[Entry]
    again: frozenset[str]


def late(entries: Sequence[Entry], later: Iterable[Later]) -> Late | None:
    """What of new events comes before others of the journal; None when that concerns the whole unit.

    Different trainees, and sessions, have nothing to do with each other; with the cohort's own events everything has.
    """
    last: dict[str | None, tuple[datetime, int, str, str]] = {}
    for one in later:
        last[_about(one)] = max(one.order, last.get(_about(one), one.order))
    end = max(last.values(), default=None)
    before = [] if end is None else [entry for entry in entries if entry.order < end]
    touched = [
        entry
        for entry in before
        if _about(entry) is None or any(one in last and entry.order < last[one] for one in (None, entry.enrolment))
    ]
    if any(entry.enrolment is None for entry in touched):
        return None
    again = frozenset(entry.enrolment for entry in touched if entry.enrolment)
    return Late([entry for entry in before if entry.enrolment not in again], again)


def _about(one: Entry | Later) -> str | None:
    """The trainee, or that it is a session; None for the cohort's own events."""
    return SESSION if one.type == SESSION else one.enrolment


def advance_late(
    state: State, settled: Iterable[Entry], entries: Sequence[Entry], late: Late, known: Known
) -> Folded | None:
    """The short way with events of which some come late; None when only the whole fold tells.

    ``settled`` are the events of the journal, but those that voids and replacements decide, that the trainees to be folded anew
    need: their own and the cohort's, which read nothing of other trainees or sessions. A trainee's event apart finds the same in
    its place and at the end. Sessions ask only who is there: nobody ever goes or comes later for one more event, and if
    somebody comes earlier, or by a place that waited, all is as it was if none waits.
    """
    again = late.again
    others = replace(state, pending=tuple(one for one in state.pending if one.enrolment not in again))
    folded = advance(others, [entry for entry in entries if entry.enrolment not in again], known)
    waiting = [one for one in (*others.pending, *folded.state.pending) if one.enrolment is None]
    sessions = [entry for entry in late.apart if entry.enrolment is None]
    if sessions and (waiting or any(folded.standings[entry.ref] != APPLIED for entry in sessions)):
        return None
    apart = {entry.ref for entry in late.apart}
    places = [entry for entry in (*entries, *state.pending) if entry.type in PLACES]
    come = any(entry.ref in apart or entry.enrolment in again for entry in places)
    if come and any(one.type == SESSION for one in waiting):
        return None
    own = (
        [entry for entry in (*settled, *entries) if _about(entry) is None or entry.enrolment in again] if again else []
    )
    anew = advance(State(), sorted(own, key=lambda entry: entry.order), known)
    enrolments = {key: one for key, one in folded.state.enrolments.items() if key not in again}
    enrolments |= {key: one for key, one in anew.state.enrolments.items() if key in again}
    pending = (*folded.state.pending, *(one for one in anew.state.pending if one.enrolment in again))
    standings = {entry.ref: anew.standings[entry.ref] for entry in own if entry.enrolment in again}
    ordered = tuple(sorted(pending, key=lambda entry: entry.order))
    return Folded(replace(folded.state, enrolments=enrolments, pending=ordered), {**folded.standings, **standings})


def linked(entry: Entry, standing: Standing) -> bool:
    """Whether voids and replacements decided how an event stands, so that it has no part in the fold."""
    return entry.voids is not None or standing in (VOIDED, REPLACED) or standing.code in LINK_CODES


def _step(state: State, entry: Entry, known: Known, judged: dict[Ref, Standing]) -> State:
    standing = judge(state, entry, known)
    judged[entry.ref] = _told(standing, entry, known)
    if standing != APPLIED:
        return replace(state, pending=(*state.pending, entry))
    state = GUARDS[entry.type].effect(state, entry)
    if not state.pending:
        return state
    news = _News.of(entry)
    while state.pending and news:
        left, later = [], _News()
        for waiting in state.pending:
            if news.may_change(waiting):
                standing = judge(state, waiting, known)
                judged[waiting.ref] = _told(standing, waiting, known)
                if standing == APPLIED:
                    state = GUARDS[waiting.type].effect(state, waiting)
                    news, later = news.and_of(waiting), later.and_of(waiting)
                    continue
            left.append(waiting)
        state, news = replace(state, pending=tuple(left)), later
    return state


def _told(standing: Standing, entry: Entry, known: Known) -> Standing:
    """The standing that the office is told: of somebody who was forgotten, an event's details have no part in the record."""
    forgotten = entry.person is not None and entry.enrolment in known.forgotten
    return DETAILS_FORGOTTEN if forgotten and standing == APPLIED else standing


@dataclass(frozen=True, slots=True)
class _News:
    """What has changed, so that only what may hang on it is tried again; else thousands of waiting events would be tried
    at each one that applies."""

    cohort: bool = False
    someone: bool = False
    """Somebody has a place who had none, perhaps: what sessions wait for."""
    trainees: frozenset[str] = frozenset()
    sessions: frozenset[int] = frozenset()
    """Numbers of sessions that are taken now: whatever waits with one of these contradicts."""

    @classmethod
    def of(cls, entry: Entry) -> "_News":
        return cls().and_of(entry)

    def and_of(self, entry: Entry) -> "_News":
        if isinstance(entry.data, SessionHeld):
            return replace(self, sessions=self.sessions | {entry.data.session})
        if entry.enrolment is None:
            return replace(self, cohort=True)
        someone = self.someone or entry.type in PLACES
        return replace(self, someone=someone, trainees=self.trainees | {entry.enrolment})

    def __bool__(self) -> bool:
        return self.cohort or bool(self.trainees or self.sessions)

    def may_change(self, waiting: Entry) -> bool:
        if isinstance(waiting.data, SessionHeld) and waiting.data.session in self.sessions:
            return True
        return self.cohort or (self.someone if waiting.enrolment is None else waiting.enrolment in self.trainees)


def undone(entries: Iterable[Entry], known: Known) -> Undone:
    """What voids and replacements took from under completions; ``entries`` may be only those that act or are acted on."""
    return _links(sorted(entries, key=lambda entry: entry.order), known)[1]


def _links(ordered: Sequence[Entry], known: Known) -> tuple[dict[Ref, Standing], Undone]:
    """How the events stand that void, are voided or are replaced, and those replacements that cannot hold."""
    if not any(entry.replaces is not None or entry.type == "event.voided.v1" for entry in ordered):
        return {}, Undone()
    by_ref = {entry.ref: entry for entry in ordered}
    out, codes = voids(Said(entry.ref, entry.type, entry.voids, _type_named(entry)) for entry in ordered)
    decided = dict.fromkeys(out, VOIDED) | {ref: _OF_VOIDS[code] for ref, code in codes.items()}
    acts = [(by_ref[void], by_ref[target]) for target, void in out.items()]
    replacements: dict[Ref, Ref] = {}  # target -> what replaced it
    for entry in ordered:
        if entry.replaces is None or entry.ref in decided:
            continue
        target = (entry.source, entry.replaces)
        flaw = _flaw(entry, target, by_ref, replacements, known)
        if flaw:
            decided[entry.ref] = flaw
        elif target in by_ref:
            replacements[target] = entry.ref
            acts.append((entry, by_ref[target]))
    for target in replacements:
        decided.setdefault(target, REPLACED)
    return decided, _undone(acts)


def _type_named(void: Entry) -> str:
    return void.data.type if isinstance(void.data, EventVoided) else ""


def _flaw(
    entry: Entry, target: Ref, by_ref: Mapping[Ref, Entry], replacements: Mapping[Ref, Ref], known: Known
) -> Standing | None:
    if target in known.elsewhere:
        return ELSEWHERE
    if target not in by_ref:
        return None
    if by_ref[target].type != entry.type:
        return TYPE_DIFFERS
    if target in replacements:
        return ALREADY_REPLACED
    last = entry.ref
    while last in replacements:
        last = replacements[last]
    return ITSELF if last == target else None


def _undone(acts: Iterable[tuple[Entry, Entry]]) -> Undone:
    completions: dict[str, datetime] = {}
    places: dict[str, datetime] = {}
    cohort: datetime | None = None
    for act, target in sorted(acts, key=lambda pair: pair[0].time):
        if target.type == "trainee.completed.v1" and target.enrolment:
            completions[target.enrolment] = act.time
        elif target.type in PLACES and target.enrolment:
            places[target.enrolment] = act.time
        elif target.type in ("cohort.announced.v1", "cohort.started.v1"):
            cohort = act.time
    return Undone(completions, places, cohort)
