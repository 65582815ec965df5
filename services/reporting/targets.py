"""Actual against target, for each programme and each of its periods, as pages show them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from services.reporting import periods, registered
from services.reporting.periods import PeriodLine, TargetLine
from services.reporting.questions import Question
from shared.events.enrolment import ProgrammeFact

ON_THE_FIRST_PAGE: Final = 12
"""Periods and whole programmes: of more there is a page of its own."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a programme meant to reach, in a period or (None) in all, and what it reached."""

    programme: str
    period: PeriodLine | None
    line: TargetLine

    @property
    def where(self) -> dict[str, str]:
        """What its figure is narrowed to."""
        months = {} if self.period is None else dict(zip(("from", "to"), self.period.months, strict=True))
        return {"programme": self.programme, **months}


async def goals(session: AsyncSession, programmes: Collection[str] = ()) -> list[Goal]:
    """Of these programmes, or of all: the whole programme's first, then by period."""
    found = await periods.every(session)
    whole = [Goal(programme, None, line) for programme, lines in found.targets.items() for line in lines]
    of_periods = [Goal(period.programme, period, line) for period in found.items for line in period.targets]
    return sorted(
        (goal for goal in (*whole, *of_periods) if not programmes or goal.programme in programmes),
        key=lambda goal: (goal.programme, goal.period.starts_on.isoformat() if goal.period else ""),
    )


async def for_the_first_page(session: AsyncSession, question: Question) -> Sequence[Goal] | None:
    """Those of the programmes that a question names; None where there are too many for one page."""
    chosen = dict(question.where).get("programme", ())
    registered_ones: list[ProgrammeFact] = await registered.of_kind(session, "programme")
    shown = [one for one in registered_ones if not chosen or one.programme in chosen]
    if sum(1 + len(one.periods) for one in shown) > ON_THE_FIRST_PAGE:
        return None
    return await goals(session, chosen)
