"""A target that is missed is said, and nothing else is."""

from bench.table import SERVICES, figures_of, missed, summary


def taken(program: float, megabytes: float) -> dict[str, object]:
    return {
        "rates": {"program": program, "bare": 1000.0, "floor": 50.0, "program, one event a POST": 50.0},
        "latency": {"enrolment": [100.0, 110.0, 120.0]},
        "memory": dict.fromkeys(SERVICES, megabytes * 2**20),
    }


def test_all_targets_met() -> None:
    assert missed(summary([taken(400.0, 120.0)])) == []


def test_each_miss_is_named_with_what_it_should_be() -> None:
    said = missed(summary([taken(200.0, 120.0), taken(200.0, 250.0), taken(200.0, 250.0)]))
    assert said == [
        "program / bare: 0.2, and it should be >= 0.3",
        "program / floor: 4, and it should be >= 5",
        "program / one event a POST: 4, and it should be >= 5",
        *(f"{service}, most memory (MB): 250, and it should be < 200" for service in SERVICES),
    ]


def of_questions(**milliseconds: float) -> dict[str, dict[str, float]]:
    return {name: {"p50": value, "p99": 2 * value} for name, value in milliseconds.items()}


def test_reading_is_judged_by_its_ratios() -> None:
    slow = of_questions(country=4.0, sex=9.0, all=5.0)
    reads = {
        "enrolments": [10, 1000],
        "idle": {"10": of_questions(country=4.0, sex=3.0, all=4.0), "1000": slow},
        "flowing": {"10": slow, "1000": of_questions(country=6.0, sex=9.0, all=11.0)},
        "processor": {"10": 2.0, "1000": 2.5},
        "remaking": {"live a second": 100, "rebuilt a second": 190, "answers meanwhile": [5, 6]},
        "page": [200, 1200],
    }
    figures = figures_of({"summary": {}, "reads": reads})
    ratio = figures["reading, 1,000 / 10 enrolments"]
    assert (ratio["lowest"], ratio["median"], ratio["highest"]) == (1, 2, 3)
    assert figures["the same in processor time"]["median"] == 1.25
    assert [line.partition(":")[0] for line in missed(figures)] == [
        "reading, 1,000 / 10 enrolments",
        "reading while facts flow in / idle, p99",
        "rebuild / live (facts)",
        "POST to an open dashboard, p99 (ms)",
    ]
