"""Given a name as somebody typed it, whether it is the certificate's."""

import pytest

from services.certification.matching import is_one_of

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
