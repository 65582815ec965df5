"""Given these facts, then these counts: a test for the rule of each measure."""

import pytest

from services.enrolment.facts import Completion, cohort_data, trainee_data
from services.reporting.difference import effect
from services.reporting.domain import (
    DIMENSIONS,
    EXCEPTIONS,
    MEASURES,
    TOTAL,
    Cell,
    Known,
    Rows,
    Scope,
    cohort_contributions,
    contributions,
    count,
    newest,
    people_contribution,
)
from shared.events.codes import Model
from tests.unit.enrolment import story as enrolment
from tests.unit.reporting.facts import a_certificate, a_cohort, a_trainee, count_all, known, months, of


def rows_of(*facts: Model) -> Rows:
    rows = Rows()
    for fact in facts:
        rows.put(fact)
    return rows


def test_places_count_per_sending_country_in_the_month_of_the_announcement() -> None:
    cohort = a_cohort(places=[{"country": "KH", "places": 9}, {"country": "LA", "places": 4}])
    counted = cohort_contributions(cohort)
    assert {cell.country: value for cell, value in counted.items()} == {"KH": 9, "LA": 4}
    assert months(counted, "places") == {"2025-01": 13}


def test_a_cell_of_places_says_which_dimensions_do_not_apply() -> None:
    (cell,) = cohort_contributions(a_cohort())
    assert cell == Cell(
        measure="places",
        programme="ilo-china",
        country="KH",
        host_country="CN",
        host_centre="wit",
        cohort="wuxi",
        mode="in-person",
        month="2025-01",
        start_month="2025-03",
        end_month="2025-04",
    )
    assert (cell.sex, cell.trade, cell.sending_centre, cell.scheme) == ("_Z", "_Z", "_Z", "_Z")


def test_an_enrolled_trainee_counts_with_all_that_is_known_of_them() -> None:
    counted = contributions(a_cohort(), a_trainee(sending_centre=None), [])
    assert of(counted, "enrolled") == {
        Cell(
            measure="enrolled",
            programme="ilo-china",
            country="KH",
            host_country="CN",
            sending_centre="_U",
            host_centre="wit",
            cohort="wuxi",
            trade="electrical",
            mode="in-person",
            sex="F",
            role="student",
            age_band="Y15T24",
            disability="no",
            month="2025-02",
            start_month="2025-03",
            end_month="2025-04",
        ): 1
    }


def test_a_trainee_enrolled_without_a_proposal_was_not_proposed() -> None:
    assert months(contributions(a_cohort(), a_trainee(), []), "proposed") == {}


def test_a_declined_trainee_still_counts_as_proposed() -> None:
    trainee = a_trainee(status="declined", proposed_on="2025-02-01", declined_on="2025-03-02", enrolled_on=None)
    counted = contributions(a_cohort(), trainee, [])
    assert {cell.measure: cell.month for cell in counted} == {"proposed": "2025-02", "declined": "2025-03"}


def test_a_trainee_who_withdrew_still_counts_as_enrolled_and_started() -> None:
    counted = contributions(a_cohort(), a_trainee(status="withdrawn", withdrawn_on="2025-04-02"), [])
    assert {cell.measure: cell.month for cell in counted} == {
        "enrolled": "2025-02",
        "started": "2025-03",
        "withdrawn": "2025-04",
    }


@pytest.mark.parametrize(
    ("cohort", "trainee", "started"),
    [
        ({}, {}, True),
        ({"started_on": None, "status": "announced"}, {}, False),
        ({}, {"arrived": False}, False),
        ({}, {"enrolled_on": None, "status": "proposed", "proposed_on": "2025-02-01"}, False),
        ({}, {"status": "withdrawn", "withdrawn_on": "2025-03-30"}, False),
        ({}, {"status": "withdrawn", "withdrawn_on": "2025-03-31"}, True),
        ({}, {"status": "declined", "declined_on": "2025-03-30"}, False),
        ({"status": "cancelled", "cancelled_on": "2025-04-05"}, {}, True),
    ],
)
def test_started_needs_a_start_an_arrival_and_nobody_gone_before(
    cohort: dict[str, object], trainee: dict[str, object], started: bool
) -> None:
    counted = contributions(a_cohort(**cohort), a_trainee(**trainee), [])
    assert months(counted, "started") == ({"2025-03": 1} if started else {})


def test_completed_counts_while_the_completion_stands() -> None:
    done = {"status": "completed", "completed_on": "2025-04-13", "completion": "in-force"}
    assert months(contributions(a_cohort(), a_trainee(**done), []), "completed") == {"2025-04": 1}
    taken_back = {**done, "completion": "withdrawn"}
    assert months(contributions(a_cohort(), a_trainee(**taken_back), []), "completed") == {}


def test_assessed_passed_certified_count_a_scheme_and_level_once_at_the_earliest() -> None:
    trainee = a_trainee()
    awards = [
        a_certificate(trainee, "wireman", assessed_on="2025-04-12", passed_on="2025-05-12", awarded_on="2025-06-01"),
        a_certificate(
            trainee, "electrician", assessed_on="2025-05-01", passed_on="2025-05-01", awarded_on="2025-06-01"
        ),
        a_certificate(trainee, "electrician", edition=2, awarded_on="2025-09-01"),
        a_certificate(trainee, "electrician", level="junior", assessed_on="2025-04-30"),
    ]
    counted = contributions(a_cohort(), trainee, awards)
    assert {(cell.level, cell.occupation, cell.month) for cell in of(counted, "assessed")} == {
        ("senior", "wireman", "2025-04"),
        ("junior", "electrician", "2025-04"),
    }
    assert [(cell.occupation, cell.month) for cell in of(counted, "passed")] == [("electrician", "2025-05")]
    assert [(cell.occupation, cell.month) for cell in of(counted, "certified")] == [("electrician", "2025-06")]
    assert set(counted.values()) == {1}


@pytest.mark.parametrize("status", ["issued", "suspended", "revoked", "superseded"])
def test_certified_is_not_reduced_by_what_happens_to_the_certificate_later(status: str) -> None:
    trainee = a_trainee()
    counted = contributions(a_cohort(), trainee, [a_certificate(trainee, status=status, awarded_on="2025-04-13")])
    assert months(counted, "certified") == {"2025-04": 1}


def test_a_void_takes_the_certificate_away() -> None:
    trainee = a_trainee()
    void = a_certificate(trainee, status="void", awarded_on="2025-04-13", revoked_on="2025-05-01")
    assert contributions(a_cohort(), trainee, [void]) == contributions(a_cohort(), trainee, [])


def test_revoked_counts_in_its_own_month_beside_certified() -> None:
    trainee = a_trainee()
    award = a_certificate(trainee, status="revoked", awarded_on="2025-04-13", revoked_on="2025-07-01")
    counted = contributions(a_cohort(), trainee, [award])
    assert months(counted, "revoked") == {"2025-07": 1}
    assert months(counted, "certified") == {"2025-04": 1}


def test_nominated_and_placed_count_each_competition_and_skill_once() -> None:
    trainee = a_trainee(
        nominations=[
            {"competition": "wsa-2025", "skill": "18", "on": "2025-05-02"},
            {"competition": "wsa-2025", "skill": "18", "on": "2025-06-02"},
            {"competition": "wsa-2025", "skill": "02", "on": "2025-06-02"},
        ],
        placings=[{"competition": "wsa-2025", "skill": "18", "place": 3, "on": "2025-08-28"}],
    )
    counted = contributions(a_cohort(), trainee, [])
    assert months(counted, "nominated") == {"2025-05": 1, "2025-06": 1}
    assert months(counted, "placed") == {"2025-08": 1}


SESSION = {"session": 1, "date": "2025-04-01", "hours": 6.25}


@pytest.mark.parametrize(
    ("session", "trainee", "hundredths"),
    [
        ({}, {}, 625),
        ({"trade": "electrical"}, {}, 625),
        ({"trade": "cabling"}, {}, 0),
        ({"group": ["01", "02"]}, {}, 625),
        ({"group": ["02"]}, {}, 0),
        ({"group": ["01"], "trade": "cabling"}, {}, 625),
        ({"absent": ["01"]}, {}, 0),
        ({"absent": ["02"]}, {}, 625),
        ({"partial": [{"number": "01", "hours": 2.1}]}, {}, 210),
        ({"partial": [{"number": "01", "hours": 0.0}]}, {}, 0),
        ({"absent": ["01"], "partial": [{"number": "01", "hours": 2.1}]}, {}, 210),
        ({"partial": [{"number": "01", "hours": 2.1}, {"number": "01", "hours": 4.0}]}, {}, 210),
        ({}, {"arrived": False}, 0),
        ({}, {"status": "declined", "enrolled_on": None, "declined_on": "2025-02-21"}, 0),
        ({}, {"status": "withdrawn", "withdrawn_on": "2025-03-31"}, 0),
        ({}, {"status": "withdrawn", "withdrawn_on": "2025-04-01"}, 625),
    ],
)
def test_training_hours_are_those_that_the_trainee_received(
    session: dict[str, object], trainee: dict[str, object], hundredths: int
) -> None:
    counted = contributions(a_cohort(sessions=[{**SESSION, **session}]), a_trainee(**trainee), [])
    assert months(counted, "training_hours") == ({"2025-04": hundredths} if hundredths else {})


def test_training_hours_are_what_the_desk_and_an_export_say() -> None:
    state = enrolment.given(enrolment.attended()).state
    assert state.cohort is not None
    for number, hours in enrolment.HOURS.items():
        trainee = trainee_data(state.enrolments[enrolment.place(number)], state.cohort, "p-1", Completion())
        counted = contributions(cohort_data(state.cohort), trainee, [])
        assert sum(months(counted, "training_hours").values()) == 100 * sum(hours), number


def test_training_hours_belong_to_the_month_of_each_session() -> None:
    cohort = a_cohort(
        sessions=[{**SESSION, "date": "2025-03-31"}, {**SESSION, "session": 2}, {**SESSION, "session": 3}]
    )
    assert months(contributions(cohort, a_trainee(), []), "training_hours") == {"2025-03": 625, "2025-04": 1250}


def test_a_cohort_that_has_not_started_gives_no_hours() -> None:
    cohort = a_cohort(status="announced", started_on=None, sessions=[SESSION])
    assert months(contributions(cohort, a_trainee(), []), "training_hours") == {}


def test_outcomes_count_reports_and_learners_by_their_own_sex() -> None:
    trainee = a_trainee(
        sex="M",
        role="teacher",
        outcomes=[
            {"months_after": 6, "on": "2025-10-13", "outcome": "teaching", "learners": {"women": 40, "men": 60}},
            {"months_after": 1, "on": "2025-05-13", "outcome": "no-answer"},
        ],
    )
    counted = contributions(a_cohort(), trainee, [])
    assert {(cell.outcome, cell.months_after, cell.sex) for cell in of(counted, "outcomes")} == {
        ("teaching", "6", "M"),
        ("no-answer", "1", "M"),
    }
    assert {
        (cell.sex, cell.role, cell.age_band, cell.month): n for cell, n in of(counted, "learners_reached").items()
    } == {
        ("F", "teacher", "_Z", "2025-10"): 40,
        ("M", "teacher", "_Z", "2025-10"): 60,
    }


def test_a_person_counts_once_in_each_cell_of_people() -> None:
    first = a_trainee("02", person="one", trade="cabling")
    later = a_trainee("01", "wuxi-2", person="one", enrolled_on="2026-02-20", country="LA")
    proposed = a_trainee("01", "wuxi-3", person="one", enrolled_on=None, proposed_on="2024-01-01", status="proposed")
    lines = [(a_cohort("wuxi-3"), proposed), (a_cohort("wuxi-2"), later), (a_cohort(), first)]
    counted = people_contribution(lines)
    assert set(counted.values()) == {1}
    assert {(cell.programme, cell.country, cell.cohort) for cell in counted if cell.sex == TOTAL} == {
        (TOTAL, TOTAL, TOTAL),
        (TOTAL, "KH", TOTAL),
        (TOTAL, "LA", TOTAL),
        ("ilo-china", TOTAL, TOTAL),
        ("ilo-china", "KH", TOTAL),
        ("ilo-china", "LA", TOTAL),
        *(("ilo-china", country, "wuxi") for country in (TOTAL, "KH")),
        *(("ilo-china", country, "wuxi-2") for country in (TOTAL, "LA")),
    }
    assert {cell.sex for cell in counted} == {TOTAL, "F"}


def test_nothing_of_an_enrolment_counts_until_its_cohort_has_come() -> None:
    trainee = a_trainee()
    award = a_certificate(trainee, awarded_on="2025-04-13")
    assert count_all(rows_of(trainee, award)) == {}
    assert months(count_all(rows_of(trainee, award, a_cohort())), "certified") == {"2025-04": 1}


def test_nothing_of_a_certificate_counts_until_its_enrolment_has_come() -> None:
    award = a_certificate(a_trainee(), awarded_on="2025-04-13")
    assert {cell.measure for cell in count_all(rows_of(award, a_cohort()))} == {"places"}


def test_voids_contribute_nothing() -> None:
    trainee = a_trainee()
    award = a_certificate(trainee, awarded_on="2025-04-13")
    assert count_all(rows_of(a_cohort(status="void"), trainee, award)) == {}
    void = trainee.model_copy(update={"status": "void"})
    assert {cell.measure for cell in count_all(rows_of(a_cohort(), void, award))} == {"places"}


def test_when_one_of_two_enrolments_is_voided_the_person_is_still_one() -> None:
    first, later = a_trainee("01", person="one"), a_trainee("02", person="one", enrolled_on="2025-03-01")
    held = rows_of(a_cohort(), first, later)
    assert of(effect(held, rows_of(first.model_copy(update={"status": "void"}))), "people") == {}
    gone = held.with_changes(rows_of(first.model_copy(update={"status": "void"})))
    delta = of(effect(gone, rows_of(later.model_copy(update={"status": "void"}))), "people")
    assert set(delta.values()) == {-1}


def test_when_a_cohort_changes_its_enrolments_move_with_it() -> None:
    held = rows_of(a_cohort(), a_trainee())
    changed = rows_of(a_cohort(programme="other"))
    delta = effect(held, changed)
    assert sum(delta.values()) == 0
    assert {cell.programme for cell in delta} == {"ilo-china", "other"}
    assert {cell.measure for cell in delta} == {"places", "enrolled", "started", "people"}


def test_only_the_newest_fact_of_a_thing_counts_and_only_if_newer_than_what_is_held() -> None:
    def at(epoch: int, revision: int) -> Known:
        return known(a_cohort(), revision, epoch)

    held = {("cohort", "wuxi"): at(1, 5).version}
    assert newest([at(1, 4), at(1, 5)], held) == []
    assert newest([at(1, 6), at(1, 7), at(1, 7), at(1, 3)], held) == [at(1, 7)]
    assert newest([at(2, 1), at(1, 9)], held) == [at(2, 1)]


def test_every_cell_leaves_out_exactly_the_dimensions_that_do_not_apply() -> None:
    trainee = a_trainee(
        proposed_on="2025-02-01",
        declined_on="2025-06-02",
        withdrawn_on="2025-06-02",
        completed_on="2025-04-13",
        completion="in-force",
        nominations=[{"competition": "wsa", "skill": "18", "on": "2025-05-02"}],
        placings=[{"competition": "wsa", "skill": "18", "medal": "gold", "on": "2025-08-28"}],
        outcomes=[{"months_after": 6, "on": "2025-10-13", "outcome": "teaching", "learners": {"women": 1, "men": 0}}],
    )
    award = a_certificate(
        trainee, assessed_on="2025-04-12", passed_on="2025-04-12", awarded_on="2025-04-13", revoked_on="2025-07-01"
    )
    counted = count_all(rows_of(a_cohort(sessions=[SESSION]), trainee, award))
    assert {cell.measure for cell in counted} == set(MEASURES)
    for cell in counted:
        if cell.measure == "people":
            continue
        applies = {name for name in DIMENSIONS if getattr(cell, name) != "_Z"}
        assert applies == set(MEASURES[cell.measure].dimensions), cell.measure


def test_what_would_make_a_rate_pass_100_percent_is_counted_by_itself() -> None:
    report = {"months_after": 6, "on": "2025-10-13", "outcome": "teaching"}
    absent = a_trainee(arrived=False, completed_on="2025-04-13", completion="in-force", outcomes=[report, report])
    first = a_certificate(absent, assessed_on="2025-04-10")
    second = a_certificate(absent, occupation="welder", assessed_on="2025-04-11", passed_on="2025-04-11")
    third = a_certificate(absent, level="junior", awarded_on="2025-04-13")
    counted = count_all(rows_of(a_cohort(), absent, first, second, third))
    outside = {
        cell.measure: (value, cell.occupation, cell.level)
        for cell, value in counted.items()
        if cell.measure in EXCEPTIONS
    }
    assert outside == {
        "completed_outside": (1, "_Z", "_Z"),
        "passed_outside": (1, "welder", "senior"),
        "certified_outside": (1, "electrician", "junior"),
        "answered_outside": (1, "_Z", "_Z"),
    }


def test_the_tables_name_what_a_cell_has() -> None:
    assert tuple(DIMENSIONS) == Cell._fields[1:]
    assert len(DIMENSIONS) == 20
    assert len(MEASURES) == 17


def test_what_is_out_of_scope_is_not_counted() -> None:
    assert count(rows_of(a_cohort(), a_trainee()), Scope()) == {}
