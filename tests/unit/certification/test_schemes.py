"""What a scheme is by its registrations, and what its rules make of assessments."""

from dataclasses import replace as changed

from services.certification.domain import fold, fold_schemes
from tests.unit.certification.given import (
    BODY,
    OTHER_BODY,
    assessed,
    awarded,
    certificates,
    day,
    numbered,
    registered,
    revoked,
    standing,
    the_certificate,
    trainee,
    voided,
    world,
)


class TestOnPass:
    def test_a_pass_issues_on_the_later_day(self) -> None:
        fact = the_certificate(fold([assessed("a", 11)], world(rule="on_pass")))
        assert (fact.status, fact.awarded_on) == ("issued", day(13))
        fact = the_certificate(fold([assessed("a", 15)], world(rule="on_pass")))
        assert (fact.status, fact.awarded_on) == ("issued", day(15))

    def test_not_before_completion(self) -> None:
        waiting = world(trainee(completion="none"), rule="on_pass")
        assert the_certificate(fold([assessed("a", 11)], waiting)).status == "assessed"
        open_to_all = world(trainee(completion="none"), rule="on_pass", completion_required=False)
        assert the_certificate(fold([assessed("a", 11)], open_to_all)).awarded_on == day(11)

    def test_its_number_comes_later(self) -> None:
        decided = fold([assessed("a", 11), numbered("n", 10, "S-1")], world(rule="on_pass"))
        assert the_certificate(decided).number == "S-1"

    def test_nobody_awards_by_hand(self) -> None:
        decided = fold([awarded("c", 10), assessed("a", 11)], world(rule="on_pass"))
        assert standing(decided, "c") == ["conflict already_certified"]
        assert standing(fold([awarded("c", 10)], world(rule="on_pass")), "c") == ["conflict issued_on_pass"]

    def test_a_voided_pass_suspends_what_it_issued(self) -> None:
        first = assessed("a", 15)
        fact = the_certificate(fold([first, voided("v", 16, first)], world(rule="on_pass")))
        assert (fact.status, fact.reason, fact.awarded_on) == ("suspended", "basis_withdrawn", day(15))

    def test_a_pass_voided_before_completion_issues_nothing(self) -> None:
        first = assessed("a", 11)
        assert fold([first, voided("v", 12, first)], world(rule="on_pass")).certificates == {}

    def test_the_person_holds_one_already(self) -> None:
        two = changed(world(trainee(), trainee("002", person="person-001")), schemes=world(rule="on_pass").schemes)
        events = [assessed("a", 11), assessed("b", 12, number="002")]
        decided = fold(events, two)
        assert standing(decided, "a", "b") == ["accepted", "accepted passed_not_issued"]
        assert [(fact.status, fact.reason) for fact in certificates(decided)] == [
            ("issued", None),
            ("eligible", "already_certified"),
        ]
        decided = fold([*events, revoked("r", 20)], two)
        assert [fact.status for fact in certificates(decided)] == ["revoked", "issued"]
        assert standing(decided, "b") == ["accepted"]


class TestSchemes:
    def test_the_first_registration_stays(self) -> None:
        folded = fold_schemes([registered("s", 1), registered("t", 2, source=OTHER_BODY)])
        assert folded.outcomes[OTHER_BODY, "t"].code == "scheme_already_registered"
        assert folded.schemes["vslc"].office == BODY

    def test_a_correction_changes_it(self) -> None:
        folded = fold_schemes([registered("s", 1), registered("t", 2, replaces="s", valid_months=12)])
        assert (folded.schemes["vslc"].valid_months, folded.schemes["vslc"].status) == (12, "registered")

    def test_a_voided_scheme_is_void_until_another_registers_it(self) -> None:
        first = registered("s", 1)
        void = voided("v", 3, first)
        assert fold_schemes([first, void]).schemes["vslc"].status == "void"
        folded = fold_schemes([first, void, registered("t", 2, source=OTHER_BODY)])
        assert (folded.schemes["vslc"].status, folded.schemes["vslc"].office) == ("registered", OTHER_BODY)

    def test_awards_under_a_void_scheme_wait(self) -> None:
        none = changed(world(), schemes=fold_schemes([first := registered("s", 1), voided("v", 3, first)]).schemes)
        assert standing(fold([awarded("c", 14)], none), "c") == ["waiting scheme_unknown"]
