"""Somebody who tries to work out what is hidden: a solver."""

from collections.abc import Callable, Sequence
from typing import Any

import highspy

from services.reporting.disclosure import MEASURES, PART_OF, Place, Shown


class Reader:
    """Somebody who has every version, and knows that figures add up, that parts are no more than wholes, and that counts grow."""

    def __init__(self, versions: Sequence[Shown]) -> None:
        self._model = highspy.Highs()
        self._model.setOptionValue("output_flag", False)
        self._columns: dict[tuple[int, Place], Any] = {}
        before: dict[Place, Any] = {}
        for version, one in enumerate(versions):
            cells = {place: self._cell(version, one, place) for place in places(one)}
            for measure in MEASURES:
                for table, rows in one.tables.items():
                    parts = [cells[Place(measure, table, row)] for row in rows]
                    self._model.addConstr(sum(parts) == cells[Place(measure)])
            for place, cell in cells.items():
                if whole := PART_OF.get(place.measure):
                    self._model.addConstr(cell <= cells[place._replace(measure=whole)])
                if place in before:
                    self._model.addConstr(cell >= before[place])
            before = cells

    def _cell(self, version: int, one: Shown, place: Place) -> Any:
        known = None if place in one.hidden else one.value(place)
        cell = self._model.addVariable(lb=known or 0, ub=highspy.kHighsInf if known is None else known)
        self._columns[version, place] = cell
        return cell

    def knows(self, version: int, place: Place) -> tuple[float, float]:
        """Between which numbers a figure must be."""
        cell = self._columns[version, place]
        least = self._bound(self._model.minimize, cell)
        assert least is not None
        most = self._bound(self._model.maximize, cell)
        return least, float("inf") if most is None else most

    def _bound(self, ask: Callable[[Any], Any], cell: Any) -> float | None:
        """The smallest or largest that a cell can be; None without bounds."""
        ask(cell)
        if (
            self._model.getModelStatus() == highspy.HighsModelStatus.kUnknown
        ):  # lost on the way from the last answer to this
            self._model.clearSolver()
            ask(cell)
        status = self._model.getModelStatus()
        if status == highspy.HighsModelStatus.kOptimal:
            return float(self._model.getObjectiveValue())
        assert status in (highspy.HighsModelStatus.kUnbounded, highspy.HighsModelStatus.kUnboundedOrInfeasible), status
        return None


def places(one: Shown) -> list[Place]:
    rows = [(table, row) for table, lines in one.tables.items() for row in lines]
    return [Place(measure, table, row) for measure in MEASURES for table, row in [("", ""), *rows]]
