"""Figures as results of IATI activities (version 2.03): one activity for each programme, one result for each measure.

The number stands on the period's ``actual``; ``dimension`` only labels what it is of (IATI 2.03, result/indicator/period/actual).
"""

import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.reporting.domain import COUNTED
from services.reporting.formats import Figures, NotInThisFormat, Number
from shared.events.enrolment import ProgrammeFact
from shared.events.offices_to_enrolment import Period

OUTPUT, OUTCOME = "1", "2"
UNIT = "1"
IMPLEMENTATION = "2"
PLANNED_START, PLANNED_END = "1", "3"
FUNDING, IMPLEMENTING = "1", "4"
"""Codes of IATI's lists ResultType, IndicatorMeasure, ActivityStatus, ActivityDateType and OrganisationRole."""
_OUTCOMES = frozenset({"outcomes", "learners_reached"})
_VALUES: Mapping[tuple[str, str], str] = {("sex", "F"): "female", ("sex", "M"): "male", ("sex", "U"): "not known"}


@dataclass(frozen=True, slots=True)
class Publisher:
    """Who publishes: the reference of an organisation in IATI's registry, its kind (list OrganisationType), and its name."""

    reference: str
    kind: str
    name: str


def write(figures: Figures, programmes: Sequence[ProgrammeFact], publisher: Publisher) -> bytes:
    """Figures must be by programme and month, and of counts only."""
    root = ET.Element("iati-activities", {"version": "2.03"})
    rows = defaultdict(list)
    for row in figures.rows:
        rows[row["programme"]].append(row)
    for programme in programmes:
        if rows[programme.programme]:
            _activity(root, programme, Figures(figures.by, figures.measures, rows[programme.programme]), publisher)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()


def _activity(root: ET.Element, programme: ProgrammeFact, figures: Figures, publisher: Publisher) -> None:
    activity = ET.SubElement(root, "iati-activity", {"xml:lang": "en"})
    ET.SubElement(activity, "iati-identifier").text = f"{publisher.reference}-{programme.programme}"
    organisation = ET.SubElement(
        activity, "reporting-org", {"ref": publisher.reference, "type": publisher.kind, "secondary-reporter": "0"}
    )
    _narrative(organisation, publisher.name)
    title = ET.SubElement(activity, "title")
    for tag, text in _in_order(programme.titles):
        _narrative(title, text, tag)
    countries = ", ".join(programme.countries)
    _narrative(ET.SubElement(activity, "description"), f"Skills training with partner institutions of {countries}.")
    if programme.donor:
        _narrative(ET.SubElement(activity, "participating-org", {"role": FUNDING}), programme.donor)
    implementing = {"role": IMPLEMENTING, "ref": publisher.reference, "type": publisher.kind}
    _narrative(ET.SubElement(activity, "participating-org", implementing), publisher.name)
    ET.SubElement(activity, "activity-status", {"code": IMPLEMENTATION})
    periods = _periods(programme, figures)
    starts, ends = min(one.starts_on for one in periods), max(one.ends_on for one in periods)
    ET.SubElement(activity, "activity-date", {"type": PLANNED_START, "iso-date": starts.isoformat()})
    ET.SubElement(activity, "activity-date", {"type": PLANNED_END, "iso-date": ends.isoformat()})
    for measure in figures.measures:
        _result(activity, programme, figures, measure, periods)


def _result(
    activity: ET.Element, programme: ProgrammeFact, figures: Figures, measure: str, periods: Sequence[Period]
) -> None:
    kind = OUTCOME if measure in _OUTCOMES else OUTPUT
    result = ET.SubElement(activity, "result", {"type": kind, "aggregation-status": "1"})
    _narrative(ET.SubElement(result, "title"), _words(measure))
    indicator = ET.SubElement(result, "indicator", {"measure": UNIT, "ascending": "1", "aggregation-status": "1"})
    _narrative(ET.SubElement(indicator, "title"), _words(measure))
    _narrative(ET.SubElement(indicator, "description"), COUNTED[measure].counts)
    for period in periods:
        written = ET.SubElement(indicator, "period")
        ET.SubElement(written, "period-start", {"iso-date": period.starts_on.isoformat()})
        ET.SubElement(written, "period-end", {"iso-date": period.ends_on.isoformat()})
        for target in programme.targets:
            if (target.indicator, target.period) == (measure, period.period):
                ET.SubElement(written, "target", {"value": str(target.value)})
        _actuals(written, figures, measure, period)


def _actuals(written: ET.Element, figures: Figures, measure: str, period: Period) -> None:
    """The total, then what it is made of; a number with a hidden one in it is not written."""
    labels = [name for name in figures.by if name not in ("programme", "month")]
    sums: dict[tuple[str, ...], Number | None] = defaultdict(int)
    for row in figures.rows:
        if not period.starts_on.isoformat()[:7] <= str(row["month"]) <= period.ends_on.isoformat()[:7]:
            continue
        for place in {(), tuple(str(row[name]) for name in labels)}:
            sums[place] = _sum(sums[place], row[measure])
    sums.setdefault((), 0)
    for place, value in sorted(sums.items()):
        if value is None:
            continue
        actual = ET.SubElement(written, "actual", {"value": str(round(value, 2))})
        for name, code in zip(labels, place, strict=False):
            ET.SubElement(actual, "dimension", {"name": _words(name), "value": _VALUES.get((name, code), code)})


def _sum(so_far: Number | None, value: object) -> Number | None:
    if so_far is None or value is None:
        return None
    if not isinstance(value, int | float):
        raise NotInThisFormat("Only counts can be written for IATI.")
    return so_far + value


def _periods(programme: ProgrammeFact, figures: Figures) -> list[Period]:
    """The programme's own; for one that has none, the years in which anything was counted."""
    if programme.periods:
        return sorted(programme.periods, key=lambda one: (one.starts_on, one.ends_on))
    years = sorted({str(row["month"])[:4] for row in figures.rows})
    return [
        Period.model_validate({"period": year, "starts_on": f"{year}-01-01", "ends_on": f"{year}-12-31"})
        for year in years
    ]


def _narrative(parent: ET.Element, text: str, language: str = "en") -> None:
    attributes = {} if language == "en" else {"xml:lang": language}
    ET.SubElement(parent, "narrative", attributes).text = text


def _in_order(titles: Mapping[str, str]) -> list[tuple[str, str]]:
    """English first, because it is the activity's language."""
    return sorted(titles.items(), key=lambda one: (one[0] != "en", one[0]))


def _words(name: str) -> str:
    return name.replace("_", " ")
