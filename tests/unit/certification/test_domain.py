"""Given these events and facts, then these certificates and outcomes: a test for each rule."""

from dataclasses import replace as changed
from datetime import UTC, date, datetime
from typing import Any

import pytest

from services.certification import recognising
from services.certification.awards import World
from services.certification.domain import fold
from services.certification.rules import EDITIONS_LIMIT, GUARDS, RANKS, ROLES, sentence
from services.certification.sentences import SENTENCES
from shared.events.offices_to_certification import TYPES
from tests.unit.certification.given import (
    BODY,
    CENTRE,
    OTHER_BODY,
    SENDER,
    about,
    assessed,
    at,
    awarded,
    certificates,
    day,
    event,
    numbered,
    reinstated,
    replaced,
    revoked,
    standing,
    suspended,
    the_certificate,
    trainee,
    voided,
    world,
)


def test_an_award_after_pass_and_completion_is_issued() -> None:
    decided = fold([assessed("a", 11), awarded("c", 14, printed="S-1")], world(valid_months=36))
    assert standing(decided, "a", "c") == ["accepted", "accepted"]
    fact = the_certificate(decided)
    assert (fact.status, fact.edition, fact.number) == ("issued", 1, "S-1")
    assert (fact.assessed_on, fact.passed_on, fact.awarded_on) == (day(11), day(11), day(14))
    assert fact.valid_until == date(2028, 4, 14)
    assert (fact.cohort, fact.trainee, fact.person, fact.country) == ("wuxi", "001", "person-001", "KH")


def test_validity_ends_on_a_day_that_exists() -> None:
    decided = fold([awarded("c", 30)], world(valid_months=10))
    assert the_certificate(decided).valid_until == date(2026, 2, 28)
    decided = fold([awarded("c", 30)], world(valid_months=1200))
    assert the_certificate(decided).valid_until == date(2100, 12, 31)


class TestBeforeAnAward:
    def test_a_failed_attempt_is_assessed(self) -> None:
        fact = the_certificate(fold([assessed("a", 11, "fail")], world()))
        assert (fact.status, fact.assessed_on, fact.passed_on, fact.awarded_on) == ("assessed", day(11), None, None)

    def test_a_pass_is_eligible_once_completion_is_there(self) -> None:
        assert the_certificate(fold([assessed("a", 11)], world(trainee(completion="none")))).status == "assessed"
        assert the_certificate(fold([assessed("a", 11)], world())).status == "eligible"

    def test_absence_is_no_assessment(self) -> None:
        events = [assessed("a", 10, "absent"), assessed("b", 11, "fail", 2), assessed("c", 12, "pass", 3)]
        fact = the_certificate(fold(events, world()))
        assert (fact.assessed_on, fact.passed_on) == (day(11), day(12))
        assert [attempt.result for attempt in fact.attempts] == ["absent", "fail", "pass"]

    def test_an_attempt_is_reported_once(self) -> None:
        decided = fold([assessed("a", 11, "fail"), assessed("b", 12)], world())
        assert standing(decided, "a", "b") == ["accepted", "conflict attempt_already_reported"]

    def test_who_reports_the_same_attempt_confirms_it(self) -> None:
        parts = [{"name": "theory", "mark": 82, "out_of": 100, "passed": True}]
        centre = assessed("a", 11, more={"parts": parts, "assessor": "Wuxi Institute"})
        body = assessed("b", 11, source=BODY, more={"parts": parts})
        alone = the_certificate(fold([centre], world()))
        decided = fold([centre, body], world())
        assert standing(decided, "a", "b") == [
            "accepted attempt_confirmed",
            "accepted",
        ]  # the body's comes first by its name
        assert the_certificate(decided) == alone

    def test_a_confirmed_attempt_stands_on_the_other_report_once_the_first_is_voided(self) -> None:
        centre, body = assessed("a", 11), assessed("b", 11, source=BODY)
        decided = fold([centre, body, voided("v", 12, body)], world())
        assert standing(decided, "a", "b") == ["accepted", "accepted voided"]
        assert the_certificate(decided).status == "eligible"

    @pytest.mark.parametrize(
        "other",
        [
            {"assessor": "Another board"},
            {"parts": [{"name": "theory", "mark": 83, "out_of": 100, "passed": True}]},
            {"result": "fail"},
        ],
    )
    def test_who_reports_it_otherwise_contradicts(self, other: dict[str, Any]) -> None:
        said = {"assessor": "Wuxi Institute", "parts": [{"name": "theory", "mark": 82, "out_of": 100, "passed": True}]}
        result = {"result": other.get("result", "pass")}
        more = {name: value for name, value in {**said, **other}.items() if name != "result"}
        events = [assessed("b", 11, source=BODY, more=said), assessed("a", 11, **result, more=more)]
        decided = fold(events, world())
        assert standing(decided, "b", "a") == ["accepted", "conflict attempt_already_reported"]

    def test_levels_are_awards_of_their_own(self) -> None:
        decided = fold([assessed("a", 11), assessed("b", 11, "fail", more={"level": "senior"})], world())
        assert [(fact.level, fact.status) for fact in certificates(decided)] == [
            ("junior", "eligible"),
            ("senior", "assessed"),
        ]


class TestWaiting:
    def test_for_enrolment_cohort_and_scheme_in_turn(self) -> None:
        full, events = world(), [awarded("c", 14)]
        assert standing(fold(events, World()), "c") == ["waiting enrolment_unknown"]
        assert standing(fold(events, changed(full, cohorts={})), "c") == ["waiting cohort_unknown"]
        assert standing(fold(events, changed(full, schemes={})), "c") == ["waiting scheme_unknown"]
        assert standing(fold(events, full), "c") == ["accepted"]

    def test_for_the_award_whatever_the_clocks_say(self) -> None:
        events = [numbered("n", 13, "S-1"), awarded("c", 14)]
        assert standing(fold(events[:1], world()), "n") == ["waiting award_unknown"]
        decided = fold(events, world())
        assert standing(decided, "n", "c") == ["accepted", "accepted"]
        assert the_certificate(decided).number == "S-1"

    def test_for_a_suspension_that_came_before(self) -> None:
        events = [awarded("c", 14), reinstated("r", 16), suspended("s", 18)]
        decided = fold(events, world())
        assert standing(decided, "r", "s") == ["waiting not_suspended", "accepted"]
        assert the_certificate(decided).status == "suspended"
        assert standing(fold([*events, suspended("t", 15)], world()), "r") == ["accepted"]


class TestWhoMaySay:
    def test_only_parties_in_the_right_role(self) -> None:
        events = [assessed("a", 11, source=SENDER), awarded("c", 14, source=CENTRE), assessed("b", 11, source=BODY)]
        assert standing(fold(events, world()), "a", "c", "b") == [
            "conflict not_a_party",
            "conflict not_a_party",
            "accepted",
        ]

    def test_who_was_a_party_said_it_as_a_party(self) -> None:
        full = world()
        left = changed(
            full.cohorts["wuxi"],
            parties=frozenset({(SENDER, "sending-office")}),
            former_parties=frozenset({(BODY, "awarding-body", at(15)), (CENTRE, "awarding-body", at(20))}),
        )
        events = [awarded("c", 14), numbered("n", 15, "S-1"), assessed("a", 11)]
        assert standing(fold(events, changed(full, cohorts={"wuxi": left})), "c", "n", "a") == [
            "accepted",
            "conflict not_a_party",
            "accepted",
        ]

    def test_only_the_schemes_own_awarding_body(self) -> None:
        decided = fold([awarded("c", 14, source=OTHER_BODY)], world())
        assert standing(decided, "c") == ["conflict not_the_awarding_body"]

    def test_only_the_schemes_own_codes(self) -> None:
        wrong = event("certificate.awarded.v1", "o", 14, {**about(), "occupation": "cook", "date": "2025-04-14"})
        decided = fold([wrong, awarded("l", 14, more={"level": "chief"})], world())
        assert standing(decided, "o", "l") == ["conflict occupation_unknown", "conflict level_unknown"]


class TestBasis:
    def test_no_award_without_completion_until_it_comes(self) -> None:
        events = [assessed("a", 11), awarded("c", 14)]
        decided = fold(events, world(trainee(completion="none")))
        assert standing(decided, "c") == ["conflict completion_missing"]
        assert the_certificate(decided).status == "assessed"
        assert standing(fold(events, world()), "c") == ["accepted"]

    def test_a_scheme_that_asks_for_no_completion(self) -> None:
        decided = fold([awarded("c", 14)], world(trainee(completion="none"), completion_required=False))
        assert the_certificate(decided).status == "issued"

    def test_no_award_on_failed_attempts_until_a_pass_comes(self) -> None:
        events = [assessed("a", 11, "fail"), awarded("c", 14)]
        assert standing(fold(events, world()), "c") == ["conflict assessment_not_passed"]
        decided = fold([*events, assessed("b", 15, "pass", 2)], world())
        assert standing(decided, "c", "b") == ["accepted", "accepted"]

    def test_withdrawn_completion_suspends_until_it_returns(self) -> None:
        gone = trainee(completion="withdrawn", completion_withdrawn_at=at(20))
        fact = the_certificate(fold([awarded("c", 14)], world(gone)))
        assert (fact.status, fact.reason, fact.suspended_on) == ("suspended", "basis_withdrawn", day(20))
        assert fact.awarded_on == day(14)
        assert the_certificate(fold([awarded("c", 14)], world())).status == "issued"

    def test_the_day_is_that_of_the_cohorts_place(self) -> None:
        evening = datetime(2025, 4, 20, 20, tzinfo=UTC)  # four in the morning in Wuxi
        gone = trainee(completion="withdrawn", completion_withdrawn_at=evening)
        assert the_certificate(fold([awarded("c", 14)], world(gone))).suspended_on == day(21)

    @pytest.mark.parametrize(("withdrawn", "taken"), [(13, False), (14, False), (15, True)])
    def test_no_award_after_completion_was_withdrawn(self, withdrawn: int, taken: bool) -> None:
        gone = trainee(completion="withdrawn", completion_withdrawn_at=at(withdrawn))
        decided = fold([assessed("a", 11), awarded("c", 14)], world(gone))
        assert standing(decided, "c") == ["accepted" if taken else "conflict completion_missing"]

    @pytest.mark.parametrize(("voids", "taken"), [(13, False), (14, False), (15, True)])
    def test_no_award_on_a_pass_that_was_gone(self, voids: int, taken: bool) -> None:
        resit = assessed("b", 11, "pass", 2)
        decided = fold([assessed("a", 10, "fail"), resit, awarded("c", 14), voided("v", voids, resit)], world())
        assert standing(decided, "c") == ["accepted" if taken else "conflict assessment_not_passed"]
        assert the_certificate(decided).status == ("suspended" if taken else "assessed")

    def test_an_award_that_rests_on_no_pass_is_not_suspended_for_one_that_was_gone(self) -> None:
        first = assessed("a", 11)
        assert the_certificate(fold([first, voided("v", 12, first), awarded("c", 14)], world())).status == "issued"

    def test_a_pass_that_issued_and_was_voided_by_an_earlier_clock_suspends(self) -> None:
        late = event(
            "trainee.assessed.v1", "a", 15, {**about(), "attempt": 1, "date": "2025-04-11", "result": "pass"}, CENTRE
        )
        events = [late, voided("v", 14, late)]
        fact = the_certificate(fold(events, world(rule="on_pass", completion_required=False)))
        assert (fact.status, fact.reason) == ("suspended", "basis_withdrawn")

    def test_the_body_decides_after_the_withdrawal(self) -> None:
        gone = world(trainee(completion="withdrawn", completion_withdrawn_at=at(20)))
        early = fold([awarded("c", 14), reinstated("r", 19)], gone)
        assert standing(early, "r") == ["waiting not_suspended"]
        assert the_certificate(early).status == "suspended"
        late = fold([awarded("c", 14), reinstated("r", 20)], gone)
        assert (standing(late, "r"), the_certificate(late).status) == (["accepted"], "issued")
        ended = the_certificate(fold([awarded("c", 14), revoked("r", 21)], gone))
        assert (ended.status, ended.reason) == ("revoked", "fraud")

    def test_a_voided_pass_suspends_unless_another_stands(self) -> None:
        first = assessed("a", 11)
        events = [first, awarded("c", 14), voided("v", 16, first)]
        decided = fold(events, world())
        assert standing(decided, "a", "c", "v") == ["accepted voided", "accepted", "accepted"]
        fact = the_certificate(decided)
        assert (fact.status, fact.reason, fact.suspended_on) == ("suspended", "basis_withdrawn", day(16))
        assert (fact.passed_on, fact.awarded_on) == (None, day(14))
        again = the_certificate(fold([*events, assessed("b", 17, attempt=2)], world()))
        assert (again.status, again.passed_on) == ("issued", day(17))

    def test_a_pass_that_came_after_a_failure_and_was_voided(self) -> None:
        resit = assessed("b", 15, "pass", 2)
        events = [assessed("a", 11, "fail"), awarded("c", 14), resit, voided("v", 16, resit)]
        fact = the_certificate(fold(events, world()))
        assert (fact.status, fact.reason) == ("suspended", "basis_withdrawn")

    def test_a_pass_corrected_to_a_failure_is_gone_too(self) -> None:
        events = [assessed("a", 11), awarded("c", 14), assessed("b", 15, "fail", replaces="a")]
        decided = fold(events, world())
        assert standing(decided, "a", "b", "c") == ["accepted replaced", "accepted", "accepted"]
        assert the_certificate(decided).reason == "basis_withdrawn"

    def test_a_second_withdrawal_after_the_decision_suspends_again(self) -> None:
        first, second = assessed("a", 11), assessed("b", 18, attempt=2)
        events = [first, awarded("c", 14), voided("v", 16, first), reinstated("r", 17), second]
        assert the_certificate(fold(events, world())).status == "issued"
        assert the_certificate(fold([*events, voided("w", 19, second)], world())).status == "suspended"


class TestOneLiveCertificate:
    two = world(trainee(), trainee("002", person="person-001"))

    def test_the_first_stays(self) -> None:
        decided = fold([awarded("c", 14), awarded("d", 15, "002")], self.two)
        assert standing(decided, "c", "d") == ["accepted", "conflict already_certified"]
        decided = fold([awarded("d", 15), awarded("c", 14, "002")], self.two)
        assert standing(decided, "c", "d") == ["accepted", "conflict already_certified"]

    def test_the_later_one_is_taken_when_the_first_goes(self) -> None:
        first = awarded("c", 14)
        events = [first, awarded("d", 15, "002")]
        for end in (revoked("r", 20), voided("v", 20, first)):
            decided = fold([*events, end], self.two)
            assert standing(decided, "d") == ["accepted"]
            assert certificates(decided)[-1].status == "issued"

    def test_other_people_and_other_levels_do_not_matter(self) -> None:
        others = world(trainee(), trainee("002"))
        decided = fold([awarded("c", 14), awarded("d", 15, "002"), awarded("e", 16, more={"level": "senior"})], others)
        assert standing(decided, "c", "d", "e") == ["accepted"] * 3

    def test_what_has_expired_does_not_stand_in_the_way(self) -> None:
        short = changed(self.two, schemes=world(valid_months=1).schemes)
        assert standing(fold([awarded("c", 14), awarded("d", 40, "002")], short), "d") == ["conflict already_certified"]
        assert standing(fold([awarded("c", 14), awarded("d", 50, "002")], short), "d") == ["accepted"]

    def test_the_same_person_found_out_later(self) -> None:
        events = [awarded("c", 14), awarded("d", 15, "002")]
        assert standing(fold(events, world(trainee(), trainee("002"))), "d") == ["accepted"]
        assert standing(fold(events, self.two), "d") == ["conflict already_certified"]

    def test_after_revocation_a_new_award_is_the_next_edition(self) -> None:
        decided = fold([awarded("c", 14), revoked("r", 15), awarded("d", 16), revoked("x", 15)], world())
        assert [(fact.edition, fact.status, fact.awarded_on) for fact in certificates(decided)] == [
            (1, "revoked", day(14)),
            (2, "issued", day(16)),
        ]
        assert standing(decided, "x") == ["conflict already_revoked"]


class TestEditions:
    def test_a_replacement_supersedes(self) -> None:
        decided = fold([awarded("c", 14, printed="S-1"), replaced("p", 20, "S-2")], world())
        old, new = certificates(decided)
        assert (old.status, old.number, old.superseded_on, old.reason) == ("superseded", "S-1", day(20), "lost")
        assert (new.status, new.number, new.edition, new.awarded_on) == ("issued", "S-2", 2, day(14))
        assert old.certificate != new.certificate

    def test_what_comes_later_acts_on_the_live_edition(self) -> None:
        events = [awarded("c", 14, printed="S-1"), replaced("p", 20), numbered("n", 21, "S-2"), suspended("s", 22)]
        old, new = certificates(fold(events, world()))
        assert (old.status, old.number) == ("superseded", "S-1")
        assert (new.status, new.number, new.suspended_on) == ("suspended", "S-2", day(22))

    def test_a_suspension_outlives_a_replacement(self) -> None:
        _, new = certificates(fold([awarded("c", 14), suspended("s", 15), replaced("p", 20)], world()))
        assert (new.status, new.suspended_on) == ("suspended", day(15))

    def test_suspended_and_reinstated(self) -> None:
        events = [awarded("c", 14), suspended("s", 15), suspended("t", 16), reinstated("r", 17)]
        assert the_certificate(fold(events[:3], world())).suspended_on == day(15)
        fact = the_certificate(fold(events, world()))
        assert (fact.status, fact.suspended_on, fact.reason) == ("issued", None, None)

    def test_revoked_is_final(self) -> None:
        events = [awarded("c", 14), revoked("r", 15), suspended("s", 16), replaced("p", 17), revoked("x", 18)]
        decided = fold(events, world())
        assert standing(decided, "s", "p", "x") == ["conflict already_revoked"] * 3
        fact = the_certificate(decided)
        assert (fact.status, fact.revoked_on, fact.awarded_on) == ("revoked", day(15), day(14))

    def test_an_award_has_so_many_editions_and_no_more(self) -> None:
        events = [awarded("c", 14), *(replaced(f"p{number:02}", 15) for number in range(EDITIONS_LIMIT))]
        decided = fold(events, world())
        assert len(decided.certificates) == EDITIONS_LIMIT
        assert standing(decided, f"p{EDITIONS_LIMIT - 1:02}") == ["conflict limit_reached"]

    def test_a_number_is_given_once(self) -> None:
        events = [awarded("c", 14, printed="S-1"), numbered("n", 15, "S-1"), numbered("m", 16, "S-2")]
        assert standing(fold(events, world()), "n", "m") == ["accepted", "conflict already_numbered"]

    def test_a_number_stands_on_one_certificate_only(self) -> None:
        both = world(trainee(), trainee("002"))
        first = awarded("c", 14, printed="S-1")
        events = [first, awarded("d", 15, "002", printed="S-1")]
        assert standing(fold(events, both), "d") == ["conflict number_taken"]
        assert standing(fold([*events, voided("v", 16, first)], both), "d") == ["accepted"]


class TestVoidsAndReplacements:
    def test_a_voided_award_goes_back_to_what_was_before(self) -> None:
        award = awarded("c", 14)
        fact = the_certificate(fold([assessed("a", 11), award, voided("v", 15, award)], world()))
        assert (fact.status, fact.awarded_on, fact.edition) == ("eligible", None, 1)
        assert fold([award, voided("v", 15, award)], world()).certificates == {}

    def test_a_void_may_come_before_its_target(self) -> None:
        award = awarded("c", 14)
        void = voided("v", 13, award)
        assert standing(fold([void], world()), "v") == ["waiting event_unknown"]
        assert standing(fold([void, award], world()), "v", "c") == ["accepted", "accepted voided"]

    def test_a_void_must_name_the_type(self) -> None:
        award = awarded("c", 14)
        decided = fold([award, voided("v", 15, award, kind="trainee.assessed.v1")], world())
        assert standing(decided, "v", "c") == ["conflict type_differs", "accepted"]

    def test_nobody_voids_another_offices_event(self) -> None:
        award = awarded("c", 14)
        decided = fold([award, voided("v", 15, award, source=CENTRE)], world())
        assert standing(decided, "v", "c") == ["waiting event_unknown", "accepted"]

    def test_a_correction_is_one_step(self) -> None:
        events = [awarded("c", 14, printed="S-1"), awarded("d", 14, printed="S-7", replaces="c")]
        decided = fold(events, world())
        assert standing(decided, "c", "d") == ["accepted replaced", "accepted"]
        assert the_certificate(decided).number == "S-7"

    def test_a_correction_before_what_it_corrects(self) -> None:
        assert standing(fold([awarded("d", 14, replaces="c")], world()), "d") == ["accepted"]

    def test_a_voided_correction_brings_the_first_back(self) -> None:
        second = awarded("d", 14, printed="S-7", replaces="c")
        decided = fold([awarded("c", 14, printed="S-1"), second, voided("v", 15, second)], world())
        assert standing(decided, "c", "d") == ["accepted", "accepted voided"]
        assert the_certificate(decided).number == "S-1"

    def test_corrections_in_a_circle_leave_one_that_counts(self) -> None:
        events = [awarded("c", 14, replaces="e"), awarded("d", 15, replaces="c"), awarded("e", 16, replaces="d")]
        assert standing(fold(events, world()), "c", "d", "e") == ["accepted replaced", "accepted", "accepted replaced"]
        pair = [awarded("c", 14, replaces="d"), awarded("d", 15, replaces="c")]
        assert standing(fold(pair, world()), "c", "d") == ["accepted", "accepted replaced"]

    def test_a_second_void_of_one_event_is_a_conflict(self) -> None:
        award = awarded("c", 14)
        decided = fold([award, voided("w", 16, award), voided("v", 15, award)], world())
        assert standing(decided, "c", "v", "w") == ["accepted voided", "accepted", "conflict already_voided"]

    def test_only_one_correction_of_one_event(self) -> None:
        events = [awarded("c", 14), awarded("d", 15, replaces="c"), awarded("e", 16, replaces="c")]
        assert standing(fold(events, world()), "c", "d", "e") == [
            "accepted replaced",
            "accepted",
            "conflict already_replaced",
        ]

    def test_a_correction_moves_an_award_to_another_trainee(self) -> None:
        both = world(trainee(), trainee("002"))
        decided = fold([awarded("c", 14), awarded("d", 14, "002", replaces="c")], both)
        assert [fact.trainee for fact in certificates(decided)] == ["002"]

    def test_a_correction_is_of_the_same_type(self) -> None:
        decided = fold([awarded("c", 14), suspended("s", 15), assessed("a", 11, source=BODY, replaces="c")], world())
        assert standing(decided, "a", "c") == ["conflict type_differs", "accepted"]


def test_every_type_has_its_rank_roles_and_guards() -> None:
    assert set(RANKS) == set(TYPES)
    assert set(ROLES) == set(TYPES) - {"event.voided.v1"}
    assert set(GUARDS) | set(recognising.GUARDS) == set(TYPES) - {"event.voided.v1", "scheme.registered.v1"}


@pytest.mark.parametrize(
    "code", sorted({guard.code for guards in GUARDS.values() for guard in guards} | set(SENTENCES))
)
def test_every_code_has_its_sentence(code: str) -> None:
    assert sentence(code).endswith(".")
