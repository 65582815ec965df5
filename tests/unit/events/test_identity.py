"""Ids that an office in the field and every service derive alike, for ever."""

from shared.events.identity import certificate_id, enrolment_id, office_of


def test_ids_do_not_change() -> None:
    # Printed on lists and in certificates: a change of these values is a break of the contract.
    assert enrolment_id("wuxi-2025-1", "kh-001") == "79bdb1de-3011-503b-85ce-48801d058ae1"
    assert (
        certificate_id(enrolment_id("wuxi-2025-1", "kh-001"), "cn-vslc", "6-29-03-01", "intermediate", 1)
        == "8637436b-801b-5f1e-a307-1cae50f95c67"
    )


def test_ids_differ_where_things_do() -> None:
    assert enrolment_id("a", "b-1") != enrolment_id("a-b", "1")
    first, second = (certificate_id("e", "s", "o", "l", edition) for edition in (1, 2))
    assert first != second


def test_an_office_is_its_country_and_its_code() -> None:
    assert office_of("/offices/kh/ntti") == ("kh", "ntti")
