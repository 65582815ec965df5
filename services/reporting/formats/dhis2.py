"""Figures as DHIS2's ``dataValueSets`` (JSON), by a mapping that says which of its ids our codes are.

Every cell that the mapping names is sent, also where there is nothing, so that one that fell to zero becomes zero there too (the
data element must be one for which zero is significant). A hidden figure is not sent.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.reporting.domain import DIMENSIONS, MEASURES
from services.reporting.formats import Figures, NotInThisFormat, Number

Uid = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]{10}$", description="DHIS2's own id: a letter and ten more.")]
NAMED_AT_MOST = 10
VALUES = 200_000
"""So many are sent at once, empty ones among them: as many as an answer may have cells."""
LOOKED_AT = 10_000_000
"""Rows, each for every element: a minute's work at most."""


class _Mapped(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Element(_Mapped):
    """A measure, by dimensions whose values together are category option combinations: ``{"F student": "..."}``."""

    measure: str
    id: Uid
    by: tuple[str, ...] = ()
    combos: dict[str, Uid] = {}
    skip: tuple[str, ...] = ()
    """Combinations that are left out on purpose."""

    @model_validator(mode="after")
    def _known(self) -> "Element":
        if self.measure not in MEASURES:
            raise ValueError(f"there is no measure {self.measure!r}; there are: {', '.join(MEASURES)}")
        if unknown := sorted({*self.by} - {*DIMENSIONS}):
            raise ValueError(f"there is no dimension {unknown[0]!r}; there are: {', '.join(DIMENSIONS)}")
        if {"month", "start_month"} & {*self.by}:
            raise ValueError("months are DHIS2's periods: leave them out of `by`")
        if bool(self.by) != bool(self.combos):
            raise ValueError("`by` and `combos` come together")
        if bad := [one for one in self.combos if len(one.split()) != len(self.by)]:
            raise ValueError(f"combination {bad[0]!r} has not one value for each of {' '.join(self.by)}")
        return self


class Ids(_Mapped):
    """Which ids of one DHIS2 our codes are."""

    period: Literal["monthly", "six-monthly"] = "monthly"
    org_unit: Literal["sending_centre", "host_centre", "country", "host_country", "programme", "cohort"] = (
        "sending_centre"
    )
    org_units: Annotated[dict[str, Uid], Field(min_length=1)]
    skip_org_units: tuple[str, ...] = ()
    """Codes that are left out on purpose."""
    attribute_option_combo: Uid | None = None
    data_set: Uid | None = None
    elements: Annotated[tuple[Element, ...], Field(min_length=1, max_length=1000)]

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(element.measure for element in self.elements))

    @property
    def by(self) -> tuple[str, ...]:
        """The dimensions that figures must be by."""
        needed = {name for element in self.elements for name in element.by}
        return (self.org_unit, "month", *(name for name in DIMENSIONS if name in needed and name != self.org_unit))


def periods(ids: Ids, first: str | None, last: str | None) -> dict[str, str]:
    """DHIS2's period of each month from ``first`` to ``last`` (YYYY-MM). Raises NotInThisFormat."""
    if first is None or last is None:
        raise NotInThisFormat("DHIS2 is sent every month asked for, also the empty ones: say from and to.")
    months = list(_months(first, last))
    if ids.period == "monthly":
        return {month: month.replace("-", "") for month in months}
    if first[5:] not in ("01", "07") or last[5:] not in ("06", "12"):
        raise NotInThisFormat("Periods are six-monthly: let from be a January or July, and to a June or December.")
    return {month: f"{month[:4]}S{1 if month[5:] <= '06' else 2}" for month in months}


def bounded(ids: Ids, first: str | None, last: str | None) -> None:
    """Whether what the mapping names is not more than is sent at once. Raises NotInThisFormat."""
    places = len(ids.org_units) * len(set(periods(ids, first, last).values()))
    values = places * sum(len(element.combos) or 1 for element in ids.elements)
    if values > VALUES:
        raise NotInThisFormat(
            f"The mapping names {values:,} values in these months, and at most {VALUES:,} are sent at once: ask for fewer "
            "months, or with fewer org units or elements."
        )


def write(ids: Ids, figures: Figures, first: str | None, last: str | None) -> bytes:
    """Every value, in the order of the mapping. Raises NotInThisFormat when figures have a code that the mapping lacks."""
    bounded(ids, first, last)
    period_of = periods(ids, first, last)
    _all_mapped(ids, figures)
    values = []
    for element in ids.elements:
        sums = _sums(ids, element, figures, period_of)
        places = product(ids.org_units, dict.fromkeys(period_of.values()), element.combos or [""])
        for unit, period, combo in places:
            value = sums.get((unit, period, combo), 0)
            if value is not None:
                values.append(_value(ids, element, unit, period, combo, value))
    head = {"dataSet": ids.data_set} if ids.data_set else {}
    return json.dumps({**head, "dataValues": values}, indent=1).encode()


def _value(ids: Ids, element: Element, unit: str, period: str, combo: str, value: Number) -> dict[str, Any]:
    said = {
        "dataElement": element.id,
        "period": period,
        "orgUnit": ids.org_units[unit],
        "value": f"{value:.2f}".removesuffix(".00") if isinstance(value, float) else str(value),
    }
    if combo:
        said["categoryOptionCombo"] = element.combos[combo]
    if ids.attribute_option_combo:
        said["attributeOptionCombo"] = ids.attribute_option_combo
    return said


def _sums(
    ids: Ids, element: Element, figures: Figures, period_of: Mapping[str, str]
) -> dict[tuple[str, str, str], Number | None]:
    """By org unit, period and combination; None where one of what is summed is hidden."""
    sums: dict[tuple[str, str, str], Number | None] = defaultdict(int)
    for row in figures.rows:
        place = str(row[ids.org_unit]), period_of[str(row["month"])], _combo(element, row)
        value, so_far = row[element.measure], sums[place]
        sums[place] = None if value is None or so_far is None else _number(so_far) + _number(value)
    return {place: round(value, 2) if isinstance(value, float) else value for place, value in sums.items()}


def _all_mapped(ids: Ids, figures: Figures) -> None:
    if len(figures.rows) * len(ids.elements) > LOOKED_AT:
        raise NotInThisFormat("The figures are too many for so many elements: ask for fewer months.")
    units = {*ids.org_units, *ids.skip_org_units}
    lacking: dict[str, None] = {}
    for element in ids.elements:
        known = {*element.combos, *element.skip}
        for row in figures.rows:
            if not row[element.measure] and row[element.measure] is not None:
                continue
            if (unit := str(row[ids.org_unit])) not in units:
                lacking[f"{ids.org_unit} {unit}"] = None
            if element.by and (combo := _combo(element, row)) not in known:
                lacking[f"{element.measure} of {combo}"] = None
    if lacking:
        named: Sequence[str] = sorted(lacking)
        more = f" and {len(named) - NAMED_AT_MOST} more" if len(named) > NAMED_AT_MOST else ""
        raise NotInThisFormat(
            f"The mapping has no id for {', '.join(named[:NAMED_AT_MOST])}{more}. Nothing was left out silently: add ids, or "
            "name what is to be left out under skip_org_units or skip."
        )


def _combo(element: Element, row: Mapping[str, Any]) -> str:
    return " ".join(str(row[name]) for name in element.by)


def _number(value: Any) -> Number:
    if not isinstance(value, int | float):
        raise NotInThisFormat("Only counts can be sent to DHIS2.")
    return value


def _months(first: str, last: str) -> Iterator[str]:
    year, month = int(first[:4]), int(first[5:])
    while (said := f"{year}-{month:02}") <= last:
        yield said
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
