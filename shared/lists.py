"""What the lists of the three services' HTTP sides have in common: pages, and filters that refuse what they do not know."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Path, Query, Request
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel, BeforeValidator

from shared.events.codes import CODE_PATTERN
from shared.events.receipts import STANDINGS
from shared.http import Problem

T = TypeVar("T")
Number = Annotated[int, Path(ge=1, le=2**63 - 1)]
"""Of a row, in an address."""


class Page(BaseModel, Generic[T]):
    """One page of a list; ``next`` is the cursor to ask for the following one with ``?after=``, or null at the end."""

    items: list[T]
    next: str | None = None


@dataclass(frozen=True)
class Paging:
    """Where in a list to go on, and how much of it to answer."""

    limit: Annotated[int, Query(ge=1, le=1000, description="How many items.")] = 100
    after: Annotated[str | None, Query(max_length=200, description="The cursor: ``next`` of the page before.")] = None

    @property
    def code(self) -> str:
        """Where a list goes on that is in the order of codes. Raises ``Problem`` 400."""
        return self.matching(CODE_PATTERN) or ""

    @property
    def number(self) -> int:
        """Where a list goes on that is in the order of numbers. Raises ``Problem`` 400."""
        return int(self.matching("[0-9]{1,18}") or 0)

    def page(self, found: Sequence[T], cursor: Callable[[T], str]) -> Page[T]:
        """The page of what was found, which is one more than its limit where more follows."""
        items = list(found[: self.limit])
        return Page(items=items, next=cursor(items[-1]) if len(found) > self.limit else None)

    def matching(self, pattern: str) -> str | None:
        """The cursor, which must be such. Raises ``Problem`` 400."""
        if self.after is not None and not re.fullmatch(pattern, self.after):
            raise Problem(400, "invalid_query", "after: use the `next` of the page before.")
        return self.after


def _parameters(dependant: Dependant) -> Iterator[str]:
    yield from (one.alias for one in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _parameters(inner)


def known_parameters(request: Request) -> None:
    """Refuse, for a list, what is no parameter of its address: mistyped, it would answer with more than was asked for.

    Raises ``Problem`` 400.
    """
    names = list(dict.fromkeys(_parameters(request.scope["route"].dependant)))
    if any(name not in names for name in request.query_params):
        # The name itself is not repeated: it may be anything.
        there_are = f"There are: {', '.join(names)}." if names else "There are none here."
        raise Problem(400, "unknown_parameter", f"There is no such parameter. {there_are}")


def _paged(paging: Annotated[Paging, Depends()], _: Annotated[None, Depends(known_parameters)]) -> Paging:
    return paging


Paged = Annotated[Paging, Depends(_paged)]
"""Paging of a list, which takes no other parameters than its own."""


def one_of(values: Sequence[str]) -> BeforeValidator:
    """For a filter by what has these values only: another is refused, and named are those that there are."""

    def check(value: Any) -> Any:
        if value is not None and value not in values:
            raise ValueError(f"give one of {', '.join(values)}")
        return value

    return BeforeValidator(check)


EventStatus = Annotated[
    str | None, Query(pattern=CODE_PATTERN, description=f"One of {', '.join(STANDINGS)}."), one_of(STANDINGS)
]
"""A filter of events by how they stand."""
