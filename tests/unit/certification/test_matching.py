"""Given a name as somebody typed it, whether it is the certificate's."""

import pytest

from services.certification.matching import digest_of, is_one_of, was_one_of

NAMES = ("ចាន់ សុភា", "Chan Sophea")


@pytest.mark.parametrize(
    "typed",
    [
        "Chan Sophea",
        "chan  SOPHEA",
        "Sophea Chan",
        " Chan\u200b Sophea ",
        "Chan, Sophea",
        "ចាន់ សុភា",
        "ចាន់\u00a0សុភា",
        "\uff23han Sophea",
    ],
)
def test_the_same_name_however_it_is_typed(typed: str) -> None:
    assert is_one_of(typed, NAMES)


@pytest.mark.parametrize(
    "typed", ["", " ", "\u200b", "Chan", "Sophea", "Chan Sophe", "Chan Sopheap", "Chan Chan Sophea", "ចាន់", "%"]
)
def test_any_other_is_none(typed: str) -> None:
    assert not is_one_of(typed, NAMES)


def test_nobody_is_named_by_nothing() -> None:
    assert not is_one_of("", ("", "?"))
    assert not is_one_of("Chan Sophea", ())


def test_a_name_that_was_said_before_is_known_by_its_digest_alone_and_with_its_own_key() -> None:
    key, other = b"\x01" * 32, b"\x02" * 32
    kept = digest_of("Chan Sophea", key) + digest_of("\u1785\u17b6\u1793\u17cb \u179f\u17bb\u1797\u17b6", key)
    assert was_one_of("sophea CHAN", kept, key)
    assert was_one_of("\u179f\u17bb\u1797\u17b6 \u1785\u17b6\u1793\u17cb", kept, key)
    assert not was_one_of("Chan Dara", kept, key)
    assert not was_one_of("", digest_of("", key), key)
    assert not was_one_of("Chan Sophea", kept, other)
    assert not was_one_of("Chan Sophea", b"", key)
