"""How many examples a property looks at: a third of its number in `make test`, four times that number in `make long`."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

T = TypeVar("T", bound=Callable[..., Any])
MANY = "SAMPAN_MANY_EXAMPLES"
"""The variable that `make long` sets."""


def times() -> float:
    """By how much the examples of this run are multiplied."""
    return 4 if os.environ.get(MANY) else 1 / 3


def examples(few: int, **more: Any) -> Callable[[T], T]:
    """For a property that looks at a third of so many examples in `make test`, and at four times as many in `make long`."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    given = settings(max_examples=max(2, round(few * times())), suppress_health_check=checks, **more)

    def mark(test: T) -> T:
        marked: T = pytest.mark.property(given(test))
        return marked

    return mark
