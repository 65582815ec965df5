"""The judge recomputes from raw events what must be held; one differing row voids a run."""

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench.dataset import DataSet, data_set
from bench.judge import Held, judge, recomputed
from bench.peers.job import awards, counted, evolved, read

OFFICE = "/offices/kh/ntti"


def event(type_: str, id_: str, **data: Any) -> dict[str, Any]:
    about = {"cohort": "one", "number": "001", **data}
    return {"source": OFFICE, "id": id_, "type": f"{type_}.v1", "time": "2025-03-01T09:00:00+07:00", "data": about}


AWARD = {"scheme": "skills", "occupation": "weld", "level": "junior"}
STORY = [
    event("scheme.registered", "scheme", scheme="skills", rule="on_pass"),
    event("trainee.proposed", "proposed", country="KH"),
    event("trainee.enrolled", "enrolled", date="2025-03-01"),
    event("trainee.assessed", "failed", **AWARD, date="2025-03-10", result="fail"),
    event("trainee.assessed", "passed", **AWARD, date="2025-03-20", result="pass"),
    event("trainee.completed", "completed", date="2025-04-02"),
    event("certificate.numbered", "numbered", **AWARD, certificate_number="A-1"),
]
AWARDED = ("one", "001", "skills", "weld", "junior", "2025-04-02", "A-1")


def bodies(*events: dict[str, Any]) -> list[bytes]:
    return [json.dumps(one).encode() for one in events]


def test_the_story_of_one_trainee() -> None:
    must = recomputed(bodies(*STORY))
    assert must.certificates == Counter([AWARDED])
    assert must.aggregates == Counter(
        {
            ("enrolled", "2025-03", "KH", "one"): 1,
            ("completed", "2025-04", "KH", "one"): 1,
            ("passed", "2025-03", "KH", "one"): 1,
            ("certified", "2025-04", "KH", "one"): 1,
        }
    )
    assert must.journal.total() == len(STORY)


def test_twice_late_and_out_of_order_is_the_same() -> None:
    assert recomputed(bodies(*reversed(STORY), *STORY)) == recomputed(bodies(*STORY))


@pytest.mark.parametrize(
    "spoilt", [{"type": "trainee.applauded.v1"}, {"time": "2025-03-01T09:00:00"}, {"data": {"date": "2025-02-30"}}]
)
def test_what_nobody_can_take_counts_for_nothing(spoilt: dict[str, Any], tmp_path: Path) -> None:
    bad = STORY[2] | {"id": "spoilt"} | spoilt
    bad["data"] = STORY[2]["data"] | {"number": "002"} | spoilt.get("data", {})
    taken = tmp_path / "taken.ndjson"
    assert recomputed(bodies(*STORY, bad), taken) == recomputed(bodies(*STORY))
    assert len(taken.read_text().splitlines()) == len(STORY)
    assert read(bodies(bad)[0]) is None


def test_what_was_voided_or_replaced_counts_for_nothing() -> None:
    better = event("trainee.completed", "better", date="2025-05-05") | {"replaces": "completed"}
    assert ("completed", "2025-05", "KH", "one") in recomputed(bodies(*STORY, better)).aggregates
    void = {"source": OFFICE, "id": "void", "type": "event.voided.v1", "time": STORY[0]["time"]}
    void["data"] = {"event": "completed", "type": "trainee.completed.v1", "reason": "entered-twice"}
    assert recomputed(bodies(*STORY, void)).certificates == Counter()


def held() -> Held:
    return copy.deepcopy(recomputed(bodies(*STORY)))


def test_all_rows_alike_is_not_void() -> None:
    verdict = judge(held(), held())
    assert (verdict.void, verdict.lost, verdict.doubled) == (False, 0, 0)


def test_one_differing_count_voids_a_run_in_which_nothing_is_lost() -> None:
    planted = held()
    planted.aggregates["enrolled", "2025-03", "KH", "one"] += 1
    verdict = judge(held(), planted)
    assert verdict.void
    assert (len(verdict.differing), verdict.lost, verdict.doubled) == (1, 0, 0)


def test_one_wrong_day_voids_a_run_in_which_nothing_is_lost() -> None:
    planted = held()
    planted.certificates.subtract([AWARDED])
    planted.certificates.update([(*AWARDED[:5], "2025-04-03", "A-1")])
    verdict = judge(held(), planted)
    assert verdict.void
    assert (verdict.lost, verdict.doubled) == (0, 0)


@pytest.mark.parametrize("what", ["journal", "certificates"])
def test_a_row_less_is_lost_and_a_row_more_is_doubled(what: str) -> None:
    less, more = held(), held()
    row = next(iter(getattr(less, what)))
    getattr(less, what)[row] -= 1
    getattr(more, what)[row] += 1
    assert (judge(held(), less).lost, judge(held(), less).doubled) == (1, 0)
    assert (judge(held(), more).lost, judge(held(), more).doubled) == (0, 1)


@pytest.fixture(scope="module")
def small() -> DataSet:
    return data_set(3000)


def test_the_data_set_has_the_flaws_that_it_says(small: DataSet) -> None:
    assert (len(small.arrivals), small.duplicates, small.late, small.disordered, small.invalid) == (
        3000,
        150,
        75,
        150,
        30,
    )
    arrived = [one.body for one in small.arrivals]
    assert len(arrived) - len(set(arrived)) == 150
    assert sum(read(body) is None for body in arrived) == 30
    assert recomputed(arrived).journal.total() == small.taken
    countries = {one.source.split("/")[2] for one in small.arrivals}
    assert countries == {"cn", "kh", "la", "mm"}


def test_the_data_set_is_the_same_each_time(small: DataSet) -> None:
    assert data_set(3000) == small


def test_the_job_of_the_peers_gives_what_the_judge_recomputes(small: DataSet) -> None:
    """By the peers' rules, event by event, and by DuckDB, all at once: two ways that share nothing."""
    arrived = [one.body for one in small.arrivals]
    rules, records, seen = {}, {}, set()
    for said in filter(None, map(read, arrived)):
        if (said.source, said.id) in seen:
            continue
        seen.add((said.source, said.id))
        if said.type == "scheme.registered.v1":
            rules[said.data["scheme"]] = said.data["rule"]
        if said.trainee:
            records[said.trainee] = evolved(records.get(said.trainee, {}), said)
    must = recomputed(arrived)
    assert set(must.journal) == seen
    assert must.certificates == Counter(row for key, record in records.items() for row in awards(*key, record, rules))
    found: Counter[Any] = Counter()
    for (cohort, _), record in records.items():
        found.update(counted(cohort, record, rules))
    assert must.aggregates == found
    assert {row[0] for row in found} == {"enrolled", "completed", "passed", "certified"}
