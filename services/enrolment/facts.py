"""From state to facts: what the other services are told. Pure; no name, identifier or birth date goes in or comes out."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import combinations, pairwise
from typing import Literal

from services.enrolment.domain import Cohort, Enrolment, Faded, State
from shared.events.codes import AgeBand
from shared.events.enrolment import CohortFact, Nomination, OutcomeState, Placing, TraineeFact

AGE_BANDS: tuple[tuple[int, AgeBand], ...] = (
    (15, "Y_LT15"),
    (25, "Y15T24"),
    (35, "Y25T34"),
    (45, "Y35T44"),
    (55, "Y45T54"),
    (65, "Y55T64"),
)
"""Each band with the first age that is beyond it."""


MERGED = "merged/"
"""What two enrolments share begins so that people have said to be one person's."""
KEPT = "kept/"
"""What somebody who was forgotten still shares with an enrolment that was not begins so: see `forgetting`."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What became of a trainee's completion."""

    status: Literal["none", "in-force", "withdrawn"] = "none"
    withdrawn_at: datetime | None = None


def age_band(birth_date: date | Faded | None, on: date) -> AgeBand:
    """The band of the age in completed years on that day; who is born on 29 February grows older on 1 March."""
    if isinstance(birth_date, Faded):
        return birth_date.band
    if birth_date is None or birth_date > on:
        return "_U"
    years = on.year - birth_date.year - ((on.month, on.day) < (birth_date.month, birth_date.day))
    return next((band for beyond, band in AGE_BANDS if years < beyond), "Y_GE65")


def cohort_data(cohort: Cohort, *, void: bool = False) -> CohortFact:
    """A cohort's fact. ``void`` when its announcement no longer stands."""
    terms, timezone = cohort.terms, cohort.terms.timezone
    return CohortFact(
        cohort=terms.cohort,
        status="void" if void else cohort.status,
        programme=terms.programme,
        titles=terms.titles,
        places=terms.places,
        host_centre=terms.host_centre,
        host_country=terms.host_country,
        mode=terms.mode,
        trades=terms.trades,
        starts_on=terms.starts_on,
        ends_on=terms.ends_on,
        language=terms.language,
        timezone=timezone,
        schemes=terms.schemes,
        parties=terms.parties,
        former_parties=list(cohort.former_parties),
        announced_on=cohort.announced.on(timezone),
        started_on=cohort.started,
        closed_on=cohort.closed,
        cancelled_on=cohort.cancelled.on(timezone) if cohort.cancelled else None,
        sessions=list(cohort.sessions),
    )


def completion(state: State, enrolment: str) -> Completion:
    """In force, or withdrawn if it had been said and none stands: since when what it rests on was last undone."""
    held = state.enrolments.get(enrolment)
    if held is not None and held.completed:
        return Completion("in-force")
    undone = state.undone
    times = [at for at in (undone.completions.get(enrolment),) if at]
    if any(entry.type == "trainee.completed.v1" and entry.enrolment == enrolment for entry in state.pending):
        times += [at for at in (undone.places.get(enrolment), undone.cohort) if at]
    return Completion("withdrawn", max(times)) if times else Completion()


def trainee_data(
    enrolment: Enrolment, cohort: Cohort, person: str, finished: Completion, *, void: bool = False
) -> TraineeFact:
    """A trainee's fact. ``void`` when neither proposal nor enrolment stands any more."""
    timezone = cohort.terms.timezone
    return TraineeFact(
        enrolment=enrolment.enrolment,
        cohort=enrolment.cohort,
        number=enrolment.number,
        person=person,
        status="void" if void else enrolment.status,
        role=enrolment.role,
        country=enrolment.country,
        sending_centre=enrolment.sending_centre,
        trade=enrolment.trade,
        sex=enrolment.sex,
        age_band=age_band(enrolment.birth_date, cohort.terms.starts_on),
        disability=enrolment.disability,
        arrived=enrolment.number not in cohort.not_arrived,
        proposed_on=enrolment.proposed.on(timezone) if enrolment.proposed else None,
        declined_on=enrolment.declined.on(timezone) if enrolment.declined else None,
        enrolled_on=enrolment.enrolled.on(timezone) if enrolment.enrolled else None,
        withdrawn_on=enrolment.withdrawn,
        completed_on=enrolment.completed,
        completion=finished.status,
        completion_withdrawn_at=finished.withdrawn_at,
        nominations=[
            Nomination(competition=line.competition, skill=line.skill, on=line.when.on(timezone))
            for line in enrolment.nominations
        ],
        placings=[
            Placing(
                competition=line.competition,
                skill=line.skill,
                place=line.place,
                medal=line.medal,
                on=line.when.on(timezone),
            )
            for line in enrolment.placings
        ],
        outcomes=[
            OutcomeState(
                months_after=line.months_after,
                on=line.day,
                outcome=line.outcome,
                in_trade=line.in_trade,
                country=line.country,
                learners=line.learners,
            )
            for line in enrolment.outcomes
        ],
    )


def components(links: Iterable[tuple[str, str]], apart: Collection[tuple[str, str]] = frozenset()) -> Mapping[str, str]:
    """Per enrolment, the smallest enrolment of the person: enrolments that share a link, directly or over others, are one.

    ``links`` are pairs of an enrolment and something that it may share. Of two enrolments in ``apart`` (the smaller first)
    neither leads to the other by what the two share, though both may lead to a third.
    """
    parents: dict[str, str] = {}

    def root(node: str) -> str:
        parents.setdefault(node, node)
        while parents[node] != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    sharing: dict[str, list[str]] = {}
    for enrolment, link in sorted(links):
        root(enrolment)
        sharing.setdefault(link, []).append(enrolment)
    kept_apart = {enrolment for pair in apart for enrolment in pair}
    for link, enrolments in sharing.items():
        if link.startswith(MERGED) or len(kept_apart.intersection(enrolments)) < 2:
            for one, other in pairwise(enrolments):
                parents[root(one)] = root(other)
        else:
            for one, other in combinations(enrolments, 2):
                if (one, other) not in apart:
                    parents[root(one)] = root(other)
    smallest: dict[str, str] = {}
    enrolments_in_order = sorted(parents)
    for enrolment in enrolments_in_order:
        smallest.setdefault(root(enrolment), enrolment)
    return {enrolment: smallest[root(enrolment)] for enrolment in enrolments_in_order}
