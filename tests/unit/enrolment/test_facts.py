"""What the other services are told of a state."""

from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from services.enrolment.facts import age_band, cohort_data, completion, components, trainee_data
from shared.events.enrolment import TraineeFact
from tests.properties import examples
from tests.unit.enrolment.story import (
    COORDINATOR,
    HOST,
    PARTIES,
    SENDER,
    announced,
    at,
    cohort,
    completed,
    given,
    person,
    place,
    proposed,
    started,
    trainee,
    voided,
    whole,
)


def fact(events: list[dict[str, Any]], number: str = "01") -> TraineeFact:
    state = given(events).state
    assert state.cohort is not None
    finished = completion(state, place(number))
    return trainee_data(state.enrolments[place(number)], state.cohort, "p-1", finished)


@pytest.mark.parametrize(
    ("born", "on", "expected"),
    [
        (None, date(2025, 3, 31), "_U"),
        (date(2010, 4, 1), date(2025, 3, 31), "Y_LT15"),
        (date(2010, 3, 31), date(2025, 3, 31), "Y15T24"),
        (date(2000, 4, 1), date(2025, 3, 31), "Y15T24"),
        (date(2000, 3, 31), date(2025, 3, 31), "Y25T34"),
        (date(2004, 2, 29), date(2029, 2, 28), "Y15T24"),
        (date(2004, 2, 29), date(2029, 3, 1), "Y25T34"),
        (date(1960, 3, 31), date(2025, 3, 31), "Y_GE65"),
        (date(2030, 1, 1), date(2025, 3, 31), "_U"),
    ],
)
def test_age_in_completed_years_on_the_first_day(born: date | None, on: date, expected: str) -> None:
    assert age_band(born, on) == expected


def test_days_are_local_to_the_cohort() -> None:
    late = "2025-03-01T23:30:00+00:00"  # already 2 March in Wuxi
    state = given([{**announced(), "time": late}]).state
    assert state.cohort is not None
    assert cohort_data(state.cohort).announced_on == date(2025, 3, 2)


def test_who_was_a_party_and_until_when() -> None:
    def former(*events: dict[str, Any]) -> list[tuple[str, str, datetime]]:
        state = given([announced(), *events]).state
        assert state.cohort is not None
        return [(party.office, party.role, party.until) for party in cohort_data(state.cohort).former_parties]

    def left(day: int, *gone: str) -> dict[str, Any]:
        still = [party for party in PARTIES if party["office"] not in gone]
        return cohort("cohort.changed", day, COORDINATOR, parties=still)

    sender, host = (SENDER, "sending-office"), (HOST, "host-centre")
    assert former() == former(cohort("cohort.changed", 2, titles={"en": "New"})) == []
    assert former(left(5, HOST)) == [(*host, datetime.fromisoformat(at(5)))]
    assert former(left(7, HOST, SENDER), left(5, HOST)) == [
        (*host, datetime.fromisoformat(at(5))),
        (*sender, datetime.fromisoformat(at(7))),
    ]
    assert former(left(5, HOST), left(6), left(7, HOST)) == [(*host, datetime.fromisoformat(at(7)))]
    assert former(left(5, HOST), voided(left(5, HOST))) == []


def test_a_trainee_who_completed() -> None:
    said = fact(whole())
    assert (said.status, said.completion, said.completed_on) == ("completed", "in-force", date(2025, 4, 13))
    assert (said.proposed_on, said.enrolled_on) == (date(2025, 3, 6), date(2025, 3, 11))
    assert said.nominations[0].on == date(2025, 5, 30)
    assert (said.sex, said.age_band) == ("F", "Y15T24")


def test_who_did_not_arrive() -> None:
    story = [announced(), proposed(), trainee("trainee.enrolled"), started(not_arrived=["01"])]
    assert fact(story).arrived is False


def test_a_first_day_that_moves_moves_the_age_band() -> None:
    story = [announced(), proposed(person=person(birth_date="2000-04-01"))]
    assert fact(story).age_band == "Y15T24"
    assert fact([*story, cohort("cohort.changed", 6, starts_on="2025-04-01")]).age_band == "Y25T34"


def test_a_reserve_who_is_enrolled_is_declined_no_more() -> None:
    story = [announced(), proposed(), trainee("trainee.declined", day=6, reason="reserve")]
    assert (fact(story).status, fact(story).declined_on) == ("declined", date(2025, 3, 7))
    enrolled = fact([*story, trainee("trainee.enrolled")])
    assert (enrolled.status, enrolled.declined_on) == ("enrolled", None)


def test_a_voided_completion_is_withdrawn_at_the_time_of_the_void() -> None:
    said = fact([*whole(), voided(completed(), 70)])
    assert (said.status, said.completion, said.completed_on) == ("enrolled", "withdrawn", None)
    assert said.completion_withdrawn_at == datetime.fromisoformat(at(70))


def test_a_completion_said_again_is_in_force_again() -> None:
    said = fact([*whole(), voided(completed(), 70), completed(day=71)])
    assert (said.completion, said.completion_withdrawn_at) == ("in-force", None)


def test_a_replaced_completion_stays_in_force() -> None:
    right = {**completed(), "id": "right", "replaces": completed()["id"]}
    assert fact([*whole(), right]).completion == "in-force"


def test_a_voided_enrolment_withdraws_the_completion() -> None:
    enrolled = trainee("trainee.enrolled")
    said = fact([*whole(), voided(enrolled, 70)])
    assert (said.status, said.completion) == ("proposed", "withdrawn")
    assert said.completion_withdrawn_at == datetime.fromisoformat(at(70))


def test_a_voided_start_withdraws_the_completions() -> None:
    assert fact([*whole(), voided(started(), 70)]).completion == "withdrawn"


def test_a_completion_that_never_applied_was_never_withdrawn() -> None:
    assert fact([announced(), proposed(), trainee("trainee.enrolled"), completed()]).completion == "none"


PASSPORT = {"kind": "passport", "number": "N 123-456", "country": "KH"}


def links(**identifier: Any) -> frozenset[str]:
    story = [announced(), proposed(person=person(identifiers=[{**PASSPORT, **identifier}]))]
    return given(story).state.enrolments[place()].links


def test_numbers_are_compared_as_people_mean_them() -> None:
    assert links() == links(number="n123456") == links(number="N១២៣៤៥៦") == links(number="N\u200b123 456")
    assert links() != links(number="N123457")
    assert links() != links(kind="national-id")
    assert links() != links(country="LA")
    assert links(country="KH") == links(country=None)


def test_a_number_of_nothing_links_nobody() -> None:
    assert links(number="---") == frozenset()


def test_a_centres_number_means_something_only_there() -> None:
    own = {"kind": "centre-number", "number": "12"}
    story = [announced(), proposed("01", sending_centre="ntti", person=person(identifiers=[own])),
             proposed("02", person=person(identifiers=[own]))]  # fmt: skip
    enrolments = given(story).state.enrolments
    assert enrolments[place("01")].links != enrolments[place("02")].links


def test_enrolments_that_share_a_link_over_others_are_one_person() -> None:
    assert components([("b", "x"), ("a", "y"), ("c", "x"), ("c", "y"), ("d", "z")]) == {
        "a": "a", "b": "a", "c": "a", "d": "d",
    }  # fmt: skip


pairs = st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from("12345")))


@examples(80)
@hypothesis_given(found=pairs, data=st.data())
def test_persons_do_not_depend_on_the_order(found: list[tuple[str, str]], data: st.DataObject) -> None:
    assert components(data.draw(st.permutations(found))) == components(found)
