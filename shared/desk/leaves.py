"""Long lists on pages that are not too large, in the order of their numbers. A page is asked for by the number it begins with."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Generic, TypeVar

from fastapi import Query

from shared.events.codes import CODE_PATTERN

T = TypeVar("T")
LINES: Final = 150
"""On one page."""
From = Annotated[str, Query(alias="from", pattern=f"{CODE_PATTERN}|^$")]
"""The trainee number with which a page begins."""


@dataclass(frozen=True, slots=True)
class Leaf(Generic[T]):
    """One page of a list; ``then`` is the number with which the next one begins."""

    lines: Sequence[T]
    begins: Any
    then: Any
    long: bool
    """Whether there is more than one page of it."""


def leaf(lines: Iterable[T], number: Callable[[T], Any], begins: Any = "", most: int = LINES) -> Leaf[T]:
    """The page that begins with this number, or with the first after it."""
    ordered = sorted(lines, key=number)
    start = bisect_left(ordered, begins, key=number) if begins else 0
    rest = ordered[start + most :]
    return Leaf(ordered[start : start + most], begins, number(rest[0]) if rest else None, len(ordered) > most)
