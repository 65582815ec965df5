"""Somebody who tries to work out what is hidden: a solver."""

from collections.abc import Sequence
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
        self._model.minimize(cell)
        least = self._model.getObjectiveValue()
        status = self._model.getModelStatus()
        assert status == highspy.HighsModelStatus.kOptimal, status
        self._model.maximize(cell)
        unbounded = self._model.getModelStatus() != highspy.HighsModelStatus.kOptimal
        return least, float("inf") if unbounded else self._model.getObjectiveValue()


def places(one: Shown) -> list[Place]:
    rows = [(table, row) for table, lines in one.tables.items() for row in lines]
    return [Place(measure, table, row) for measure in MEASURES for table, row in [("", ""), *rows]]
