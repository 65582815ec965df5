"""Every cell of the cube is compared with what DuckDB counts from the raw events, those of which it counts nothing too."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench.dataset import data_set
from bench.holding import Place, differing_cells
from bench.judge import recomputed
from bench.recount import recount
from services.reporting.domain import COUNTED, DIMENSIONS

OFFICE = "/offices/kh/ntti"


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Counter[Place]:
    taken = tmp_path_factory.mktemp("bench") / "taken.ndjson"
    recomputed([one.body for one in data_set(3000).arrivals], taken)
    return recount(taken, tuple(DIMENSIONS))


def test_a_cube_with_the_same_cells_and_some_that_came_to_nothing_is_not_void(counted: Counter[Place]) -> None:
    assert differing_cells(counted, counted + Counter()) == []
    gone = ("certified_outside", *("_Z" for _ in DIMENSIONS))
    assert differing_cells(counted, Counter({**counted, gone: 0})) == []


@pytest.mark.parametrize("measure", COUNTED)
def test_a_cell_too_much_is_seen_whatever_it_counts(counted: Counter[Place], measure: str) -> None:
    planted = (measure, *("_Z" for _ in DIMENSIONS))
    (found,) = differing_cells(counted, Counter({**counted, planted: 500}))
    assert measure in found


def test_every_cell_of_people_is_looked_at(counted: Counter[Place]) -> None:
    people = {place for place in counted if place[0] == "people"}
    of_all = ("people", *("_T" if name in ("programme", "country", "sex", "cohort") else "_Z" for name in DIMENSIONS))
    assert of_all in people
    more = Counter({place: value + 100 * (place in people) for place, value in counted.items()})
    assert len(differing_cells(counted, more)) == len(people)


def happened(type_: str, number: str | None = "001", **data: Any) -> dict[str, Any]:
    data |= {"cohort": "one"} | ({} if number is None else {"number": number})
    id_ = f"{type_}-{number}-{len(json.dumps(data))}"
    return {"source": OFFICE, "id": id_, "type": f"{type_}.v1", "time": "2025-03-01T09:00:00+07:00", "data": data}


AWARD = {"scheme": "skills", "level": "junior"}
COHORT = {
    "programme": "p", "host_country": "KH", "host_centre": "ntti", "mode": "in-person", "timezone": "Asia/Phnom_Penh",
    "starts_on": "2025-03-01", "ends_on": "2025-04-01", "places": [{"country": "KH", "places": 2}],
}  # fmt: skip
PERSON = {"sex": "F", "identifiers": [{"kind": "national-id", "country": "KH", "number": "1"}]}
OUTSIDE = [
    happened("scheme.registered", None, scheme="skills", rule="by_awarding_body", completion_required=False),
    happened("cohort.announced", None, **COHORT),
    happened("trainee.enrolled", country="KH", trade="weld", role="student", person=PERSON, date="2025-03-01"),
    happened("trainee.enrolled", "002", country="KH", trade="weld", role="student", person=PERSON, date="2025-03-01"),
    happened("trainee.completed", date="2025-04-02"),  # and nobody said that the cohort started
    happened("trainee.assessed", **AWARD, occupation="weld", date="2025-03-10", result="fail"),
    happened("trainee.assessed", **AWARD, occupation="cable", date="2025-03-20", result="pass"),  # not what was failed
    happened("certificate.awarded", **AWARD, occupation="cable", date="2025-04-03"),
    happened("certificate.awarded", "002", **AWARD, occupation="weld", date="2025-04-03"),  # never assessed
    happened("outcome.reported", "002", outcome="employed", months_after=3, date="2025-07-01"),  # never completed
    happened("outcome.reported", "002", outcome="no-answer", months_after=6, date="2025-10-01"),
]


def test_what_a_rate_leaves_out_is_counted_from_the_events(tmp_path: Path) -> None:
    events = tmp_path / "events.ndjson"
    events.write_text("".join(f"{json.dumps(one)}\n" for one in OUTSIDE))
    by_measure: Counter[str] = Counter()
    for place, value in recount(events, tuple(DIMENSIONS)).items():
        by_measure[place[0]] += value
    assert {name: value for name, value in by_measure.items() if name.endswith("_outside")} == {
        "completed_outside": 1,
        "passed_outside": 1,
        "certified_outside": 2,
        "answered_outside": 1,
    }
    assert by_measure["outcomes"] == 2
