"""Every figure of the running program is what DuckDB counts from the raw events."""

from collections import Counter
from pathlib import Path

import httpx
import pytest

from bench.recount import recount
from services.reporting.domain import COUNTED, DIMENSIONS
from tests.e2e.conftest import ELSEWHERE, EXAMPLE, Program
from tests.e2e.test_program import eventually

pytestmark = pytest.mark.xdist_group("e2e")
ADDED_UP = tuple(name for name in COUNTED if name != "people")
KEPT = ("country", "sex", "cohort")
PEOPLE_BY = ("country", "sex", "country,sex", "cohort", "cohort,country")


def reported(program: Program, programme: str) -> Counter[tuple[str, ...]]:
    """All cells of a programme, as the aggregates answer them, and people by what they are kept counted by."""

    def ask(**question: str) -> list[dict[str, str]]:
        question = {"programme": programme, **question}
        answer = httpx.get(
            f"{program.url('reporting')}/v1/aggregates", params=question, headers=program.admin, timeout=60
        )
        if answer.status_code == 400 and answer.json()["code"] == "unknown_value":
            return []  # nothing of this programme was heard yet
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, str]] = answer.json()["rows"]
        return rows

    found: Counter[tuple[str, ...]] = Counter()
    for row in ask(measure=",".join(ADDED_UP), by=",".join(DIMENSIONS)):
        for measure in ADDED_UP:
            value = float(row[measure]) * (100 if measure == "training_hours" else 1)
            if value:
                found[measure, *(row[name] for name in DIMENSIONS)] += round(value)
    for by in PEOPLE_BY:
        for row in ask(measure="people", by=by):
            kept = dict.fromkeys(KEPT, "_T") | {"programme": programme, **row}
            found["people", *(kept.get(name, "_Z") for name in DIMENSIONS)] = int(row["people"])
    return found


def counted_by_duckdb(programme: str, file: Path) -> Counter[tuple[str, ...]]:
    """The same cells: those of people of all programmes together are left out, others may be there; so is their total."""
    of_all = ("people", *({"programme": programme}.get(name, "_T" if name in KEPT else "_Z") for name in DIMENSIONS))
    which = 1 + list(DIMENSIONS).index("programme")
    counted = recount(file, tuple(DIMENSIONS))
    return Counter({place: value for place, value in counted.items() if place[which] == programme and place != of_all})


def differences(
    one: Counter[tuple[str, ...]], other: Counter[tuple[str, ...]]
) -> list[tuple[tuple[str, ...], int, int]]:
    return sorted((place, one[place], other[place]) for place in {*one, *other} if one[place] != other[place])


def same(program: Program, programme: str, file: Path) -> None:
    counted = counted_by_duckdb(programme, file)
    assert {place[0] for place in counted} >= {"enrolled", "certified", "training_hours", "people"}
    eventually(
        lambda: not differences(reported(program, programme), counted),
        f"reported, and counted by DuckDB: {differences(reported(program, programme), counted)[:5]}",
        seconds=20,
    )


def simulated(program: Program, trainees: int, events: Path) -> Path:
    written = program.run("simulate", "--trainees", str(trainees), "--seed", "7", "--output", str(events))
    assert written.returncode == 0, written.stderr
    return events


@pytest.mark.skipif(
    ELSEWHERE is not None, reason="to the containers, test_compose.py posts other events under the same ids"
)
def test_every_cell_of_a_small_programme_is_what_duckdb_counts(program: Program, tmp_path: Path) -> None:
    events = simulated(program, 60, tmp_path / "events.ndjson")
    program.post(events)
    same(program, "skills-1", events)


@pytest.mark.long
def test_every_cell_of_the_example_is_what_duckdb_counts(own_program: Program) -> None:
    own_program.post(EXAMPLE)
    same(own_program, "ilo-china-skills", EXAMPLE)


@pytest.mark.long
def test_every_cell_of_a_large_programme_is_what_duckdb_counts(own_program: Program, tmp_path: Path) -> None:
    events = simulated(own_program, 1000, tmp_path / "events.ndjson")
    own_program.post(events)
    same(own_program, "skills-1", events)
