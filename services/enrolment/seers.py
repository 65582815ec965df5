"""Who sees a trainee's personal details, and so may say who is one person with whom."""

from services.enrolment.domain import Cohort, Enrolment, Entry, Known, Seers, State
from shared.events.identity import office_of
from shared.events.offices_to_enrolment import Party

SEERS = frozenset({"sending-office", "host-centre", "awarding-body"})
"""Roles in a cohort with which an office sees details; coordinators and readers see figures and no names."""


def seers(cohort: Cohort, enrolment: Enrolment) -> Seers:
    """Who sees a trainee's details: who sends the trainee, hosts the cohort, or assesses it; who did, until when."""

    def sees(party: Party) -> bool:
        sends = enrolment.country == office_of(party.office)[0].upper() or party.office == enrolment.said_by
        return party.role in SEERS and (party.role != "sending-office" or sends)

    former = {party.office: party.until for party in cohort.former_parties if sees(party)}
    return {**former, **{party.office: None for party in cohort.terms.parties if sees(party)}}


def someone_unknown(_: State, entry: Entry, known: Known) -> bool:
    """Whether one of the two enrolments that a decision names is not there."""
    return any(enrolment not in known.seen_by for enrolment in entry.pair or ())


def does_not_see_both(_: State, entry: Entry, known: Known) -> bool:
    """Whether the office decides about somebody whose details it did not see then."""
    for seen_by in (known.seen_by[enrolment] for enrolment in entry.pair or ()):
        until = seen_by.get(entry.source, entry.time)  # an office that never saw them saw them until no time
        if until is not None and until <= entry.time:
            return True
    return False
