"""The rules of enrolment: for each type of event its rank, who may say it, what it waits for, what it contradicts, what it
does. ``docs/`` is generated from ``GUARDS``, so a rule is written here and nowhere else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from services.enrolment import effects
from services.enrolment.domain import APPLIED, Cohort, Enrolment, Entry, Known, Standing, State
from services.enrolment.seers import SEERS, does_not_see_both, someone_unknown
from shared.events.envelope import Event
from shared.events.identity import enrolment_id, office_of
from shared.events.offices_to_enrolment import CohortAnnounced, EventVoided

EVENT_LIMIT = 65_536
"""Bytes in one event, and LINES and SESSIONS_LIMIT in one record: together they keep every fact within one message."""
LINES = 200
"""Nominations, placings or outcomes of one trainee, or former parties of one cohort, each."""
SESSIONS_LIMIT = 400_000
"""Characters in all sessions of one cohort, about: a year of daily sessions with a hundred absences each."""

COORDINATOR = frozenset({"coordinator"})
SENDING = frozenset({"sending-office"})
HOST = frozenset({"host-centre"})
ANNOUNCERS = COORDINATOR | HOST
ALL = COORDINATOR | HOST | SENDING


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that keeps an event from applying."""

    status: Literal["waiting", "conflict"]
    code: str
    fails: Callable[[State, Entry, Known], bool]

    @property
    def standing(self) -> Standing:
        """How an event stands that fails it."""
        return Standing(self.status, self.code)


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for one type. Of two events at one moment the lower rank goes first; the first check that fails decides."""

    rank: int
    roles: frozenset[str]
    checks: tuple[Check, ...]
    effect: Callable[[State, Entry], State]

    @property
    def waits(self) -> tuple[str, ...]:
        """Codes of what it waits for."""
        return tuple(check.code for check in self.checks if check.status == "waiting")

    @property
    def conflicts(self) -> tuple[str, ...]:
        """Codes of what it contradicts."""
        return tuple(check.code for check in self.checks if check.status == "conflict")


def refusal_of(event: Event, roles: frozenset[str], *, administrator: bool) -> str | None:
    """The code of why an office with these registered roles may not post this event, if it may not."""
    if not administrator and not roles & GUARDS[event.type].roles:
        return "role_not_allowed"
    if len(event.written) > EVENT_LIMIT:
        return "event_too_large"
    if _takes_back_forgetting(event):
        return "forgotten_stays"
    if isinstance(event.data, CohortAnnounced):
        own = {party.role for party in event.data.parties if party.office == event.source}
        if not own & ANNOUNCERS:
            return "announcer_not_party"
    return None


def _takes_back_forgetting(event: Event) -> bool:
    voids = isinstance(event.data, EventVoided) and event.data.type == "person.forgotten.v1"
    return voids or (event.type == "person.forgotten.v1" and event.replaces is not None)


def judge(state: State, entry: Entry, known: Known) -> Standing:
    """How the event stands against what is true so far."""
    for check in GUARDS[entry.type].checks:
        if check.fails(state, entry, known):
            return check.standing
    return APPLIED


# --- checks ------------------------------------------------------------------------------------------------------


def waits(code: str, fails: Callable[[State, Entry, Known], bool]) -> Check:
    """A check that another event may still lift."""
    return Check("waiting", code, fails)


def conflict(code: str, fails: Callable[[State, Entry, Known], bool]) -> Check:
    """A check that contradicts another event."""
    return Check("conflict", code, fails)


def about(test: Callable[[Enrolment, Any], object]) -> Callable[[State, Entry, Known], bool]:
    """A test of the event's own enrolment; passes where there is none."""

    def fails(state: State, entry: Entry, _: Known) -> bool:
        enrolment = _enrolment(state, entry)
        return enrolment is not None and bool(test(enrolment, entry))

    return fails


def course(test: Callable[[Cohort, Any], object]) -> Callable[[State, Entry, Known], bool]:
    """A test of the cohort; passes where there is none."""

    def fails(state: State, entry: Entry, _: Known) -> bool:
        return state.cohort is not None and bool(test(state.cohort, entry))

    return fails


def _enrolment(state: State, entry: Entry) -> Enrolment | None:
    return state.enrolments.get(entry.enrolment or "")


def _trainee_unknown(state: State, entry: Entry, _: Known) -> bool:
    return entry.enrolment not in state.enrolments


def _someone_unknown(state: State, entry: Entry, _: Known) -> bool:
    # A number that nobody has is most likely a slip; counted as it stands it would make somebody else present.
    held: Any = entry.data
    named = (*held.absent, *(line.number for line in held.partial), *(held.group or ()))
    return any(enrolment_id(held.cohort, number) not in state.enrolments for number in named)


def _lacks(kind: str) -> Callable[[State, Entry, Known], bool]:
    return lambda _, entry, known: any(need.startswith(kind) and need not in known.registered for need in entry.needs)


def _day(cohort: Cohort, entry: Entry) -> date:
    return entry.when.on(cohort.terms.timezone)


def _after_close(cohort: Cohort, entry: Entry) -> bool:
    return cohort.closed is not None and _day(cohort, entry) > cohort.closed


def _after_cancelling(cohort: Cohort, entry: Entry) -> bool:
    return cohort.cancelled is not None and _day(cohort, entry) > cohort.cancelled.on(cohort.terms.timezone)


def _another_person(enrolment: Enrolment, entry: Entry) -> bool:
    """Whether an event gives a trainee's number to somebody else. Without a person it speaks of the trainee there is."""
    said = entry.person
    if said is None or (said.sex is None and not said.identifiers):
        return False
    ours = {(known.kind, known.hash) for known in enrolment.identifiers}
    theirs = {(known.kind, known.hash) for known in said.identifiers or ()}
    if ours & theirs:
        return False
    if entry.source != enrolment.said_by:
        return bool(ours) or enrolment.sex != "U" or enrolment.birth_date is not None
    same_kind = {kind for kind, _ in ours} & {kind for kind, _ in theirs}
    born_alike = said.birth_date is not None and said.birth_date == enrolment.birth_date
    return bool(same_kind) and not (born_alike and said.sex == enrolment.sex)


def _of_another_country(state: State, entry: Entry, _: Known) -> bool:
    """Whether an office that only sends speaks of a trainee whom another country sends."""
    cohort, enrolment = state.cohort, _enrolment(state, entry)
    if cohort is None or enrolment is None or cohort.roles_of(entry.source) & GUARDS[entry.type].roles - SENDING:
        return False
    return enrolment.country.lower() != office_of(entry.source)[0] and enrolment.said_by != entry.source


def _incomplete(state: State, entry: Entry, _: Known) -> bool:
    if entry.enrolment in state.enrolments:
        return False
    said: Any = entry.data
    return None in (said.role, said.country, said.trade, entry.person)


def _dates_swapped(cohort: Cohort, entry: Entry) -> bool:
    changed: Any = entry.data
    return (changed.ends_on or cohort.terms.ends_on) < (changed.starts_on or cohort.terms.starts_on)


def _parties_full(cohort: Cohort, entry: Entry) -> bool:
    changed: Any = entry.data
    return changed.parties is not None and len(cohort.left_by(changed.parties, entry.time)) > LINES


def _sessions_full(cohort: Cohort, entry: Entry) -> bool:
    held: Any = entry.data
    return sum(_length(session) for session in (*cohort.sessions, held)) > SESSIONS_LIMIT


def _length(session: Any) -> int:
    numbers = [*session.absent, *(session.group or ()), *(line.number + " " * 30 for line in session.partial)]
    return 250 + sum(len(number) + 3 for number in numbers)


def _full(lines: str) -> Check:
    return conflict("limit_reached", about(lambda enrolment, _: len(getattr(enrolment, lines)) >= LINES))


COHORT_UNKNOWN = waits("cohort_unknown", lambda state, entry, _: state.cohort is None and entry.cohort is not None)
NOT_A_PARTY = conflict(
    "not_a_party", course(lambda cohort, entry: not cohort.roles_of(entry.source) & GUARDS[entry.type].roles)
)
PROGRAMME_UNKNOWN = waits("programme_unknown", _lacks("programme/"))
CENTRE_UNKNOWN = waits("centre_unknown", _lacks("centre/"))
TRAINEE_UNKNOWN = waits("trainee_unknown", _trainee_unknown)
NOT_ENROLLED = waits("trainee_not_enrolled", about(lambda enrolment, _: enrolment.enrolled is None))
NOT_STARTED = waits("cohort_not_started", course(lambda cohort, _: cohort.started is None))
AFTER_CLOSE = conflict("cohort_closed", course(_after_close))
AFTER_CANCELLING = conflict("cohort_cancelled", course(_after_cancelling))
CLOSED = conflict("cohort_closed", course(lambda cohort, _: cohort.closed is not None))
CANCELLED = conflict("cohort_cancelled", course(lambda cohort, _: cohort.cancelled is not None))
NUMBER_TAKEN = conflict("number_taken", about(_another_person))
WITHDRAWN = conflict("already_withdrawn", about(lambda enrolment, _: enrolment.withdrawn is not None))
COMPLETED = conflict("already_completed", about(lambda enrolment, _: enrolment.completed is not None))
ENROLLED = conflict("already_enrolled", about(lambda enrolment, _: enrolment.enrolled is not None))

NOT_YOUR_TRAINEE = conflict("not_your_trainee", _of_another_country)

OF_COHORT = (COHORT_UNKNOWN, NOT_A_PARTY)
OF_TRAINEE = (COHORT_UNKNOWN, NOT_A_PARTY, TRAINEE_UNKNOWN, NOT_YOUR_TRAINEE)
OF_ENROLLED = (*OF_TRAINEE, NOT_ENROLLED)
OF_PAIR = (
    waits("trainee_unknown", someone_unknown),
    conflict("not_a_party", does_not_see_both),
)


def _same_contest(lines: tuple[Any, ...], entry: Any) -> bool:
    return any((line.competition, line.skill) == (entry.data.competition, entry.data.skill) for line in lines)


# --- the table ---------------------------------------------------------------------------------------------------

GUARDS: Mapping[str, Rule] = {
    "programme.registered.v1": Rule(
        10,
        COORDINATOR,
        (conflict("programme_already_registered", lambda state, _, __: state.programme is not None),),
        effects.registered,
    ),
    "centre.registered.v1": Rule(
        20,
        COORDINATOR,
        (conflict("centre_already_registered", lambda state, _, __: state.centre is not None),),
        effects.registered,
    ),
    "cohort.announced.v1": Rule(
        30,
        ANNOUNCERS,
        (
            conflict("cohort_already_announced", lambda state, _, __: state.cohort is not None),
            PROGRAMME_UNKNOWN,
            CENTRE_UNKNOWN,
        ),
        effects.announced,
    ),
    "cohort.changed.v1": Rule(
        40,
        ANNOUNCERS,
        (
            *OF_COHORT,
            AFTER_CANCELLING,
            CENTRE_UNKNOWN,
            conflict("dates_out_of_order", course(_dates_swapped)),
            conflict("limit_reached", course(_parties_full)),
        ),
        effects.changed,
    ),
    "trainee.proposed.v1": Rule(
        50,
        SENDING,
        (
            *OF_COHORT,
            NUMBER_TAKEN,
            NOT_YOUR_TRAINEE,
            conflict("already_proposed", about(lambda enrolment, _: enrolment.proposed is not None)),
            AFTER_CLOSE,
            AFTER_CANCELLING,
            CENTRE_UNKNOWN,
        ),
        effects.proposed,
    ),
    "trainee.enrolled.v1": Rule(
        60,
        SENDING,
        (
            *OF_COHORT,
            NUMBER_TAKEN,
            NOT_YOUR_TRAINEE,
            WITHDRAWN,
            ENROLLED,
            AFTER_CLOSE,
            AFTER_CANCELLING,
            CENTRE_UNKNOWN,
            waits("proposal_missing", _incomplete),
        ),
        effects.enrolled,
    ),
    "trainee.declined.v1": Rule(
        70,
        SENDING | HOST,
        (
            *OF_TRAINEE,
            ENROLLED,
            conflict("already_declined", about(lambda enrolment, _: enrolment.declined is not None)),
        ),
        effects.declined,
    ),
    "person.corrected.v1": Rule(80, SENDING, OF_TRAINEE, effects.corrected),
    "person.merged.v1": Rule(82, SEERS, OF_PAIR, effects.merged),
    "person.parted.v1": Rule(84, SEERS, OF_PAIR, effects.parted),
    "consent.withdrawn.v1": Rule(86, SENDING, OF_TRAINEE, effects.consent_withdrawn),
    "cohort.started.v1": Rule(
        90,
        HOST,
        (
            *OF_COHORT,
            AFTER_CANCELLING,
            conflict("already_started", course(lambda cohort, _: cohort.started is not None)),
        ),
        effects.started,
    ),
    "session.held.v1": Rule(
        100,
        HOST,
        (
            *OF_COHORT,
            AFTER_CLOSE,
            AFTER_CANCELLING,
            conflict(
                "session_number_taken",
                course(lambda cohort, entry: any(held.session == entry.data.session for held in cohort.sessions)),
            ),
            waits("absentee_unknown", _someone_unknown),
            # Last: what waits for somebody is not tried again when others fill the record.
            conflict("limit_reached", course(_sessions_full)),
        ),
        effects.held,
    ),
    "trainee.withdrawn.v1": Rule(
        110,
        SENDING,
        (*OF_ENROLLED, WITHDRAWN, COMPLETED),
        effects.withdrawn,
    ),
    "trainee.completed.v1": Rule(
        120,
        HOST,
        (
            *OF_ENROLLED,
            NOT_STARTED,
            AFTER_CANCELLING,
            conflict(
                "trainee_not_arrived",
                lambda state, entry, _: (
                    state.cohort is not None
                    and (enrolment := _enrolment(state, entry)) is not None
                    and enrolment.number in state.cohort.not_arrived
                ),
            ),
            WITHDRAWN,
            COMPLETED,
        ),
        effects.completed,
    ),
    "cohort.closed.v1": Rule(
        130,
        HOST,
        (*OF_COHORT, CANCELLED, CLOSED, NOT_STARTED),
        effects.closed,
    ),
    "cohort.cancelled.v1": Rule(
        140,
        ANNOUNCERS,
        (*OF_COHORT, CLOSED, CANCELLED),
        effects.cancelled,
    ),
    "competitor.nominated.v1": Rule(
        150,
        SENDING,
        (
            *OF_ENROLLED,
            conflict("already_nominated", about(lambda enrolment, entry: _same_contest(enrolment.nominations, entry))),
            _full("nominations"),
        ),
        effects.nominated,
    ),
    "competitor.placed.v1": Rule(
        160,
        SENDING,
        (
            *OF_ENROLLED,
            conflict("already_placed", about(lambda enrolment, entry: _same_contest(enrolment.placings, entry))),
            _full("placings"),
        ),
        effects.placed,
    ),
    "outcome.reported.v1": Rule(
        170,
        SENDING,
        (
            *OF_ENROLLED,
            conflict(
                "outcome_already_reported",
                about(
                    lambda enrolment, entry: any(
                        line.months_after == entry.data.months_after for line in enrolment.outcomes
                    )
                ),
            ),
            _full("outcomes"),
        ),
        effects.outcome_reported,
    ),
    "person.forgotten.v1": Rule(180, SENDING, OF_TRAINEE, effects.forgotten),
    # A void and a replacement hold whatever their time, so fold.py decides them before the rest.
    "event.voided.v1": Rule(
        200,
        ALL,
        (
            waits("event_unknown", lambda _, __, ___: False),
            conflict("type_differs", lambda _, __, ___: False),
            conflict("already_voided", lambda _, __, ___: False),
            conflict("voids_itself", lambda _, __, ___: False),
        ),
        lambda state, _: state,
    ),
}
"""Every type that enrolment takes."""

RANKS: Mapping[str, int] = {name: rule.rank for name, rule in GUARDS.items()}

OF_REPLACEMENTS: tuple[str, ...] = ("type_differs", "already_replaced", "replaces_itself", "belongs_elsewhere")
"""Conflicts that an event of any type may meet when it names in ``replaces`` what it corrects."""
