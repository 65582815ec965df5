"""A target that is missed is said, and nothing else is."""

from bench.table import SERVICES, missed, summary


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
