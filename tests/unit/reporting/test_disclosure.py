"""What is hidden stays hidden: a solver that knows all that was ever published tries to work it out."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.reporting.disclosure import MEASURES, THRESHOLD, Place, Shown, protect
from tests.unit.reporting.reader import Reader, places

Rows = dict[str, dict[str, int]]


def shown(**tables: Rows) -> Shown:
    """A programme's figures; the total is that of the first table, and those of the others are the same."""
    first = next(iter(tables.values()))
    total = {measure: sum(line.get(measure, 0) for line in first.values()) for measure in MEASURES}
    return Shown(total, tables)


def enrolled(**rows: int) -> Shown:
    return shown(sex={row: {"enrolled": value} for row, value in rows.items()})


def hidden_rows(now: Shown, *before: Shown, **more: Any) -> set[str] | None:
    hidden = protect(now, before, **more)
    return None if hidden is None else {row for measure, table, row in hidden if measure == "enrolled" and table}


def published(now: Shown, *before: Shown) -> Shown:
    hidden = protect(now, before)
    assert hidden is not None
    return Shown(now.total, now.tables, hidden)


def test_the_nine_of_wuxi_are_hidden_down_to_the_men() -> None:
    assert hidden_rows(enrolled(F=3, M=6)) == {"F", "M"}


@pytest.mark.parametrize(("assessed", "hidden"), [(9, {"F", "M"}), (10, set())])
def test_all_but_a_few_are_hidden_as_a_few_are(assessed: int, hidden: set[str]) -> None:
    """Five of nine passed: four did not, and the figure would tell so."""
    now = shown(sex={"F": {"assessed": assessed, "passed": 5}, "M": {"assessed": 30, "passed": 15}})
    assert {row for measure, table, row in protect(now, []) or () if measure == "passed" and table} == hidden


def test_a_released_exception_is_shown_and_nothing_is_left_to_hide() -> None:
    now = enrolled(F=3, M=6)
    assert protect(now, [], released=[Place("enrolled", "sex", "F")]) == frozenset()


def test_an_exception_that_would_give_others_away_is_not_applied() -> None:
    now = shown(countries={"KH": {"enrolled": 9}, "LA": {"enrolled": 4}, "MM": {"enrolled": 6}})
    released = [Place("enrolled"), Place("enrolled", "countries", "KH"), Place("enrolled", "countries", "MM")]
    assert hidden_rows(now, released=released) == {"LA", "MM"}


def test_an_exception_that_is_not_applied_keeps_no_other_from_being_applied() -> None:
    now = shown(
        sex={"F": {"enrolled": 3}, "M": {"enrolled": 16}},
        countries={"KH": {"enrolled": 9}, "LA": {"enrolled": 4}, "MM": {"enrolled": 6}},
    )
    released = [
        Place("enrolled", "sex", "F"),
        Place("enrolled", "countries", "KH"),
        Place("enrolled", "countries", "MM"),
    ]
    assert hidden_rows(now, released=released) == {"LA", "MM"}


def test_that_three_women_were_enrolled_is_not_shown_while_how_many_started_is_hidden() -> None:
    """They were no more than three: of the programme that is public already, all is."""
    now = shown(sex={"F": dict.fromkeys(MEASURES, 3), "M": dict.fromkeys(MEASURES, 6)})
    women = [Place(measure, "sex", "F") for measure in MEASURES]
    assert hidden_rows(now, released=women[:1]) == {"F", "M"}
    assert protect(now, [], released=women) == frozenset()


def test_an_exception_made_after_a_version_that_hid_the_figure_is_applied_in_the_next() -> None:
    first = published(enrolled(F=3, M=6))
    assert protect(enrolled(F=3, M=6), [first], released=[Place("enrolled", "sex", "F")]) == frozenset()
    assert protect(enrolled(F=3, M=16), [first], released=[Place("enrolled", "sex", "F")]) == frozenset()


def test_an_exception_that_tells_a_small_group_in_a_version_that_hid_it_is_not_applied() -> None:
    first = published(enrolled(F=6, M=4))
    assert hidden_rows(enrolled(F=6, M=4), first, released=[Place("enrolled", "sex", "F")]) == {"F", "M"}


def test_figures_that_count_many_are_shown() -> None:
    assert protect(enrolled(F=50, M=60, U=0), []) == frozenset()


def test_eight_who_passed_out_of_nine_are_hidden_and_all_nine_are_not() -> None:
    eight = shown(sex={"F": {"assessed": 9, "passed": 8}, "M": {"assessed": 9, "passed": 9}})
    hidden = protect(eight, [])
    assert hidden is not None
    assert {place.measure for place in hidden} == {"passed"}
    nine = shown(sex={"F": {"assessed": 9, "passed": 9}, "M": {"assessed": 9, "passed": 9}})
    assert protect(nine, []) == frozenset()


def test_one_who_joins_is_not_given_away_by_the_version_of_the_day_before() -> None:
    first = published(enrolled(F=4, M=6))
    assert hidden_rows(enrolled(F=5, M=6), first) == {"F", "M"}
    assert hidden_rows(enrolled(F=9, M=6), first) == set()


def test_a_new_row_of_one_is_not_given_away_by_what_was_shown_before() -> None:
    first = published(enrolled(F=50, M=60))
    hidden = hidden_rows(enrolled(F=50, M=60, U=1), first)
    assert hidden is None or len(hidden) == 0 or hidden == {"F", "M", "U"}


@pytest.mark.parametrize("threshold", [3, 5, 10])
@pytest.mark.parametrize("later", [(5, 60), (50, 60), (500, 700)])
def test_another_threshold_stops_no_programmes_figures(threshold: int, later: tuple[int, int]) -> None:
    """What was hidden under a lower one stays as safe as it was; it cannot be made safer."""
    now = enrolled(F=1, M=2)
    hidden = protect(now, [], 3)
    assert hidden is not None
    first = Shown(now.total, now.tables, hidden, 3)
    assert first.hidden
    assert protect(enrolled(F=later[0], M=later[1]), [first], threshold) is not None


def test_a_lower_threshold_gives_nothing_away_that_a_higher_one_hid() -> None:
    now = enrolled(F=9, M=11)
    first = Shown(now.total, now.tables, protect(now, [], 10) or frozenset(), 10)
    assert {place.row for place in first.hidden if place.table} == {"F", "M"}
    assert hidden_rows(enrolled(F=10, M=12), first, threshold=3) == {"F", "M"}
    assert hidden_rows(enrolled(F=30, M=42), first, threshold=3) == set()


counts = st.integers(0, 12) | st.sampled_from([0, 0, 1, 4, 5, 40])


@st.composite
def lines(draw: st.DrawFn) -> dict[str, int]:
    entered = draw(counts)
    started = entered - draw(st.sampled_from([0, 0, 0, 1, 6]))
    assessed = draw(st.sampled_from([entered, entered, max(started, 0) // 2]))
    return {
        "enrolled": entered,
        "started": max(started, 0),
        "completed": max(started - draw(st.sampled_from([0, 0, 2, 5])), 0),
        "assessed": assessed,
        "passed": max(assessed - draw(st.sampled_from([0, 0, 1, 3])), 0),
        "certified": max(assessed - draw(st.sampled_from([0, 1, 5])), 0),
    }


@st.composite
def histories(draw: st.DrawFn) -> list[Shown]:
    """Releases of one programme: trainees are of one sex and one country, and more come between one release and the next."""
    cells: dict[tuple[str, str], dict[str, int]] = {}
    found = []
    for _ in range(draw(st.integers(1, 4))):
        for sex, country in draw(
            st.sets(st.tuples(st.sampled_from("FMU"), st.sampled_from(["KH", "LA", "MM"])), max_size=4)
        ):
            held, more = cells.get((sex, country), {}), draw(lines())
            cells[sex, country] = {measure: held.get(measure, 0) + more[measure] for measure in MEASURES}
        found.append(shown(sex=_by(cells, 0), countries=_by(cells, 1)))
    return found


def _by(cells: dict[tuple[str, str], dict[str, int]], place: int) -> Rows:
    rows: Rows = {}
    for key, line in cells.items():
        row = rows.setdefault(key[place], dict.fromkeys(MEASURES, 0))
        for measure, value in line.items():
            row[measure] += value
    return rows


thresholds = st.lists(st.sampled_from([3, 5, 5, 10]), min_size=4, max_size=4)
"""Of each version: the administrator may say another."""


@settings(max_examples=20)
@given(history=histories(), threshold=thresholds)
def test_no_hidden_figure_of_any_version_can_be_worked_out(history: list[Shown], threshold: list[int]) -> None:
    nothing_is_given_away(history, threshold)


@pytest.mark.long
@settings(max_examples=400)
@given(history=histories(), threshold=thresholds)
def test_no_hidden_figure_can_be_worked_out_in_many_histories(history: list[Shown], threshold: list[int]) -> None:
    nothing_is_given_away(history, threshold)


def nothing_is_given_away(history: list[Shown], thresholds: list[int]) -> None:
    released: list[Shown] = []
    for now, threshold in zip(history, thresholds, strict=False):
        hidden = protect(now, released, threshold)
        if hidden is not None:
            released.append(Shown(now.total, now.tables, hidden, threshold))
    reader = Reader(released)
    for version, one in enumerate(released):
        for place in places(one):
            value = one.value(place)
            if 0 < value < one.threshold:
                assert place in one.hidden
            if place in one.hidden:
                least, most = reader.knows(version, place)
                assert most - least >= one.threshold - 1 - 1e-6, (version, place, value, released)


@settings(max_examples=20)
@given(history=histories(), row=st.sampled_from([("sex", "F"), ("countries", "KH")]), since=st.integers(0, 3))
def test_an_exception_gives_no_other_small_group_away(history: list[Shown], row: tuple[str, str], since: int) -> None:
    exempt = [Place(measure, *row) for measure in MEASURES]
    released: list[Shown] = []
    public: set[tuple[Place, int]] = set()
    for place, now in enumerate(history):
        told = exempt if place >= since else []
        public |= {(one, now.value(one)) for one in told}
        hidden = protect(now, released, released=told)
        if hidden is not None:
            released.append(Shown(now.total, now.tables, hidden))
    reader = Reader(released)
    for version, one in enumerate(released):
        for cell in one.hidden:
            if 0 < one.value(cell) < THRESHOLD and (cell, one.value(cell)) not in public:
                least, most = reader.knows(version, cell)
                assert most - least >= 1 - 1e-6, (version, cell, released)


def test_the_solver_finds_what_a_bad_rule_gives_away() -> None:
    now = enrolled(F=3, M=6)
    careless = Shown(now.total, now.tables, frozenset({Place("enrolled", "sex", "F")}))
    assert Reader([careless]).knows(0, Place("enrolled", "sex", "F")) == pytest.approx((3, 3))
