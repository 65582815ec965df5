"""What is looked at in every language: in one of them by `make test`, in all by `make long`."""

from typing import Any

import pytest

from shared.pages.languages import LANGUAGES


def every_language(*always: str, other_than: str = "") -> list[Any]:
    """For ``parametrize``: every language, those that are not ``always`` looked at in `make long` only."""
    return [
        tag if tag in always else pytest.param(tag, marks=pytest.mark.long) for tag in LANGUAGES if tag != other_than
    ]
