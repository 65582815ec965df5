"""What a partner sees: its own detail, and the totals that all have in common. No I/O."""

from collections.abc import Iterable

DETAIL = frozenset({"cohort", "sending_centre", "host_centre", "age_band", "disability"})
"""Dimensions by which figures say much of few people: every partner sees these of its own country alone."""


def is_detail(dimensions: Iterable[str]) -> bool:
    return not DETAIL.isdisjoint(dimensions)
