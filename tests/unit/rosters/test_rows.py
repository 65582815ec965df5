"""Rows: every complaint with its cell, and the same rows in any order and number are the same roster."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events.envelope import keyed
from shared.rosters.books import open_book
from shared.rosters.rows import Key, Row, read_rows
from shared.rosters.statements import Remembered, held, person_of, plan, statements_of
from shared.rosters.survey import Survey, survey
from tests.sheets import a_trainee, as_csv, was_there

AWARD = {"Cohort": "c", "Trainee number": "01", "Scheme": "s", "Occupation": "o", "Level": "junior"}
ASSESSED = {**AWARD, "Date": "2025-04-11", "Result": "pass"}


def digest(value: Any) -> str:
    return keyed(b"k" * 32, value)


def rows(*lines: dict[str, Any], accepted: frozenset[str] = frozenset()) -> list[Row]:
    book = open_book(as_csv(lines))
    return list(read_rows(book, book.sheets[0], accepted))


def complaints(line: dict[str, Any]) -> list[tuple[str | None, str]]:
    (row,) = rows(line)
    return [(complaint.column, complaint.flaw.code) for complaint in row.complaints]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (a_trainee("01"), []),
        (a_trainee(""), [("B (Trainee number)", "cell_empty")]),
        (a_trainee("01", **{"Enrolled on": ""}), [("K (Enrolled on)", "cell_empty")]),
        (
            a_trainee("01", **{"Birth date": "x", "Sex": "x"}),
            [("H (Sex)", "unknown_word"), ("I (Birth date)", "date_impossible")],
        ),
        (a_trainee("01", Name=""), [("F (Name)", "cell_empty")]),
        (a_trainee("01", **{"Proposed on": "2025-03-20"}), [("K (Enrolled on)", "dates_out_of_order")]),
        (a_trainee("01", **{"Proposed on": "2025-03-01", "Trade": ""}), [("E (Trade)", "cell_empty")]),
        (a_trainee("01", **{"Consent by": "self"}), [(None, "cell_empty"), (None, "cell_empty")]),
        (was_there("01", attendance="partly"), [(None, "cell_empty")]),
        (was_there("01", attendance="absent", **{"Hours present": 2}), [("G (Hours present)", "cells_contradict")]),
        (was_there("01", attendance="partly", **{"Hours present": 9}), [("G (Hours present)", "cells_contradict")]),
        (was_there("01", attendance=""), [("F (Present or absent)", "cell_empty")]),
        (was_there("", attendance="absent"), [("E (Trainee number)", "cell_empty")]),
        (was_there("01", **{"Held for": "trade"}), [(None, "cell_empty")]),
        (was_there("01", **{"Held for": "everyone", "Trade": "t"}), [("G (Held for)", "cells_contradict")]),
        (ASSESSED, []),
        ({**ASSESSED, "Theory mark": 101}, [("H (Theory mark)", "cells_contradict")]),
        ({**ASSESSED, "Result": "fail", "Theory mark": 10}, [(None, "cell_empty")]),
        ({**ASSESSED, "Theory passed": "yes"}, [("H (Theory passed)", "cells_contradict")]),
        ({**AWARD, "Awarded on": "", "Certificate number": "S-1"}, [(None, "cell_empty")]),
        ({**AWARD, "Awarded on": "", "Certificate number": ""}, [("F (Awarded on)", "cell_empty")]),
    ],
)
def test_what_cells_say_together(line: dict[str, Any], found: list[tuple[str | None, str]]) -> None:
    assert complaints(line) == found


def test_a_complaint_never_repeats_what_was_written() -> None:
    (row,) = rows(a_trainee("01", **{"Birth date": "Sokha's birthday", "Sex": "Sokha"}))
    assert len(row.complaints) == 2
    assert all("Sokha" not in f"{complaint.flaw}" for complaint in row.complaints)


def surveyed(*lines: dict[str, Any]) -> Survey:
    book = open_book(as_csv(lines))
    return survey(book, book.sheets, frozenset(), digest)


LINES = [was_there(f"0{number}", session) for session in (1, 2) for number in (1, 2, 3)]
LINES[1] |= {"Present or absent": "absent"}
LINES[4] |= {"Present or absent": "absent"}


@given(st.permutations([*LINES, *LINES]))
def test_rows_in_any_order_and_number_make_the_same_sessions(lines: list[dict[str, Any]]) -> None:
    once = surveyed(*LINES)
    twice = surveyed(*lines)
    assert not twice.clashes
    assert twice.keys == once.keys
    for key, session in once.sessions.items():
        other = twice.sessions[key]
        assert held(key, other.terms, other.remarked) == held(key, session.terms, session.remarked)


@given(st.permutations([a_trainee("01"), a_trainee("02"), a_trainee("01", Sex="M")]))
def test_rows_that_contradict_each_other_are_both_told_in_any_order(lines: list[dict[str, Any]]) -> None:
    found = surveyed(*lines)
    assert {place for _, place in found.clashes} == {
        place for place, line in enumerate(lines, 2) if line["Trainee number"] == "01"
    }


def planned(
    line: dict[str, Any], before: Remembered, standing: dict[str, str] | None = None
) -> tuple[list[dict[str, Any]], Remembered]:
    (row,) = rows(line)
    assert row.key
    found = plan("/offices/kh/ntti", row.key, statements_of(row), before, standing or {}, digest, person_of(row))
    assert found.flaw is None
    for event in found.events:
        before = event.remember(before)
    return [dict(event.fields) for event in found.events], before


@given(st.lists(st.sampled_from(["F", "M"]), min_size=1, max_size=6), st.lists(st.sampled_from(["a", "b"]), min_size=6))
def test_whatever_was_said_before_the_last_row_is_what_stands(sexes: list[str], trades: list[str]) -> None:
    """Two computers that send the same files in the same order derive the same events; a file sent again derives none."""
    known, other, ids = Remembered(), Remembered(), []
    standing: dict[str, str] = {}
    for sex, trade in zip(sexes, trades, strict=False):
        line = a_trainee("01", Sex=sex, Trade=trade)
        events, known = planned(line, known, standing)
        same, other = planned(line, other, standing)
        assert events == same
        said = [event["id"] for event in events if event["type"] == "trainee.enrolled.v1"]
        if said:
            standing[known.events["enrolled"]] = said[0]
        assert planned(line, known, standing) == ([], known)
        ids += [event["id"] for event in events]
    assert len(set(ids)) == len(ids)


def test_details_that_a_correction_would_take_away_are_asked_for() -> None:
    _, known = planned(a_trainee("01", **{"Passport number": "N1"}), Remembered())
    (row,) = rows(a_trainee("01", **{"National identity number": "0999"}))
    assert row.key
    found = plan("/offices/kh/ntti", row.key, statements_of(row), known, {}, digest, person_of(row))
    assert found.flaw
    assert found.flaw.code == "details_missing"


def test_a_session_for_those_listed() -> None:
    key = Key("attendance", "c", "", "3")
    said = held(
        key, {"date": "2025-04-01", "hours": 2, "held_for": "listed"}, {"02": ["present", None], "01": ["absent", None]}
    )
    assert said.data["group"] == ["01", "02"]
    assert said.data["absent"] == ["01"]
