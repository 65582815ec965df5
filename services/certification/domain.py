"""What certification decides: a set of events in, the standing of each event and the certificates out.

No I/O, no clock, no ids made. Everything is a function of the set of events and of what enrolment holds to be true, so the
order and number of arrivals do not matter.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from typing import Final, Literal, NamedTuple, cast

from services.certification import recognising
from services.certification.awards import Award, Edition, Key, Moment, Pass, Ref, State, Suspension, World
from services.certification.rules import (
    LIFTS,
    Case,
    held_besides,
    holding_of,
    holds_one,
    key_of,
    moment_of,
    number_of,
    obstacle,
    sentence,
    settled,
)
from shared.events.certification import Attempt, CertificateFact, RecognitionFact, SchemeFact
from shared.events.envelope import Event
from shared.events.offices_to_certification import (
    AwardRef,
    CertificateAwarded,
    CertificateNumbered,
    CertificateReplaced,
    CertificateRevoked,
    CertificateSuspended,
    RecognitionRef,
    SchemeRegistered,
    TraineeAssessed,
)
from shared.events.offices_to_enrolment import EventVoided
from shared.events.voids import Said, voids


class Outcome(NamedTuple):
    """An event's standing."""

    status: Literal["accepted", "waiting", "conflict"]
    code: str

    @property
    def sentence(self) -> str:
        return sentence(self.code)


APPLIED: Final = Outcome("accepted", "applied")


_OF_VOIDS: Final = {
    "applied": APPLIED,
    "voided": Outcome("accepted", "voided"),
    "event_unknown": Outcome("waiting", "event_unknown"),
}
"""How voids stand that contradict nothing."""


class Withdrawal(NamedTuple):
    """Why an event is out, and since when."""

    code: Literal["voided", "replaced"]
    at: datetime


def withdrawals(events: Iterable[Event]) -> tuple[dict[Ref, Withdrawal], dict[Ref, Outcome]]:
    """Which events are voided or replaced, and the outcomes of those voids and of replacements that cannot be."""
    events = list(events)
    if not any(event.replaces is not None or event.type == "event.voided.v1" for event in events):
        return {}, {}
    ordered = sorted(events, key=moment_of)
    known = {event.ref: event for event in ordered}
    taken_out, codes = voids(map(_said, ordered))
    out = {ref: Withdrawal("voided", known[void].time) for ref, void in taken_out.items()}
    outcomes = {ref: _OF_VOIDS.get(code) or Outcome("conflict", code) for ref, code in codes.items()}
    taken: dict[Ref, Withdrawal] = {}
    corrected_by: dict[Ref, Ref] = {}
    for event in ordered:
        if event.replaces is None or event.ref in out:
            continue
        ref = (event.source, event.replaces)
        if ref in known and known[ref].type != event.type:
            outcomes[event.ref] = Outcome("conflict", "type_differs")
        elif ref in taken:
            outcomes[event.ref] = Outcome("conflict", "already_replaced")
        elif _last_correction(event.ref, corrected_by) == ref:
            outcomes[event.ref] = Outcome("conflict", "replaces_itself")
        else:
            taken[ref] = Withdrawal("replaced", event.time)
            corrected_by[ref] = event.ref
    out = {ref: why for ref, why in (taken | out).items() if ref in known}
    return out, outcomes | {ref: Outcome("accepted", why.code) for ref, why in out.items()}


def _said(event: Event) -> Said:
    if not isinstance(event.data, EventVoided):
        return Said(event.ref, event.type)
    return Said(event.ref, event.type, (event.source, event.data.event), event.data.type)


def _last_correction(ref: Ref, corrected_by: Mapping[Ref, Ref]) -> Ref:
    while ref in corrected_by:
        ref = corrected_by[ref]
    return ref


@dataclass(frozen=True, slots=True)
class Schemes:
    """What a fold of scheme events leads to; a scheme that nobody registers any more is ``void``."""

    outcomes: dict[Ref, Outcome]
    schemes: dict[str, SchemeFact]


def fold_schemes(events: Iterable[Event]) -> Schemes:
    """The schemes that a set of events registers. Events on awards may be among them and are passed over."""
    events = list(events)
    if not any(event.type == "scheme.registered.v1" for event in events):
        return Schemes({}, {})
    _, settled = withdrawals(events)
    outcomes: dict[Ref, Outcome] = {}
    schemes: dict[str, SchemeFact] = {}
    for event in sorted(events, key=moment_of):
        if not isinstance(event.data, SchemeRegistered):
            continue
        there = schemes.get(event.data.scheme)
        free = there is None or there.status == "void"
        by_itself = APPLIED if free else Outcome("conflict", "scheme_already_registered")
        outcome = outcomes[event.ref] = settled.get(event.ref, by_itself)
        if outcome == APPLIED or there is None:
            schemes[event.data.scheme] = SchemeFact(
                **dict(event.data), office=event.source, status="registered" if outcome == APPLIED else "void"
            )
    return Schemes(outcomes, schemes)


@dataclass(frozen=True, slots=True)
class Recognitions:
    """What a fold of events on recognitions leads to: the outcome of each, and what is recognised by id."""

    outcomes: dict[Ref, Outcome] = field(default_factory=dict)
    recognitions: dict[str, RecognitionFact] = field(default_factory=dict)


def fold_recognitions(events: Iterable[Event], schemes: Mapping[str, SchemeFact]) -> Recognitions:
    """What countries recognise. Events on awards and schemes may be among them and are passed over.

    The set must hold whole units: with an event, all on what the same country recognises of the same, and those that void or
    replace it or that it voids or replaces.
    """
    events = sorted(events, key=moment_of)
    folded = Recognitions()
    if not any(isinstance(event.data, RecognitionRef) for event in events):
        return folded
    _, settled = withdrawals(events)
    told: dict[str, list[Event]] = {}
    for event in events:
        if not isinstance(event.data, RecognitionRef):
            continue
        if event.ref in settled:
            folded.outcomes[event.ref] = settled[event.ref]
        else:
            told.setdefault(recognising.recognised_by(event), []).append(event)
    for several in told.values():
        spans, stuck = recognising.decide(several, schemes.get(cast(RecognitionRef, several[0].data).scheme))
        folded.outcomes.update(dict.fromkeys((event.ref for event in several), APPLIED))
        folded.outcomes.update({ref: Outcome(guard.status, guard.code) for ref, guard in stuck.items()})
        folded.recognitions.update({fact.recognition: fact for fact in (span.fact() for span in spans)})
    return folded


@dataclass(frozen=True, slots=True)
class Decided:
    """The end of a fold: the outcome of each event on an award and of each void, and certificates by id."""

    outcomes: dict[Ref, Outcome] = field(default_factory=dict)
    certificates: dict[str, CertificateFact] = field(default_factory=dict)


def fold(events: Iterable[Event], world: World) -> Decided:
    """What a set of events leads to.

    The set must hold whole units: with an event, all events on enrolments of the same person, those that void or replace it or
    that it voids or replaces, and those that give the same number.
    """
    decided = Decided()
    for unit in units(events, world):
        out, outcomes = withdrawals(unit)
        state = State()
        applied: set[Ref] = set()
        ordered = sorted((event for event in unit if isinstance(event.data, AwardRef)), key=moment_of)
        for event in ordered:
            if event.ref in out:
                state = _remember_pass(state, event, world, out[event.ref])
            elif event.ref in outcomes:
                continue
            elif guard := settled(Case(state, world, event)):
                outcomes[event.ref] = Outcome(guard.status, guard.code)
            else:
                applied.add(event.ref)
                state = step(state, event, world)
        decided.outcomes.update(dict.fromkeys(applied, APPLIED))
        for event in state.pending:
            open_guard = obstacle(Case(state, world, event))
            assert open_guard is not None  # or it would not be pending
            applied.remove(event.ref)
            outcomes[event.ref] = Outcome(open_guard.status, open_guard.code)
        decided.outcomes.update(outcomes)
        for key in state.awards:
            facts = list(holding_of(state, world, key).facts())
            decided.certificates.update({fact.certificate: fact for fact in facts})
            if facts and (facts[0].status, facts[0].reason) == ("eligible", "already_certified"):
                decided.outcomes.update(_held_back(ordered, applied, key))
    return decided


def step(state: State, event: Event, world: World) -> State:
    """One more event that has passed the settled guards, and whatever was pending and can be applied now."""
    if obstacle(Case(state, world, event)):
        return replace(state, pending=(*state.pending, event))
    return _retry(_apply(state, event, world), event, world)


def _retry(state: State, event: Event, world: World) -> State:
    """Apply what an event made room for, in order; each of those may make room again."""
    award, lifted = _same_award(event, world), LIFTS[event.type]
    if event.type == "certificate.suspended.v1" and not any(one.time >= event.time for one in state.pending):
        return state  # a reinstatement never lifts a suspension that came after it
    while ready := next(
        (
            one
            for one in state.pending
            if one.type in lifted and _same_award(one, world) == award and not obstacle(Case(state, world, one))
        ),
        None,
    ):
        state = replace(state, pending=tuple(one for one in state.pending if one is not ready))
        state = _apply(state, ready, world)
        lifted |= LIFTS[ready.type]
    return state


def _same_award(event: Event, world: World) -> tuple[str, ...]:
    """Equal for events on awards that only one of may be live."""
    key = key_of(cast(AwardRef, event.data))
    return world.trainees[key.enrolment].person, *key[1:]


def units(events: Iterable[Event], world: World) -> list[list[Event]]:
    """Parts of a set that have nothing to do with each other."""
    parent: dict[object, object] = {}

    def root(node: object) -> object:
        while parent.setdefault(node, node) != node:
            parent[node] = node = parent[parent[node]]
        return node

    events = list(events)
    for event in events:
        own = root(("event", *event.ref))
        for tie in _ties(event, world):
            parent[root(tie)] = own
    parts: dict[object, list[Event]] = {}
    for event in events:
        parts.setdefault(root(("event", *event.ref)), []).append(event)
    return list(parts.values())


def _ties(event: Event, world: World) -> Iterable[tuple[str, ...]]:
    target = event.data.event if isinstance(event.data, EventVoided) else event.replaces
    if target is not None:
        yield "event", event.source, target
    if isinstance(event.data, AwardRef):
        trainee = world.trainees.get(event.data.enrolment_id)
        yield ("person", trainee.person) if trainee else ("enrolment", event.data.enrolment_id)
        if number := number_of(event):
            yield "number", event.source, number  # of any scheme: only the body itself gives its numbers


# ---- how each event changes an award


def _apply(state: State, event: Event, world: World) -> State:
    case = Case(state, world, event)
    state = _with_award(state, world, case.key, _EVOLVE[event.type](case.award, event))
    return _issue_passed(state, world, moment_of(event))


def _with_award(state: State, world: World, key: Key, award: Award) -> State:
    """An award as it now is. Its day follows its passes, but never into days on which the person holds another certificate."""
    after = replace(state, awards={**state.awards, key: award})
    if key not in state.awards or all(one.awarded_on or one.kept_on for one in state.awards[key].editions):
        return after
    day, now = holding_of(state, world, key).issue_day(), holding_of(after, world, key)
    besides = (days for other in held_besides(after, world, key) for days in other.held())
    held = sorted([*now.held(), *besides])
    if day == now.issue_day() or all(first[1] < second[0] for first, second in pairwise(held)):
        return after
    editions = tuple(replace(one, kept_on=one.kept_on or (None if one.awarded_on else day)) for one in award.editions)
    return replace(after, awards={**after.awards, key: replace(award, editions=editions)})


def _remember_pass(state: State, event: Event, world: World, why: Withdrawal) -> State:
    """A pass that is out is no attempt any more, but a certificate may rest on it."""
    case = Case(state, world, event)
    data = event.data
    if not isinstance(data, TraineeAssessed) or data.result != "pass" or settled(case):
        return state
    gone = (*case.award.gone_passes, Pass(data.date, why.at))
    state = _with_award(state, world, case.key, replace(case.award, gone_passes=gone))
    return _retry(_issue_passed(state, world, moment_of(event)), event, world)


def _issue_passed(state: State, world: World, now: Moment) -> State:
    """Issue what a pass issues by itself, if nothing but the pass was missing."""
    for key, award in state.awards.items():
        holding = holding_of(state, world, key)
        if holding.scheme.rule != "on_pass" or award.editions:
            continue
        day = holding.issue_day()
        if day is not None and not holds_one(state, world, key, day):
            issued = replace(award, editions=(Edition(made_by=now, awarded_on=None),))
            return _issue_passed(replace(state, awards={**state.awards, key: issued}), world, now)
    return state


def _held_back(events: Sequence[Event], applied: Set[Ref], key: Key) -> dict[Ref, Outcome]:
    """The passes that would have issued a certificate, if the person held none."""
    return {
        event.ref: Outcome("accepted", "passed_not_issued")
        for event in events
        if event.ref in applied
        and isinstance(event.data, TraineeAssessed)
        and event.data.result == "pass"
        and key_of(event.data) == key
    }


def _assessed(award: Award, event: Event) -> Award:
    data = cast(TraineeAssessed, event.data)
    attempt = Attempt(attempt=data.attempt, on=data.date, result=data.result)
    return replace(award, attempts=(*award.attempts, attempt), reports=(*award.reports, data))


def _awarded(award: Award, event: Event) -> Award:
    data = cast(CertificateAwarded, event.data)
    edition = Edition(made_by=moment_of(event), awarded_on=data.date, number=data.certificate_number)
    return replace(award, editions=(*award.editions, edition))


def _numbered(award: Award, event: Event) -> Award:
    data = cast(CertificateNumbered, event.data)
    return award.with_last(replace(award.last, number=data.certificate_number))


def _replaced(award: Award, event: Event) -> Award:
    # Day of award, suspension and what the body decided belong to the award, not to the paper.
    data = cast(CertificateReplaced, event.data)
    edition = replace(award.last, number=data.certificate_number)
    award = award.with_last(replace(award.last, superseded=(data.date, data.reason)))
    return replace(award, editions=(*award.editions, edition))


def _suspended(award: Award, event: Event) -> Award:
    data = cast(CertificateSuspended, event.data)
    # Said twice, the first stays: one reinstatement lifts both.
    suspension = award.last.suspension or Suspension(event.time, data.date, data.reason)
    return award.with_last(replace(award.last, suspension=suspension))


def _reinstated(award: Award, event: Event) -> Award:
    last = award.last
    lifted = last.suspension is not None and last.suspension.at <= event.time
    return award.with_last(
        replace(
            last,
            suspension=None if lifted else last.suspension,
            reinstated_at=max(event.time, last.reinstated_at or event.time),
        )
    )


def _revoked(award: Award, event: Event) -> Award:
    data = cast(CertificateRevoked, event.data)
    return award.with_last(replace(award.last, revoked=(data.date, data.reason)))


_EVOLVE: Final[dict[str, Callable[[Award, Event], Award]]] = {
    "trainee.assessed.v1": _assessed,
    "certificate.awarded.v1": _awarded,
    "certificate.numbered.v1": _numbered,
    "certificate.replaced.v1": _replaced,
    "certificate.suspended.v1": _suspended,
    "certificate.reinstated.v1": _reinstated,
    "certificate.revoked.v1": _revoked,
}
