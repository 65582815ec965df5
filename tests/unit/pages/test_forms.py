"""A form that corrects an entry says all that the entry said, or says that it cannot."""

from typing import Any

import pytest

from shared.desk.forms import LINES_LIMIT, Field, fields_of, languages_of, lines_of, read, typed
from shared.events.codes import Model
from shared.events.offices_to_certification import TYPES as AT_CERTIFICATION
from shared.events.offices_to_enrolment import TYPES as AT_ENROLMENT
from shared.events.offices_to_enrolment import ProgrammeRegistered, SessionHeld
from shared.http import Problem
from shared.pages.languages import LANGUAGES
from shared.signin import FIELDS_LIMIT

MANY = LINES_LIMIT - 1
SESSION: dict[str, Any] = {
    "cohort": "wuxi-2025",
    "session": 1,
    "date": "2025-03-31",
    "hours": 6.0,
    "partial": [{"number": f"{n:03}", "hours": 1.5} for n in range(MANY)],
}
PROGRAMME: dict[str, Any] = {
    "programme": "partnership",
    "titles": {"en": "Partnership", "zh": "合作", "th": "ความร่วมมือ", "zh-Hant-TW": "合作"},
    "countries": ["CN", "KH"],
    "trades": [{"trade": f"trade-{n}", "titles": {"en": f"Trade {n}", "th": f"งาน {n}"}} for n in range(70)],
    "targets": [{"indicator": "enrolled", "period": f"p-{n}", "value": n} for n in range(80)],
}


@pytest.mark.parametrize(("model", "data"), [(SessionHeld, SESSION), (ProgrammeRegistered, PROGRAMME)])
def test_given_an_entry_with_more_than_a_form_has_room_for_when_it_is_read_back_then_it_says_the_same(
    model: type[Model], data: dict[str, Any]
) -> None:
    filled = read(model, typed(model, data))
    assert (filled.data, filled.wrong) == (data, {})


def test_what_is_shown_is_what_is_read() -> None:
    (partial,) = [field for field in fields_of(SessionHeld) if field.name == "partial"]
    values = typed(SessionHeld, SESSION)
    assert lines_of(partial, values, "partial") == range(LINES_LIMIT), "all of them, and an empty one"
    assert lines_of(partial, {}, "partial") == range(2)
    assert list(languages_of(typed(ProgrammeRegistered, PROGRAMME), "titles"))[-3:] == ["zh", "th", "zh-Hant-TW"]
    assert "sideways!" not in languages_of({"titles.sideways!": "x"}, "titles")


@pytest.mark.parametrize("line", [LINES_LIMIT, 999, 1000, 100_000])
def test_given_more_lines_than_a_form_has_when_it_is_read_then_it_is_refused_and_nothing_dropped(line: int) -> None:
    full = typed(SessionHeld, {**SESSION, "partial": SESSION["partial"] + SESSION["partial"][:1]})
    with pytest.raises(Problem, match="long list"):
        read(SessionHeld, {**full, f"partial.{line}.number": "x", f"partial.{line}.hours": "1"})
    few = {
        **typed(SessionHeld, {**SESSION, "partial": []}),
        f"partial.{line}.number": "x",
        f"partial.{line}.hours": "1",
    }
    assert read(SessionHeld, few).data["partial"] == [{"number": "x", "hours": 1.0}], "empty lines do not count"
    with pytest.raises(Problem, match="long list"):
        typed(SessionHeld, {**SESSION, "partial": SESSION["partial"] * 2})


def test_given_a_wrong_title_in_another_language_when_it_is_read_then_the_complaint_stands_beside_it() -> None:
    filled = read(ProgrammeRegistered, typed(ProgrammeRegistered, {**PROGRAMME, "titles": {"th": "x" * 400}}))
    assert list(filled.wrong) == ["titles.th"]


def test_every_list_of_certification_comes_back_whole() -> None:
    model = AT_CERTIFICATION["trainee.assessed.v1"]
    values = {
        "cohort": "c",
        "number": "1",
        "parts.0.name": "x",
        "parts.70.name": "y",
    }
    assert [line["name"] for line in read(model, values).data["parts"]] == ["x", "y"]


def sent(fields: tuple[Field, ...]) -> int:
    """How many fields a browser sends of a form with all its lines."""
    sizes = {"texts": len(LANGUAGES), "table": LINES_LIMIT, "group": 1}
    return sum(sizes.get(field.kind, 1) * (sent(field.fields) if field.fields else 1) for field in fields)


@pytest.mark.parametrize("model", [*AT_ENROLMENT.values(), *AT_CERTIFICATION.values()])
def test_every_form_that_is_shown_can_be_sent(model: type[Model]) -> None:
    more_languages_and_what_is_hidden = 2
    assert more_languages_and_what_is_hidden * sent(fields_of(model)) <= FIELDS_LIMIT
