"""Where the pages lead: every filter is a link, and so is every number, to what explains it."""

from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlencode

from services.reporting.questions import Question


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the figures of a page are narrowed to, as (parameter, value) pairs, and the addresses that follow from it."""

    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, question: Question) -> Self:
        """What a question that was read narrows its figures to."""
        as_of = question.as_of.text if question.as_of else None
        months = (("from", question.from_month), ("to", question.to_month), ("as_of", as_of), ("basis", question.basis))
        pairs = [(name, value) for name, values in question.where for value in values]
        return cls((*pairs, *((name, month) for name, month in months if month)))

    def only(self, **values: str) -> "Chosen":
        """Narrowed further: each of these dimensions to this value alone."""
        kept = tuple(pair for pair in self.pairs if pair[0] not in values)
        return replace(self, pairs=(*kept, *values.items()))

    def without(self, *names: str) -> "Chosen":
        """Not narrowed by these any more."""
        return replace(self, pairs=tuple(pair for pair in self.pairs if pair[0] not in names))

    def without_all(self) -> "Chosen":
        """Narrowed by nothing."""
        return Chosen()

    def one(self, name: str) -> str | None:
        """The value to which a dimension is narrowed, if that is one."""
        found = [value for given, value in self.pairs if given == name]
        return found[0] if len(found) == 1 else None

    def at(self, path: str, **more: str) -> str:
        """A page with the same figures, and whatever else it takes."""
        query = urlencode([*more.items(), *self.pairs])
        return f"{path}?{query}" if query else path

    def explain(self, measure: str, **values: str) -> str:
        """Where a number is explained: this measure, narrowed to its place."""
        return self.only(**values).at("/explain", measure=measure)
