"""Rosters cut by cohorts: nothing is lost, and what hangs together stays together as far as there is room."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from shared.rosters.cohorts import by_cohort
from shared.rosters.rows import Key, Row
from shared.rosters.survey import Session, Survey

KINDS = ("trainees", "awards", "attendance")


@given(
    lines=st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from("abc"), st.integers(1, 4), st.booleans())),
    portion=st.integers(1, 8),
    together=st.integers(2, 10),
)
def test_whole_cohorts_that_are_not_too_large(
    lines: list[tuple[str, str, int, bool]], portion: int, together: int
) -> None:
    """Given rows and sessions of a few cohorts in any order, some settled by themselves, when they are cut, then all others come
    once, never more than ``together`` at a time; a cohort that has no more is whole, and so is a trainee."""
    found, rows = Survey(), list[Row]()
    for place, (kind, cohort, number, settled) in enumerate(sorted(lines, key=lambda line: KINDS.index(line[0])), 1):
        key = Key(kind, cohort, str(number), "") if kind != "attendance" else Key(kind, cohort, "", str(number))  # type: ignore[arg-type]
        rows.append(Row(kind, place, key.kind, key, {"settled": settled}))
        if kind == "attendance":
            found.sessions[key] = Session({})
        else:
            found.last[cohort] = kind, place
    looked_at = list[Row]()

    def settled_by_itself(row: Row) -> bool:
        looked_at.append(row)
        return bool(row.values["settled"])

    portions = list(by_cohort(rows, found, settled_by_itself, portion, together))
    assert looked_at == rows
    things = [one for some in portions for _, one in some]
    expected = [row for row in rows if row.kind != "attendance" and not row.values["settled"]]
    assert sorted(one.place for one in things if isinstance(one, Row)) == [row.place for row in expected]
    assert sum(isinstance(one, Session) for one in things) == len(found.sessions)
    assert all(0 < len(some) <= together for some in portions)
    by_name, by_trainee = defaultdict[str, list[int]](list), defaultdict[Key, list[int]](list)
    for at, some in enumerate(portions):
        for key, one in some:
            by_name[key.cohort].append(at)
            if isinstance(one, Row):
                by_trainee[key._replace(kind="trainees")].append(at)
    for places in by_name.values():
        assert len(places) > together or len(set(places)) == 1
    for places in by_trainee.values():
        assert len(places) > together or len(set(places)) == 1
