"""The rules of certification: ranks, roles, and what can stand in the way of each type of event.

``docs`` shows these tables as they are; each code has its sentence here or in ``sentences``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Final, Literal, cast

from services.certification import recognising
from services.certification.awards import Award, Cohort, Holding, Key, Moment, State, Trainee, World
from services.certification.sentences import SENTENCES
from shared.events.certification import SchemeFact
from shared.events.envelope import Event
from shared.events.offices_to_certification import (
    AwardRef,
    CertificateAwarded,
    CertificateNumbered,
    CertificateReplaced,
    TraineeAssessed,
)
from shared.events.offices_to_enrolment import EventVoided

RANKS: Final[dict[str, int]] = {
    "scheme.registered.v1": 0,
    "trainee.assessed.v1": 10,
    "certificate.awarded.v1": 20,
    "certificate.numbered.v1": 30,
    "certificate.replaced.v1": 40,
    "certificate.suspended.v1": 50,
    "certificate.reinstated.v1": 60,
    "certificate.revoked.v1": 70,
    "recognition.granted.v1": 80,
    "recognition.withdrawn.v1": 85,
    "event.voided.v1": 90,
}
"""Among events of the same moment, the lower rank comes first."""

_OTHERS: Final = {
    "trainee.assessed.v1": frozenset({"awarding-body", "host-centre"}),
    **dict.fromkeys(recognising.GUARDS, frozenset({"recognition-authority"})),
}
ROLES: Final[dict[str, frozenset[str]]] = {
    name: _OTHERS.get(name, frozenset({"awarding-body"})) for name in RANKS if name != "event.voided.v1"
}
"""Which roles may say what: the office must be registered in one of them, and where there is a cohort be it there."""

OF_REPLACEMENTS: Final[tuple[str, ...]] = ("type_differs", "already_replaced", "replaces_itself")
"""Conflicts that an event of any type may meet when it names in ``replaces`` what it corrects."""

EDITIONS_LIMIT: Final = 20
"""Certificates of one award: a bound on what one person's events can cost."""


def refusal(event: Event, roles: frozenset[str]) -> str | None:
    """Why an office registered in these roles may never say this, as a code of ``REFUSALS``."""
    said = event.type
    if isinstance(event.data, EventVoided):
        said = event.data.about or event.data.type
    allowed = ROLES.get(said) or frozenset().union(*ROLES.values())  # whoever may say anything may take a void back
    return None if roles & allowed else "role_not_allowed"


def moment_of(event: Event) -> Moment:
    """An event's place in the fold."""
    return event.time, RANKS[event.type], event.source, event.id


def key_of(data: AwardRef) -> Key:
    return Key(data.enrolment_id, data.scheme, data.occupation, data.level)


def number_of(event: Event) -> str | None:
    """The awarding body's number that an event gives to a certificate."""
    if isinstance(event.data, CertificateAwarded | CertificateNumbered | CertificateReplaced):
        return event.data.certificate_number
    return None


def holds_one(state: State, world: World, key: Key, day: date) -> bool:
    """Whether the person holds a live certificate of this scheme, occupation and level, in whatever enrolment."""
    return any(
        one.is_live_on(day)
        for one in (*held_besides(state, world, key), *([holding_of(state, world, key)] if key in state.awards else ()))
    )


def held_besides(state: State, world: World, key: Key) -> Iterator[Holding]:
    """What the same person has of this scheme, occupation and level in other enrolments."""
    person = world.trainees[key.enrolment].person
    for other in state.awards:
        if other != key and other[1:] == key[1:] and world.trainees[other.enrolment].person == person:
            yield holding_of(state, world, other)


def holding_of(state: State, world: World, key: Key) -> Holding:
    trainee = world.trainees[key.enrolment]
    return Holding(key, state.awards[key], trainee, world.cohorts[trainee.cohort], world.schemes[key.scheme])


@dataclass(frozen=True)
class Case:
    """An event on an award, in the state it meets. What guards ask for; each may rely on those before it."""

    state: State
    world: World
    event: Event

    @cached_property
    def data(self) -> AwardRef:
        return cast(AwardRef, self.event.data)

    @cached_property
    def key(self) -> Key:
        return key_of(self.data)

    @cached_property
    def trainee(self) -> Trainee:
        return self.world.trainees[self.key.enrolment]

    @cached_property
    def cohort(self) -> Cohort:
        return self.world.cohorts[self.trainee.cohort]

    @cached_property
    def scheme(self) -> SchemeFact:
        return self.world.schemes[self.key.scheme]

    @cached_property
    def award(self) -> Award:
        return self.state.awards.get(self.key, Award())

    @cached_property
    def holding(self) -> Holding:
        return Holding(self.key, self.award, self.trainee, self.cohort, self.scheme)


# ---- guards: what can stand in an event's way


@dataclass(frozen=True, slots=True)
class Guard:
    """A rule by name. ``blocks(case)`` says whether it stands in the event's way."""

    code: str
    status: Literal["waiting", "conflict", "accepted"]
    """``accepted`` is for what the record holds already: nothing follows from it, and nobody has to do anything."""
    sentence: str
    blocks: Callable[[Case], bool]


def _not_a_party(case: Case) -> bool:
    # Who left the cohort since does not take along what they had said.
    return not case.cohort.roles_of(case.event.source, case.event.time) & ROLES[case.event.type]


def _scheme_unknown(case: Case) -> bool:
    scheme = case.world.schemes.get(case.key.scheme)
    return scheme is None or scheme.status == "void"


def _attempt_taken(case: Case) -> bool:
    number = cast(TraineeAssessed, case.event.data).attempt
    return any(attempt.attempt == number for attempt in case.award.attempts)


def _attempt_confirmed(case: Case) -> bool:
    said = cast(TraineeAssessed, case.event.data)
    return any(_agree(one, said) for one in case.award.reports if one.attempt == said.attempt)


def _agree(one: TraineeAssessed, other: TraineeAssessed) -> bool:
    """Whether both say the same of an attempt. Who names no assessor does not contradict who does."""
    return (
        (one.date, one.result) == (other.date, other.result)
        and sorted(one.parts, key=lambda part: part.name) == sorted(other.parts, key=lambda part: part.name)
        and (one.assessor is None or other.assessor is None or one.assessor == other.assessor)
    )


def _completion_missing(case: Case) -> bool:
    # A completion that was withdrawn later was there: the certificate is issued, and suspended since.
    return case.scheme.completion_required and not case.trainee.had_completed(case.event.time)


def _not_passed(case: Case) -> bool:
    return bool(case.award.attempts) and not case.award.passes and not case.award.gone_after(case.event.time)


def _already_certified(case: Case) -> bool:
    return holds_one(case.state, case.world, case.key, cast(CertificateAwarded, case.event.data).date)


def _already_revoked(case: Case) -> bool:
    if case.award.last.revoked:
        return True
    # What was said before a second award cannot be meant for it.
    return any(edition.revoked for edition in case.award.editions) and moment_of(case.event) < case.award.last.made_by


def _number_taken(case: Case) -> bool:
    number = number_of(case.event)
    return number is not None and any(
        case.world.schemes[key.scheme].office == case.scheme.office
        and key != case.key
        and any(edition.number == number for edition in award.editions)
        for key, award in case.state.awards.items()
    )


def _other_number(case: Case) -> bool:
    return case.award.last.number not in (None, cast(CertificateNumbered, case.event.data).certificate_number)


def _not_suspended(case: Case) -> bool:
    # Only what was suspended at or before this moment can be meant: an old reinstatement must not lift a new suspension.
    last, until = case.award.last, case.event.time
    by_body = last.suspension is not None and last.suspension.at <= until
    return not by_body and not any(gone <= until for gone in case.holding.basis_gone())


KNOWN = (
    Guard(
        "enrolment_unknown",
        "waiting",
        "Enrolment has not told of this trainee yet. It is taken up as soon as it does; check cohort and number.",
        lambda case: case.key.enrolment not in case.world.trainees,
    ),
    Guard(
        "cohort_unknown",
        "waiting",
        "Enrolment has not told of this trainee's cohort yet. It is taken up as soon as it does.",
        lambda case: case.trainee.cohort not in case.world.cohorts,
    ),
    Guard(
        "scheme_unknown",
        "waiting",
        "No scheme with this code is registered. It is taken up as soon as its awarding body registers it.",
        _scheme_unknown,
    ),
    Guard(
        "not_a_party",
        "conflict",
        "The office is not a party of this cohort in a role that may say this. Ask who announced the cohort to add it.",
        _not_a_party,
    ),
    Guard(
        "occupation_unknown",
        "conflict",
        "The scheme has no occupation with this code. Check the scheme's own codes.",
        lambda case: all(case.key.occupation != one.occupation for one in case.scheme.occupations),
    ),
    Guard(
        "level_unknown",
        "conflict",
        "The scheme has no level with this code. Check the scheme's own codes.",
        lambda case: all(case.key.level != one.level for one in case.scheme.levels),
    ),
)
_FROM_THE_BODY = (
    *KNOWN,
    Guard(
        "not_the_awarding_body",
        "conflict",
        "Another office registered this scheme: only that one can say this of its certificates.",
        lambda case: case.scheme.office != case.event.source,
    ),
)
_NUMBER_FREE = Guard(
    "number_taken",
    "conflict",
    "Another certificate of this awarding body has this number. Check both, and correct the wrong one.",
    _number_taken,
)
_ROOM_LEFT = Guard(
    "limit_reached",
    "conflict",
    f"There are {EDITIONS_LIMIT} certificates of this award already. Void those that should never have been.",
    lambda case: len(case.award.editions) >= EDITIONS_LIMIT,
)
_ON_A_CERTIFICATE = (
    *_FROM_THE_BODY,
    Guard(
        "award_unknown",
        "waiting",
        "No certificate of this scheme, occupation and level is known for this trainee. It is taken up as soon as one is.",
        lambda case: not case.award.editions,
    ),
    Guard(
        "already_revoked",
        "conflict",
        "The certificate is revoked, and that is final. A new award makes a new certificate.",
        _already_revoked,
    ),
)

GUARDS: Final[dict[str, tuple[Guard, ...]]] = {
    "trainee.assessed.v1": (
        *KNOWN,
        Guard(
            "attempt_confirmed",
            "accepted",
            "Taken: this attempt was reported before with the same result, and counts once. If that report is voided or "
            "replaced, this one stands for it.",
            _attempt_confirmed,
        ),
        Guard(
            "attempt_already_reported",
            "conflict",
            "This attempt is reported already, and otherwise. Give a resit the next number; correct an attempt with an event "
            "that replaces it.",
            _attempt_taken,
        ),
    ),
    "certificate.awarded.v1": (
        *_FROM_THE_BODY,
        Guard(
            "issued_on_pass",
            "conflict",
            "Under this scheme a pass issues the certificate by itself. Give its number with certificate.numbered.",
            lambda case: case.scheme.rule == "on_pass" and not case.award.editions,
        ),
        Guard(
            "completion_missing",
            "conflict",
            "The scheme asks for completion, and none stood for this trainee at this time. It is taken up by itself once "
            "completion comes.",
            _completion_missing,
        ),
        Guard(
            "assessment_not_passed",
            "conflict",
            "There are attempts on record, and no pass stood at this time. It is taken up by itself once a pass comes.",
            _not_passed,
        ),
        Guard(
            "already_certified",
            "conflict",
            "The person holds a live certificate of this scheme, occupation and level: the first stays. When that one is revoked "
            "or voided, this one is taken up by itself: void this one before you revoke that one for good.",
            _already_certified,
        ),
        _NUMBER_FREE,
        _ROOM_LEFT,
    ),
    "certificate.numbered.v1": (
        *_ON_A_CERTIFICATE,
        Guard(
            "already_numbered",
            "conflict",
            "The certificate has another number already. Correct it with an event that replaces the one that gave the number.",
            _other_number,
        ),
        _NUMBER_FREE,
    ),
    "certificate.replaced.v1": (*_ON_A_CERTIFICATE, _NUMBER_FREE, _ROOM_LEFT),
    "certificate.suspended.v1": _ON_A_CERTIFICATE,
    "certificate.reinstated.v1": (
        *_ON_A_CERTIFICATE,
        Guard(
            "not_suspended",
            "waiting",
            "The certificate was not suspended at this time. It is taken up as soon as a suspension before it comes.",
            _not_suspended,
        ),
    ),
    "certificate.revoked.v1": _ON_A_CERTIFICATE,
}
"""What can stand in the way of each type, in the order in which it is asked. The first that does gives the code."""

_SETTLED: Final = frozenset(_FROM_THE_BODY)
"""Guards that ask nothing of other events: within one fold they never give way."""
_CLOSED: Final = {name: tuple(guard for guard in guards if guard in _SETTLED) for name, guards in GUARDS.items()}
_OPEN: Final = {name: tuple(guard for guard in guards if guard not in _SETTLED) for name, guards in GUARDS.items()}


def settled(case: Case) -> Guard | None:
    """The first guard in an event's way that no other event can take out of it."""
    return next((guard for guard in _CLOSED[case.event.type] if guard.blocks(case)), None)


def obstacle(case: Case) -> Guard | None:
    """The first other guard in an event's way; for events that have passed ``settled``."""
    return next((guard for guard in _OPEN[case.event.type] if guard.blocks(case)), None)


_ACTS: Final = frozenset(name for name, guards in GUARDS.items() if _ON_A_CERTIFICATE[-1] in guards)
LIFTS: Final[dict[str, frozenset[str]]] = {
    "trainee.assessed.v1": _ACTS | {"certificate.awarded.v1"},
    "certificate.awarded.v1": _ACTS,
    "certificate.numbered.v1": frozenset(),
    "certificate.replaced.v1": frozenset({"certificate.numbered.v1"}),
    "certificate.suspended.v1": frozenset({"certificate.reinstated.v1"}),
    "certificate.reinstated.v1": frozenset(),
    "certificate.revoked.v1": _ACTS | {"certificate.awarded.v1"},
}
"""Which pending types an event may have made room for, among those of the same person, scheme, occupation and level."""

_BY_CODE: Final = {guard.code: guard.sentence for guards in GUARDS.values() for guard in guards}


def sentence(code: str) -> str:
    """The sentence of a code."""
    return SENTENCES.get(code) or _BY_CODE[code]
