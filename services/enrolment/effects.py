"""What each type of event does to the state of its unit, once its checks have passed."""

from dataclasses import replace
from typing import Any

from services.enrolment.domain import (
    Cohort,
    Enrolment,
    Entry,
    Nomination,
    OutcomeReport,
    Particulars,
    Placing,
    State,
    Withheld,
    session_of,
)
from shared.events.codes import named
from shared.events.offices_to_enrolment import (
    CohortChanged,
    CompetitorNominated,
    CompetitorPlaced,
    OutcomeReported,
    SessionHeld,
)
from shared.events.persons import ConsentWithdrawn


def registered(state: State, entry: Entry) -> State:
    data: Any = entry.data
    if entry.type == "programme.registered.v1":
        return replace(state, programme=data)
    return replace(state, centre=data)


def announced(state: State, entry: Entry) -> State:
    terms: Any = entry.data
    return replace(state, cohort=Cohort(terms, announced=entry.when))


def changed(state: State, entry: Entry) -> State:
    cohort, data = _cohort(state), entry.data
    assert isinstance(data, CohortChanged)
    if data.parties is not None:
        cohort = replace(cohort, former_parties=cohort.left_by(data.parties, entry.time))
    changes = {name: value for name, value in data if name != "cohort" and value is not None}
    return replace(state, cohort=replace(cohort, terms=cohort.terms.model_copy(update=changes)))


def started(state: State, entry: Entry) -> State:
    data: Any = entry.data
    return replace(state, cohort=replace(_cohort(state), started=data.date, not_arrived=frozenset(data.not_arrived)))


def held(state: State, entry: Entry) -> State:
    cohort, data = _cohort(state), entry.data
    assert isinstance(data, SessionHeld)
    sessions = sorted((*cohort.sessions, session_of(data)), key=lambda session: session.session)
    return replace(state, cohort=replace(cohort, sessions=tuple(sessions)))


def closed(state: State, entry: Entry) -> State:
    return replace(state, cohort=replace(_cohort(state), closed=entry.when.day))


def cancelled(state: State, entry: Entry) -> State:
    return replace(state, cohort=replace(_cohort(state), cancelled=entry.when))


def declined(state: State, entry: Entry) -> State:
    return _with(state, replace(_enrolment(state, entry), status="declined", declined=entry.when))


def withdrawn(state: State, entry: Entry) -> State:
    return _with(state, replace(_enrolment(state, entry), status="withdrawn", withdrawn=entry.when.day))


def completed(state: State, entry: Entry) -> State:
    return _with(state, replace(_enrolment(state, entry), status="completed", completed=entry.when.day))


def nominated(state: State, entry: Entry) -> State:
    before, data = _enrolment(state, entry), entry.data
    assert isinstance(data, CompetitorNominated)
    line = Nomination(data.competition, data.skill, entry.when)
    return _with(state, replace(before, nominations=(*before.nominations, line)))


def placed(state: State, entry: Entry) -> State:
    before, data = _enrolment(state, entry), entry.data
    assert isinstance(data, CompetitorPlaced)
    line = Placing(data.competition, data.skill, data.place, data.medal, entry.when)
    return _with(state, replace(before, placings=(*before.placings, line)))


def outcome_reported(state: State, entry: Entry) -> State:
    before, data = _enrolment(state, entry), entry.data
    assert isinstance(data, OutcomeReported)
    line = OutcomeReport(data.months_after, data.date, data.outcome, data.in_trade, data.country, data.learners)
    return _with(state, replace(before, outcomes=(*before.outcomes, line)))


def proposed(state: State, entry: Entry) -> State:
    data: Any = entry.data
    before = state.enrolments.get(data.enrolment_id)
    if before is not None:  # enrolled first, with all that is needed: that word keeps its weight
        return _with(state, replace(before, proposed=entry.when))
    return _with(state, _candidate(state, entry, sending_centre=data.sending_centre, proposed=entry.when))


def enrolled(state: State, entry: Entry) -> State:
    said = {name: named(entry.data, name) for name in ("role", "country", "trade", "sending_centre")}
    differs: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    return _with(state, _candidate(state, entry, **differs, status="enrolled", enrolled=entry.when, declined=None))


def corrected(state: State, entry: Entry) -> State:
    before, said = _enrolment(state, entry), entry.person or Particulars()
    return _with(
        state,
        replace(
            before,
            sex=said.sex or before.sex,
            birth_date=said.birth_date or before.birth_date,
            disability=said.disability or before.disability,
            identifiers=before.identifiers if said.identifiers is None else said.identifiers,
            withheld=_withheld(before, said),
        ),
    )


def consent_withdrawn(state: State, entry: Entry) -> State:
    before, data = _enrolment(state, entry), entry.data
    assert isinstance(data, ConsentWithdrawn)
    return _with(state, replace(before, withheld=before.withheld.without_consent(data.purposes)))


def merged(state: State, _: Entry) -> State:
    return replace(state, pair=replace(state.pair, merged=True))


def parted(state: State, _: Entry) -> State:
    # What was merged is as it was before; only two that nobody has merged are set apart.
    pair = replace(state.pair, merged=False) if state.pair.merged else replace(state.pair, apart=True)
    return replace(state, pair=pair)


def forgotten(state: State, _: Entry) -> State:
    return state  # nothing of the record: what is destroyed is no part of it


def _cohort(state: State) -> Cohort:
    assert state.cohort is not None  # the checks hold it
    return state.cohort


def _enrolment(state: State, entry: Entry) -> Enrolment:
    return state.enrolments[entry.enrolment or ""]


def _with(state: State, enrolment: Enrolment) -> State:
    return replace(state, enrolments={**state.enrolments, enrolment.enrolment: enrolment})


def _person(enrolment: Enrolment, said: Particulars, source: str) -> dict[str, Any]:
    """What changes by what a proposal or an enrolment says of the person."""
    new = tuple(known for known in said.identifiers or () if known not in enrolment.identifiers)
    first = not enrolment.identifiers and enrolment.sex == "U" and enrolment.birth_date is None
    return {
        "sex": said.sex if said.sex not in (None, "U") else enrolment.sex,
        "birth_date": said.birth_date or enrolment.birth_date,
        "disability": said.disability if said.disability not in (None, "not-stated") else enrolment.disability,
        "identifiers": enrolment.identifiers + new,
        "said_by": source if first else enrolment.said_by,
        "withheld": _withheld(enrolment, said),
    }


def _withheld(enrolment: Enrolment, said: Particulars) -> Withheld:
    return enrolment.withheld if said.purposes is None else Withheld.with_consent(said.purposes)


def _candidate(state: State, entry: Entry, **changes: Any) -> Enrolment:
    """The trainee as there is, or as a first event makes one, with what this event says of the person, and these changes."""
    data: Any = entry.data
    trainee = state.enrolments.get(data.enrolment_id) or Enrolment(
        data.enrolment_id, data.cohort, data.number, "proposed", data.role, data.country, data.trade, entry.source
    )
    return replace(trainee, **(_person(trainee, entry.person, entry.source) if entry.person else {}), **changes)
