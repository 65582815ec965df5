"""A target that is missed is said, and nothing else is; what is void or was not taken has no figure."""

import copy
from typing import Any

import pytest

from bench.figures import NOT_TAKEN, RATIOS, SERVICES, VOID, figures, lost_and_doubled, missed, ratios, taken_with

FINE = {"void": False, "lost": 0, "doubled": 0}
KEYS = {
    "pipeline_over_bare",
    "pipeline_over_floor",
    "pipeline_over_eventsourcing",
    "post_over_copy",
    "read_loaded_over_idle",
    "intake_with_readers_over_without",
    "soak_last_over_first",
    "read_million_over_ten_thousand",
    "write_million_over_ten_thousand",
}


def of_questions(**milliseconds: float) -> dict[str, dict[str, float]]:
    return {name: {"p50": value, "p99": 2 * value} for name, value in milliseconds.items()}


def a_round(program: float = 600.0, megabytes: float = 120.0) -> dict[str, Any]:
    return {
        "rates": {"program": program, "bare": 1000.0, "floor": 50.0, "eventsourcing": 40.0, "pgqueuer": 300.0},
        "verdicts": {"program": FINE, "eventsourcing": FINE, "pgqueuer": FINE},
        "skipped": {"redis streams": "Redis is not installed."},
        "copying": {"post": 1000.0, "copy": 10_000.0},
        "latency": {load: {"enrolment": [100.0, 110.0, 120.0]} for load in ("idle", "half load")},
        "half load": {"asked": 300.0, "reached": 285.0},
        "reading": {"idle": of_questions(all=4.0), "flowing": of_questions(all=6.0)},
        "readers": {"without": [500.0, 510.0], "with": [495.0, 490.0]},
        "memory": dict.fromkeys(SERVICES, megabytes * 2**20),
    }


def taken(*rounds: dict[str, Any]) -> dict[str, Any]:
    return {
        "rounds": {"rounds": list(rounds)},
        "soak": {
            "minutes": 20,
            "events": 600_000,
            "a second": {"first": 500.0, "last": 480.0},
            "memory": {name: {"first": 100.0, "last": 101.0} for name in SERVICES},
            "differing": 0,
            "lost": 0,
            "doubled": 0,
        },
        "reads": {
            "enrolments": [10_000, 1_000_000],
            "idle": {
                "10000": of_questions(country=4.0, sex=9.0, all=5.0),
                "1000000": of_questions(country=4.0, sex=8.0, all=5.0),
            },
            "flowing": {"1000000": of_questions(country=6.0, sex=9.0, all=8.0)},
            "processor": {"10000": 2.0, "1000000": 2.5},
            "writing": {"10000": [0.002, 0.0021, 0.0019], "1000000": [0.0025, 0.0024, 0.0026]},
        },
    }


def test_every_ratio_is_there_by_its_name() -> None:
    found = ratios(taken(a_round(), a_round(800.0)))
    assert set(found) == KEYS
    assert {name: figure["median"] for name, figure in found.items()} == {
        "pipeline_over_bare": 0.7,
        "pipeline_over_floor": 14,
        "pipeline_over_eventsourcing": 17.5,
        "post_over_copy": 0.1,
        "read_loaded_over_idle": 1.5,
        "intake_with_readers_over_without": 0.98,
        "soak_last_over_first": 0.96,
        "read_million_over_ten_thousand": 0.94,
        "write_million_over_ten_thousand": 1.25,
    }
    bare = found["pipeline_over_bare"]
    assert (bare["lowest"], bare["highest"], bare["met"]) == (0.6, 0.8, True)


def test_each_ratio_names_the_machine_and_the_version_of_its_own_part() -> None:
    found = taken(a_round())
    for name, cores in (("rounds", 2), ("soak", 8), ("reads", 4)):
        found[name] |= {"taken": f"on {cores}", "machine": {"cores": cores}, "versions": {"sampan": f"v{cores}"}}
    found["soak"]["minutes"] = 1
    named = taken_with(found)
    assert set(named) == KEYS
    assert named["soak_last_over_first"] is None
    assert named["pipeline_over_bare"] == {"part": "rounds", "taken": "on 2", "machine": {"cores": 2}, "version": "v2"}
    assert named["read_million_over_ten_thousand"] == named["write_million_over_ten_thousand"]
    assert named["read_million_over_ten_thousand"] == {
        "part": "reads",
        "taken": "on 4",
        "machine": {"cores": 4},
        "version": "v4",
    }


def test_all_targets_met() -> None:
    assert missed(figures(taken(a_round()))) == []


def test_each_miss_is_named_with_what_it_should_be() -> None:
    assert missed(figures(taken(a_round(400.0), a_round(400.0, 250.0), a_round(400.0, 250.0)))) == [
        "program / bare loops: 0.4, and it should be >= 0.5",
        "program / same-stack floor: 8, and it should be >= 10",
        *(f"{service}, most memory (MB): 250, and it should be <= 200" for service in SERVICES),
    ]


@pytest.mark.parametrize(
    ("void", "ratios_without"),
    [
        ("program", {name for name in KEYS if "million" not in name and "soak" not in name}),
        ("eventsourcing", {"pipeline_over_eventsourcing"}),
        ("pgqueuer", set()),
    ],
)
def test_a_void_run_has_no_ratio_though_another_round_is_fine(void: str, ratios_without: set[str]) -> None:
    spoilt = copy.deepcopy(a_round())
    spoilt["verdicts"][void] = {"void": True, "lost": 1, "doubled": 0}
    found = taken(a_round(), spoilt)
    assert {name for name, figure in ratios(found).items() if figure.get("absent") == VOID} == ratios_without
    shown = figures(found)
    assert shown[f"{void} (events/s)"] == {"absent": VOID}
    assert f"{void} (events/s): a run is void" in missed(shown)


def test_what_was_not_taken_has_no_figure_and_is_no_miss() -> None:
    found = ratios({})
    assert {figure.get("absent") for figure in found.values()} == {NOT_TAKEN}
    assert missed(figures({})) == []
    assert lost_and_doubled({}) == {"lost": None, "doubled": None}


def test_other_sizes_are_not_passed_off_as_a_million() -> None:
    smaller = taken(a_round())
    smaller["reads"]["enrolments"] = [1000, 10_000]
    smaller["reads"] |= {
        name: {str(int(size) // 100 if size == "1000000" else int(size) // 10): what for size, what in values.items()}
        for name, values in smaller["reads"].items()
        if name != "enrolments"
    }
    assert ratios(smaller)["write_million_over_ten_thousand"]["absent"] == NOT_TAKEN
    assert ratios(smaller)["read_million_over_ten_thousand"]["absent"] == NOT_TAKEN
    assert "reading, 10,000 / 1,000, each question" in figures(smaller)


def test_a_short_soak_is_not_passed_off_as_one_of_twenty_minutes() -> None:
    short = taken(a_round())
    short["soak"] |= {"minutes": 0.6, "a second": {"first": 500.0, "last": 100.0}}
    short["soak"]["memory"]["reporting"]["last"] = 200.0
    assert ratios(short)["soak_last_over_first"]["absent"] == NOT_TAKEN
    found = figures(short)
    assert {name: "target" in figure for name, figure in found.items() if name.startswith("soak of")} == {
        "soak of 0.6 minutes, events/s": False,
        "soak of 0.6 minutes, last window / first": False,
        **{f"soak of 0.6 minutes, memory of {service}, last / first": False for service in SERVICES},
    }
    assert missed(found) == []
    assert not any(name.startswith("soak, memory") for name in found)


def test_a_soak_of_which_one_row_differs_is_void_though_nothing_is_lost() -> None:
    spoilt = taken(a_round())
    spoilt["soak"] |= {"differing": 1}
    assert ratios(spoilt)["soak_last_over_first"]["absent"] == VOID
    assert missed(figures(spoilt)) == ["soak, last window / first: a run is void", "soak, events/s: a run is void"]


def test_the_load_that_was_reached_stands_beside_the_one_that_was_asked_for() -> None:
    shown = figures(taken(a_round()))["half load, posted / half of what the program took"]
    assert shown == {"median": 0.95, "lowest": 0.95, "highest": 0.95}


def test_what_could_not_be_run_is_not_taken() -> None:
    assert figures(taken(a_round()))["redis streams (events/s)"] == {"absent": NOT_TAKEN}


def test_lost_and_doubled_are_added_over_the_rounds_and_the_soak() -> None:
    spoilt = copy.deepcopy(taken(a_round(), a_round()))
    spoilt["rounds"]["rounds"][1]["verdicts"]["program"] = {"void": True, "lost": 2, "doubled": 1}
    spoilt["soak"] |= {"lost": 3}
    assert lost_and_doubled(spoilt) == {"lost": 5, "doubled": 1}
    assert ratios(spoilt)["soak_last_over_first"]["absent"] == VOID


def test_targets_are_those_of_the_issue() -> None:
    assert {name: (ratio.at_least, ratio.at_most) for name, ratio in RATIOS.items()} == {
        "pipeline_over_bare": (0.5, None),
        "pipeline_over_floor": (10, None),
        "pipeline_over_eventsourcing": (10, None),
        "post_over_copy": (0.05, None),
        "read_loaded_over_idle": (None, 2),
        "intake_with_readers_over_without": (0.9, None),
        "soak_last_over_first": (0.9, None),
        "read_million_over_ten_thousand": (None, 1),
        "write_million_over_ten_thousand": (None, 1.3),
    }
