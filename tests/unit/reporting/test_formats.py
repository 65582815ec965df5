"""What the forms write, without a database."""

import csv
import io
import json
from typing import Any

import pytest
from pydantic import ValidationError

from services.reporting.formats import Figures, NotInThisFormat, dhis2, sdmx, tables, wanted

KH, LA = "DiszpKrYNg8", "O6uvpzGd5pu"
ENROLLED, CERTIFIED, WOMEN, MEN = "fbfJHSPpUQD", "cYeuwXTCPkU", "pq2XI5kz2BY", "PT59n8BQbqM"
IDS: dict[str, Any] = {
    "org_unit": "country",
    "org_units": {"KH": KH, "LA": LA},
    "elements": [
        {"measure": "enrolled", "id": ENROLLED, "by": ["sex"], "combos": {"F": WOMEN, "M": MEN}},
        {"measure": "certified", "id": CERTIFIED},
    ],
}


def line(country: str, month: str, sex: str, enrolled: int | None, certified: int | None = 0) -> dict[str, Any]:
    return {"country": country, "month": month, "sex": sex, "enrolled": enrolled, "certified": certified}


def sent(rows: list[dict[str, Any]], first: str | None, last: str | None, **changes: Any) -> dict[tuple[str, ...], str]:
    ids = dhis2.Ids.model_validate({**IDS, **changes})
    figures = Figures(ids.by, ids.measures, rows)
    values = json.loads(dhis2.write(ids, figures, first, last))["dataValues"]
    return {
        (value["dataElement"], value["period"], value["orgUnit"], value.get("categoryOptionCombo", "")): value["value"]
        for value in values
    }


def test_every_mapped_cell_is_sent_and_one_without_trainees_as_zero() -> None:
    values = sent([line("KH", "2025-04", "F", 3, 2), line("KH", "2025-04", "M", 6, 5)], "2025-04", "2025-05")
    assert len(values) == 2 * 2 * (2 + 1)
    assert values[ENROLLED, "202504", KH, WOMEN] == "3"
    assert values[CERTIFIED, "202504", KH, ""] == "7"
    assert values[ENROLLED, "202505", KH, WOMEN] == "0"
    assert values[ENROLLED, "202504", LA, MEN] == "0"


def test_a_hidden_figure_is_not_sent_nor_a_sum_with_one_in_it() -> None:
    rows = [line("KH", "2025-04", "F", None, 5), line("KH", "2025-05", "F", 3, None)]
    values = sent(rows, "2025-01", "2025-06", period="six-monthly")
    assert (ENROLLED, "2025S1", KH, WOMEN) not in values
    assert (CERTIFIED, "2025S1", KH, "") not in values
    assert values[ENROLLED, "2025S1", KH, MEN] == "0"


def test_months_make_half_years() -> None:
    rows = [line("KH", "2025-04", "F", 3), line("KH", "2025-06", "F", 1), line("KH", "2025-07", "F", 5)]
    values = sent(rows, "2025-01", "2025-12", period="six-monthly")
    assert values[ENROLLED, "2025S1", KH, WOMEN] == "4"
    assert values[ENROLLED, "2025S2", KH, WOMEN] == "5"


def test_what_the_mapping_lacks_is_named_and_left_out_only_on_purpose() -> None:
    rows = [line("MM", "2025-04", "F", 3)]
    with pytest.raises(NotInThisFormat, match="country MM"):
        sent(rows, "2025-04", "2025-04")
    assert set(sent(rows, "2025-04", "2025-04", skip_org_units=["MM"]).values()) == {"0"}


@pytest.mark.parametrize(
    ("first", "last", "period"),
    [(None, "2025-06", "monthly"), ("2025-01", None, "monthly"), ("2025-02", "2025-06", "six-monthly")],
)
def test_half_a_period_is_not_sent(first: str | None, last: str | None, period: str) -> None:
    with pytest.raises(NotInThisFormat):
        sent([], first, last, period=period)


def test_more_than_is_sent_at_once_is_refused_before_it_is_counted() -> None:
    elements = [{"measure": "enrolled", "id": ENROLLED}] * 1000
    units = {f"c{number}": KH for number in range(300)}
    ids = dhis2.Ids.model_validate({**IDS, "elements": elements, "org_units": units})
    with pytest.raises(NotInThisFormat, match=r"1,080,000,000 values .* 200,000"):
        dhis2.bounded(ids, "1900-01", "2199-12")
    with pytest.raises(NotInThisFormat, match="fewer months"):
        sent([], "1900-01", "2199-12", org_units=units)


@pytest.mark.parametrize(
    "element",
    [
        {"measure": "enroled", "id": ENROLLED},
        {"measure": "enrolled", "id": "short"},
        {"measure": "enrolled", "id": ENROLLED, "by": ["month"], "combos": {"2025-04": MEN}},
        {"measure": "enrolled", "id": ENROLLED, "by": ["sex"]},
        {"measure": "enrolled", "id": ENROLLED, "by": ["sex", "role"], "combos": {"F": MEN}},
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(element: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        dhis2.Ids.model_validate({**IDS, "elements": [element]})


def test_no_text_is_a_formula() -> None:
    figures = Figures(["cohort"], ["enrolled"], [{"cohort": "-2-3", "enrolled": 5}, {"cohort": "a", "enrolled": None}])
    titles = {"cohort": {"-2-3": "=HYPERLINK(1)", "a": 'so "called", in\u200b two'}}
    read = list(csv.reader(io.StringIO(tables.write(figures, titles).decode())))
    assert read == [
        ["cohort", "cohort_title", "enrolled"],
        ["'-2-3", "'=HYPERLINK(1)", "5"],
        ["a", 'so "called", in\u200b two', ""],
    ]


def test_sdmx_speaks_of_totals_and_of_what_is_not_said() -> None:
    rows = [{"month": "2025-04", "sex": "U", "disability": "not-stated", "enrolled": 5, "training_hours": None}]
    figures = Figures(["month", "sex", "disability"], ["enrolled", "training_hours"], rows)
    first, second = csv.DictReader(io.StringIO(sdmx.write(figures).decode()))
    assert (first["TIME_PERIOD"], first["SEX"], first["DISABILITY"], first["REF_AREA"]) == ("2025-04", "_U", "_U", "_T")
    assert (first["INDICATOR"], first["OBS_VALUE"], first["UNIT_MEASURE"], first["CONF_STATUS"]) == (
        "ENROLLED",
        "5",
        "PS",
        "F",
    )
    assert (second["OBS_VALUE"], second["CONF_STATUS"]) == ("", "C")


@pytest.mark.parametrize(
    ("name", "accept", "form"),
    [
        (None, "", "json"),
        (None, "*/*", "json"),
        (None, "text/csv", "csv"),
        ("sdmx", "text/csv", "sdmx"),
        (None, "text/html,application/vnd.sdmx.data+csv;version=2.0.0;q=0.9,text/csv;q=0.5", "sdmx"),
        (None, "text/csv;q=0, text/*;q=0.1", "csv"),
        (None, "text/csv;q=nonsense", "json"),
        (None, "application/pdf", "json"),
    ],
)
def test_the_form_is_the_named_one_or_the_most_wanted(name: str | None, accept: str, form: str) -> None:
    assert wanted(name, accept) == form


def test_an_unknown_form_is_told_what_there_is() -> None:
    with pytest.raises(NotInThisFormat, match="json, csv, xlsx, sdmx, dhis2, iati"):
        wanted("pdf", "")
