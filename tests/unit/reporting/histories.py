"""Histories of facts for property tests: a small world, so that things meet, change and move often."""

from typing import Any

from hypothesis import strategies as st

from services.reporting.domain import Known
from shared.events.codes import Model
from tests.unit.reporting.facts import a_certificate, a_cohort, a_trainee, known

DAYS = ["2025-03-30", "2025-03-31", "2025-04-01", "2025-05-02"]
COHORTS = ["wuxi", "vientiane"]
NUMBERS = ["01", "02", "03"]

days = st.sampled_from(DAYS)
maybe_days = st.none() | days
mostly = st.sampled_from([True, True, True, False])

sessions = st.fixed_dictionaries(
    {
        "session": st.integers(1, 3),
        "date": days,
        "hours": st.sampled_from([0.25, 6.0, 7.5]),
        "trade": st.sampled_from([None, "electrical"]),
        "group": st.sampled_from([None, None, ["01", "02"]]),
        "absent": st.sampled_from([[], ["01"], ["02", "03"]]),
        "partial": st.sampled_from([[], [{"number": "02", "hours": 0.1}]]),
    }
)
outcomes = st.fixed_dictionaries(
    {
        "months_after": st.sampled_from([1, 6, 12]),
        "on": days,
        "outcome": st.sampled_from(["employed", "teaching", "no-answer"]),
        "learners": st.fixed_dictionaries({"women": st.integers(0, 3), "men": st.integers(0, 3)}),
    }
)
competitions = st.fixed_dictionaries(
    {"competition": st.just("wsa-2025"), "skill": st.sampled_from(["02", "18"]), "on": days}
)
cohort_changes: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["started", "closed", "cancelled", "void"]),
        "programme": st.sampled_from(["ilo-china", "other"]),
        "starts_on": days,
        "started_on": maybe_days,
        "announced_on": days,
        "places": st.sampled_from([[{"country": "KH", "places": 9}], [{"country": "LA", "places": 0}]]),
        "sessions": st.lists(sessions, max_size=2),
    }
)
trainee_changes: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["enrolled", "enrolled", "withdrawn", "void"]),
        "person": st.sampled_from(["person-a", "person-b"]),
        "sex": st.sampled_from(["F", "M"]),
        "trade": st.sampled_from(["electrical", "cabling"]),
        "sending_centre": st.sampled_from([None, "ntti"]),
        "arrived": mostly,
        "proposed_on": maybe_days,
        "enrolled_on": maybe_days,
        "withdrawn_on": st.none() | maybe_days,
        "completed_on": maybe_days,
        "completion": st.sampled_from(["none", "in-force", "withdrawn"]),
        "nominations": st.lists(competitions, max_size=2),
        "outcomes": st.lists(outcomes, max_size=2),
    }
)
certificate_changes: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["assessed", "issued", "revoked", "void"]),
        "assessed_on": maybe_days,
        "passed_on": maybe_days,
        "awarded_on": maybe_days,
        "revoked_on": maybe_days,
    }
)


@st.composite
def histories(draw: st.DrawFn) -> list[Known]:
    """Every fact ever told of some cohorts, trainees and certificates, oldest first for each thing."""
    told: list[Known] = []

    def tell(states: list[Model]) -> None:
        for number, state in enumerate(states, start=1):
            # After two revisions the publisher is restored from a backup and counts anew in the next epoch.
            epoch, revision = (1, number) if number < 3 else (2, 1)
            told.append(known(state, revision, epoch))

    for code in COHORTS:
        tell([a_cohort(code, **changes) for changes in draw(st.lists(cohort_changes, max_size=2))])
    for code in COHORTS:
        for number in draw(st.sets(st.sampled_from(NUMBERS), max_size=3)):
            changes = draw(st.lists(trainee_changes, min_size=1, max_size=3))
            tell([a_trainee(number, code, **change) for change in changes])
            for occupation in draw(st.sets(st.sampled_from(["electrician", "wireman"]), max_size=2)):
                awards = draw(st.lists(certificate_changes, min_size=1, max_size=2))
                tell([a_certificate(a_trainee(number, code), occupation, **award) for award in awards])
    return told


@st.composite
def arrivals(draw: st.DrawFn, history: list[Known]) -> list[list[Known]]:
    """The same facts as a bad link delivers them: in any order, some twice, in any batches."""
    again = draw(st.lists(st.sampled_from(history), max_size=5)) if history else []
    order = draw(st.permutations(history + again))
    batches: list[list[Known]] = []
    while order:
        size = draw(st.integers(1, len(order)))
        batches.append(list(order[:size]))
        order = order[size:]
    return batches
