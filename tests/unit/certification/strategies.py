"""Sets of events that get in each other's way: few trainees, few days, few numbers."""

from hypothesis import strategies as st

from services.certification.awards import Trainee, World
from shared.events.envelope import Event
from tests.unit.certification.given import (
    BODY,
    CENTRE,
    OTHER_BODY,
    about,
    at,
    day,
    event,
    registered,
    trainee,
    voided,
    world,
)

NUMBERS = ("001", "002", "003")
DAYS = st.integers(1, 9)
FOR_EVER: st.SearchStrategy[int | None] = st.none()
FAR_APART = st.sampled_from((1, 2, 20, 40, 41, 80))
"""For schemes whose certificates are valid for a month."""
PRINTED = st.sampled_from((None, "S-1", "S-1", "S-2"))
AWARDS = (
    "trainee.assessed.v1",
    "certificate.awarded.v1",
    "certificate.awarded.v1",
    "certificate.awarded.v1",
    "certificate.numbered.v1",
    "certificate.replaced.v1",
    "certificate.suspended.v1",
    "certificate.reinstated.v1",
    "certificate.revoked.v1",
)


@st.composite
def award_events(draw: st.DrawFn, name: str, days: st.SearchStrategy[int] = DAYS) -> Event:
    kind, on = draw(st.sampled_from(AWARDS)), draw(days)
    levels = st.sampled_from(("junior",) * 8 + ("senior", "chief"))
    data = {**about(draw(st.sampled_from(NUMBERS)), level=draw(levels)), "date": day(on).isoformat()}
    data |= {
        "trainee.assessed.v1": {"attempt": draw(st.integers(1, 3)), "result": draw(st.sampled_from(("pass", "fail")))},
        "certificate.awarded.v1": {"certificate_number": draw(PRINTED)},
        "certificate.numbered.v1": {"certificate_number": draw(PRINTED) or "S-3"},
        "certificate.replaced.v1": {"certificate_number": draw(PRINTED), "reason": "lost"},
    }.get(kind, {"reason": "because"})
    sources = (BODY,) * 5 + (CENTRE if kind == "trainee.assessed.v1" else OTHER_BODY,)
    return event(kind, name, on, data, draw(st.sampled_from(sources)))


@st.composite
def event_sets(
    draw: st.DrawFn, most: int = 14, schemes: bool = False, days: st.SearchStrategy[int] = DAYS
) -> list[Event]:
    """Events on awards, with voids and replacements of them; with ``schemes`` also their scheme's registration."""
    events = [draw(award_events(f"e{place}", days)) for place in range(draw(st.integers(1, most)))]
    if schemes:
        rules = st.sampled_from(("by_awarding_body", "by_awarding_body", "on_pass"))
        events += [
            registered(f"s{place}", draw(DAYS), rule=draw(rules), completion_required=draw(st.booleans()))
            for place in range(draw(st.sampled_from((1, 1, 1, 2, 0))))
        ]
    for place in range(draw(st.integers(0, 6))):
        target = draw(st.sampled_from(events))
        if target.type == "event.voided.v1" or draw(st.booleans()):
            events.append(voided(f"v{place}", draw(days), target))
        elif target.type != "scheme.registered.v1":
            other = draw(award_events(f"r{place}", days))
            source = draw(st.sampled_from((target.source, other.source)))
            events.append(Event(source, other.id, other.type, other.time, other.data, {}, target.id))
    return events


@st.composite
def trainees(draw: st.DrawFn, number: str) -> Trainee:
    """One trainee as enrolment may tell of them at one time: identified or not, complete or not."""
    completion = draw(st.sampled_from(("none", "in-force", "in-force", "withdrawn")))
    return trainee(
        number,
        draw(st.sampled_from(("ann", "bo"))),
        completion=completion,
        completion_withdrawn_at=at(draw(DAYS)) if completion == "withdrawn" else None,
    )


@st.composite
def worlds(draw: st.DrawFn, months: st.SearchStrategy[int | None] = FOR_EVER) -> World:
    known = [draw(trainees(number)) for number in NUMBERS if draw(st.integers(0, 4))]
    rules = st.sampled_from(("by_awarding_body", "by_awarding_body", "on_pass"))
    given = world(*known, rule=draw(rules), completion_required=draw(st.booleans()), valid_months=draw(months))
    cohorts = given.cohorts if draw(st.integers(0, 9)) else {}
    return World({one.enrolment: one for one in known}, cohorts, given.schemes)
