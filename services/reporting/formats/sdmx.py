"""Figures as SDMX-CSV 2.0 (SDMX 3.0, section 5: STRUCTURE, STRUCTURE_ID, ACTION, the dimensions, OBS_VALUE, attributes).

Codes are those of SDMX's cross-domain lists where there is one: CL_SEX, CL_AGE, CL_AREA (ISO 3166-1 alpha-2), CL_FREQ,
CL_UNIT_MEASURE, CL_OBS_STATUS, CL_CONF_STATUS; ``_T`` is a total, ``_U`` not known, ``_Z`` not applicable.
"""

import csv
import io
from collections.abc import Mapping

from services.reporting.domain import DIMENSIONS
from services.reporting.formats import Figures
from services.reporting.rates import RATES

STRUCTURE = "SAMPAN:SKILLS(1.0)"
"""Agency, dataflow and version."""
TOTAL = "_T"
CONCEPTS: Mapping[str, str] = {
    "country": "REF_AREA",
    "host_country": "COUNTERPART_AREA",
    "sex": "SEX",
    "age_band": "AGE",
    "occupation": "OCCUPATION",
    "month": "TIME_PERIOD",
}
"""Dimensions that have a concept of SDMX's own; the others are called like here, in capitals."""
ATTRIBUTES = ("UNIT_MEASURE", "UNIT_MULT", "DECIMALS", "OBS_STATUS", "CONF_STATUS")
_CODES: Mapping[tuple[str, str], str] = {
    ("sex", "U"): "_U",
    ("disability", "yes"): "Y",
    ("disability", "no"): "N",
    ("disability", "not-stated"): "_U",
}
_OTHERS = tuple(name for name in DIMENSIONS if name not in CONCEPTS)
DIMENSIONS_IN_ORDER = (
    "FREQ",
    "REF_AREA",
    "INDICATOR",
    "SEX",
    "AGE",
    "COUNTERPART_AREA",
    "OCCUPATION",
    *(name.upper() for name in _OTHERS),
    "TIME_PERIOD",
)
_HOURS, _COUNTED = {"training_hours"}, {"certified", "revoked"}


def concept(dimension: str) -> str:
    return CONCEPTS.get(dimension, dimension.upper())


def code(dimension: str, value: str) -> str:
    """A dimension's value in the standard list's words."""
    return _CODES.get((dimension, value), value)


def write(figures: Figures) -> bytes:
    """One observation a line. Figures must be by month; hidden ones have no value and are marked confidential."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["STRUCTURE", "STRUCTURE_ID", "ACTION", *DIMENSIONS_IN_ORDER, "OBS_VALUE", *ATTRIBUTES])
    for row in figures.rows:
        place = dict.fromkeys(DIMENSIONS_IN_ORDER, TOTAL)
        place["FREQ"] = "M"
        place |= {concept(name): code(name, str(row[name])) for name in figures.by}
        for measure in figures.measures:
            value = row[measure]
            place["INDICATOR"] = measure.upper()
            unit, decimals = _unit(measure)
            writer.writerow(
                [
                    "dataflow",
                    STRUCTURE,
                    "I",
                    *place.values(),
                    "" if value is None else value,
                    unit,
                    0,
                    decimals,
                    "A" if value is not None else "M",
                    "F" if value is not None else "C",
                ]
            )
    return text.getvalue().encode()


def _unit(measure: str) -> tuple[str, int]:
    """CL_UNIT_MEASURE's code, and the decimals: hours, a share, a number of things, or persons."""
    if measure in _HOURS:
        return "HUR", 2
    if measure in RATES:
        return "PURE_NUMB", 4
    return ("NUM" if measure in _COUNTED else "PS"), 0
