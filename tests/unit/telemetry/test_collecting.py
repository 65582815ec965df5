"""A service's process leaves what it was made of to itself."""

import gc
from collections.abc import Iterator

import pytest

from shared.collecting import THRESHOLDS, collect_seldom


@pytest.fixture
def as_it_was() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("as_it_was")
def test_what_is_there_is_left_and_the_rest_looked_at_seldom() -> None:
    collect_seldom()
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold() == THRESHOLDS
    assert gc.isenabled()
