"""What a partner sees: its own detail, and the totals that all have in common. No I/O."""

from collections.abc import Iterable, Mapping

DETAIL = frozenset({"cohort", "sending_centre", "host_centre", "age_band", "disability"})
"""Dimensions by which figures say much of few people: every partner sees these of its own country alone."""


def is_detail(dimensions: Iterable[str]) -> bool:
    return not DETAIL.isdisjoint(dimensions)


def keeps_to(country: str, where: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether filters alone keep a question to what a country sent or hosts."""
    return (country,) in (where.get("country"), where.get("host_country"))
