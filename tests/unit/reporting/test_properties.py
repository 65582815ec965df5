"""Whatever the order, number and batches in which facts arrive, the rows and the cube end up the same."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.reporting.difference import effect
from services.reporting.domain import DIMENSIONS, TOTAL, Cell, Known, Rows, newest
from services.reporting.rates import NOT_BY, RATES
from shared.events.facts import Version
from tests.properties import examples
from tests.unit.reporting.facts import count_all
from tests.unit.reporting.histories import arrivals, histories


class Ledger:
    """Rows and cube in memory, kept as the projection keeps them in tables."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.versions: dict[tuple[str, str], Version] = {}
        self.cube: Counter[Cell] = Counter()

    def hear(self, batch: list[Known]) -> None:
        changed = Rows()
        for fact in newest(batch, self.versions):
            changed.put(fact.data)
            self.versions[fact.kind, fact.key] = fact.version
        self.cube.update(effect(self.rows, changed))
        self.cube = Counter({cell: value for cell, value in self.cube.items() if value})
        self.rows = self.rows.with_changes(changed)


@examples(60)
@given(st.data())
def test_any_order_duplication_and_split_gives_the_same_rows_and_cube(data: st.DataObject) -> None:
    history = data.draw(histories())
    straight, crooked = Ledger(), Ledger()
    for fact in history:
        straight.hear([fact])
    for batch in data.draw(arrivals(history)):
        crooked.hear(batch)
        assert crooked.cube == count_all(crooked.rows), "the cube is a recount of the rows after every batch"
        assert min(crooked.cube.values(), default=1) > 0
    assert crooked.rows == straight.rows
    assert crooked.versions == straight.versions
    assert crooked.cube == straight.cube


@examples(30)
@given(histories())
def test_people_are_as_many_as_those_who_were_ever_enrolled(history: list[Known]) -> None:
    ledger = Ledger()
    ledger.hear(history)
    enrolled = {
        trainee.person
        for trainee in ledger.rows.enrolments.values()
        if trainee.enrolled_on is not None
        and trainee.status != "void"
        and (cohort := ledger.rows.cohorts.get(trainee.cohort)) is not None
        and cohort.status != "void"
    }
    everybody = Cell("people", programme=TOTAL, country=TOTAL, sex=TOTAL, cohort=TOTAL)
    assert ledger.cube[everybody] == len(enrolled)
    of_cohorts = {
        cell: value for cell, value in ledger.cube.items() if cell.measure == "people" and cell.cohort != TOTAL
    }
    assert all(value <= len(enrolled) for value in of_cohorts.values())


@examples(40)
@given(
    histories(), st.sets(st.sampled_from([name for name in DIMENSIONS if name not in (*NOT_BY, "month")]), max_size=3)
)
def test_no_rate_of_cohorts_passes_100_percent(history: list[Known], by: set[str]) -> None:
    ledger = Ledger()
    ledger.hear(history)
    groups: dict[tuple[str, ...], list[tuple[dict[str, str], int]]] = {}
    for cell, value in ledger.cube.items():
        place = tuple(getattr(cell, name) for name in by)
        groups.setdefault(place, []).append((cell._asdict(), value))
    for lines in groups.values():
        for name, rate in RATES.items():
            numerator, denominator = rate.parts(lines)
            assert 0 <= numerator <= denominator, name
