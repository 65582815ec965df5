"""Which figures of a programme must not be published, so that nobody is given away. No I/O.

A figure is hidden when it counts a few people (from 1 up to the threshold), or all but a few of those it is a part of: eight who
passed out of nine give away the ninth. Hidden with it are as many others of the same table as it takes that none of them can
be worked out: not from the total, not from what it is a part of, and not from the versions that were published before, of
which everybody may suppose that counts only grow.

That none can be worked out is shown by finding other worlds for each hidden figure: worlds in which everything that was ever
published is the same, and this figure is another.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

MEASURES: tuple[str, ...] = ("enrolled", "started", "completed", "assessed", "passed", "certified")
"""What is published."""
PART_OF: Mapping[str, str] = {
    "started": "enrolled",
    "completed": "started",
    "passed": "assessed",
    "certified": "assessed",
}
"""Of what a measure counts a part."""
THRESHOLD = 5
"""Fewer than so many are hidden, unless the administrator says otherwise."""

Line = Mapping[str, int]
"""The figures of one row, by measure."""


class Place(NamedTuple):
    """A figure of a programme: in which table and row; both empty for the programme's total."""

    measure: str
    table: str = ""
    row: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A programme's figures as they were at a release, and what of them was hidden."""

    total: Line
    tables: Mapping[str, Mapping[str, Line]]
    hidden: frozenset[Place] = field(default=frozenset())
    threshold: int = THRESHOLD
    """By which it was hidden: each hidden figure can be at least so many numbers."""

    def value(self, place: Place) -> int:
        line = self.total if not place.table else self.tables.get(place.table, {}).get(place.row, {})
        return line.get(place.measure, 0)

    def knows(self, place: Place) -> bool:
        """Whether readers are told this figure; a row that is not there is told to be 0."""
        return place not in self.hidden


def protect(
    now: Shown, before: Sequence[Shown], threshold: int = THRESHOLD, released: Collection[Place] = ()
) -> frozenset[Place] | None:
    """What to hide of these figures, after those that were published before (the oldest first), each by its own threshold.

    ``released`` are figures that are public already: they are shown whatever they are, unless another could then not be kept
    from being worked out: then those of a row that do so are not, and the others are. None when there is no safe way: the last
    version must stand until more has changed.
    """
    exempt = {*released}
    hidden = _hide(now, before, threshold, exempt)
    if hidden is not None or not exempt:
        return hidden
    exempt, hidden = set(), _hide(now, before, threshold, set())
    for row in sorted({place[1:] for place in released}):
        more = exempt | {place for place in released if place[1:] == row}
        if (with_more := _hide(now, before, threshold, more)) is not None:
            exempt, hidden = more, with_more
    return hidden


def _hide(now: Shown, before: Sequence[Shown], threshold: int, exempt: set[Place]) -> frozenset[Place] | None:
    draft = _Draft(now, threshold, exempt)
    before = [_as_known(shown, now, threshold, exempt) for shown in before]
    for measure in MEASURES:
        if _is_small(now, Place(measure), threshold) and Place(measure) not in exempt:
            draft.hide_column(measure)
    for table in now.tables:
        for measure in MEASURES:
            for row in now.tables[table]:
                if _is_small(now, Place(measure, table, row), threshold):
                    draft.hide(Place(measure, table, row))
    for _ in range(2 + sum(1 + len(rows) for rows in now.tables.values()) * len(MEASURES)):
        draft.complete()
        given_away = next(_given_away([*before, draft.shown()]), None)
        if given_away is None:
            hidden = draft.shown().hidden
            return None if _tells_of_totals(exempt, now, [*before, draft.shown()]) else hidden
        if not draft.hide_more(given_away, before):
            return None
    return None


def _as_known(shown: Shown, now: Shown, threshold: int, exempt: Collection[Place]) -> Shown:
    """An earlier version as it is read by who knows what is public already: an exception may be made after that version.

    What was only hidden so that an exception could not be worked out (six men of nine, when the three women are known) is no
    secret then. A small group is, and an exception that tells it is not applied.
    """
    public = {place for place in exempt if shown.value(place) == now.value(place)}
    hidden = set(shown.hidden - public)
    for measure, table in {place[:2] for place in public if place.table and Place(place.measure) not in hidden}:
        left = [place for place in hidden if place[:2] == (measure, table)]
        if len(left) == 1 and not _is_small(shown, left[0], max(threshold, shown.threshold)):
            hidden.remove(left[0])
    return replace(shown, hidden=frozenset(hidden))


def _tells_of_totals(exempt: Collection[Place], now: Shown, versions: Sequence[Shown]) -> bool:
    """Whether an exception stands where the total is hidden: it would be a part of the other tables' total, too."""
    return any(
        Place(place.measure) in shown.hidden and shown.value(place) == now.value(place)
        for place in exempt
        if place.table
        for shown in versions
    )


def _is_small(shown: Shown, place: Place, threshold: int) -> bool:
    """Whether it counts a few, or all but a few."""
    value = shown.value(place)
    if 0 < value < threshold:
        return True
    whole = PART_OF.get(place.measure)
    return value > 0 and whole is not None and 0 < shown.value(place._replace(measure=whole)) - value < threshold


class _Draft:
    """What is hidden so far, on its way to enough."""

    def __init__(self, now: Shown, threshold: int, exempt: set[Place]) -> None:
        self._now, self._threshold, self._exempt = now, threshold, exempt
        self._hidden: set[Place] = set()

    def shown(self) -> Shown:
        return replace(self._now, hidden=frozenset(self._hidden), threshold=self._threshold)

    def hide(self, place: Place) -> bool:
        if place in self._exempt or place in self._hidden:
            return False
        self._hidden.add(place)
        return True

    def _hide_all(self, places: Iterable[Place]) -> bool:
        """Whether any of them was still shown."""
        return sum(self.hide(place) for place in places) > 0

    def hide_column(self, measure: str) -> bool:
        """The total and every row of all tables: a row that was shown would say of the total that it is no less."""
        places = [Place(measure, table, row) for table, rows in self._now.tables.items() for row in rows]
        return self._hide_all([Place(measure), *places])

    def complete(self) -> None:
        """In each table hide more of a measure until what is hidden of it together is no small group either."""
        for measure in MEASURES:
            for table in self._now.tables:
                while Place(measure) not in self._hidden and not self._enough(table, measure):
                    if not self._hide_next(table, measure) and not self.hide_column(measure):
                        break

    def hide_more(self, place: Place, before: Sequence[Shown]) -> bool:
        """Because this one can be worked out, now or from an earlier version."""
        measure, table, _ = place
        if table:
            of_before = [one for shown in before[-1:] for one in shown.hidden if one[:2] == (measure, table)]
            if self._hide_all(one for one in of_before if one.row in self._now.tables.get(table, {})):
                return True
            if self._hide_next(table, measure):
                return True
        return self.hide_column(measure)

    def _enough(self, table: str, measure: str) -> bool:
        rows = [place.row for place in self._hidden if (place.measure, place.table) == (measure, table)]
        if not rows:
            return True
        together = sum(self._now.value(Place(measure, table, row)) for row in rows)
        if len(rows) < 2 or together < self._threshold:
            return False
        whole = PART_OF.get(measure)
        rest = 0 if whole is None else sum(self._now.value(Place(whole, table, row)) for row in rows) - together
        return not 0 < rest < self._threshold

    def _hide_next(self, table: str, measure: str) -> bool:
        """Hide the smallest figure of this measure that is still shown; none of 0 before the others."""
        places = [Place(measure, table, row) for row in self._now.tables[table]]
        left = [place for place in places if place not in self._hidden | self._exempt]
        if not left:
            return False
        return self.hide(min(left, key=lambda place: (not self._now.value(place), self._now.value(place), place.row)))


# --- whether something can be worked out


def _given_away(versions: Sequence[Shown]) -> Iterator[Place]:
    """The hidden figures, in any version, that can be fewer numbers than that version's threshold.

    What a lower threshold hid cannot be made safer by a later version, and what a higher one hid stays as safe. A figure that was
    shown again before the newest version is held by that: nothing newer says more of it.
    """
    since_then: frozenset[Place] | None = None
    for version in reversed(range(len(versions))):
        spread = versions[version].threshold - 1
        hidden = versions[version].hidden if since_then is None else versions[version].hidden & since_then
        for place in sorted(hidden):
            if _freedom(versions, version, place, spread) < spread:
                yield place
        if version < len(versions) - 1:
            since_then = hidden


def _freedom(versions: Sequence[Shown], version: int, place: Place, wanted: int) -> int:
    """By how much a hidden figure can be different in other worlds, as far as this finds them."""
    rows = versions[version].tables.get(place.table, {})
    others = [place.row, *sorted(row for row in rows if row != place.row)]
    up = down = 0
    for other in others:
        for first, last in _spans(versions, version, place, other):
            up = max(up, _room(versions, first, last, place, other, 1))
            down = max(down, _room(versions, first, last, place, other, -1))
        if up + down >= wanted:
            break
    return up + down


def _partner(versions: Sequence[Shown], place: Place, other: str) -> tuple[Place, int] | None:
    """What moves with a figure in all these versions so that sums stay, and which way: another row of the table the other way,
    or the total, where nobody is told it. None where nothing can.
    """
    if not all(place in shown.hidden for shown in versions):
        return None
    if all(place._replace(table="", row="") in shown.hidden for shown in versions):
        return place._replace(table="", row=""), 1
    row = place._replace(row=other)
    return (row, -1) if row != place and all(row in shown.hidden for shown in versions) else None


def _spans(versions: Sequence[Shown], version: int, place: Place, other: str) -> set[tuple[int, int]]:
    """From which version to which both could have been different: in this one alone, and as far as they are hidden."""
    if _partner(versions[version : version + 1], place, other) is None:
        return set()
    first = last = version
    while first and _partner(versions[first - 1 : version + 1], place, other):
        first -= 1
    while last + 1 < len(versions) and _partner(versions[first : last + 2], place, other):
        last += 1
    spans = {(version, version), (version, last), (first, version), (first, last)}
    return {(start, end) for start, end in spans if _partner(versions[start : end + 1], place, other)}


_ENOUGH = 1_000_000


def _room(versions: Sequence[Shown], first: int, last: int, place: Place, other: str, way: int) -> int:
    """By how much a figure could be larger (``way`` 1) or smaller (-1) in these versions.

    What keeps its sum moves with it, and so do other measures of the row of which this is a part or which are parts of it, where
    they are hidden and something keeps theirs.
    """
    moving = _moving(versions[first : last + 1], place, other)
    room = _ENOUGH
    for one, (partner, partners_way) in moving.items():
        room = min(room, _own_room(versions, first, last, one, way, moving))
        if partner != one:
            room = min(room, _own_room(versions, first, last, partner, way * partners_way, moving))
    return max(room, 0)


def _moving(versions: Sequence[Shown], place: Place, other: str) -> dict[Place, tuple[Place, int]]:
    moving: dict[Place, tuple[Place, int]] = {}
    left = [place.measure]
    while left:
        one = place._replace(measure=left.pop())
        if one not in moving and (partner := _partner(versions, one, other)):
            moving[one] = partner
            left += [part for part, whole in PART_OF.items() if whole == one.measure]
            left += [PART_OF[one.measure]] if one.measure in PART_OF else []
    return moving


def _own_room(
    versions: Sequence[Shown], first: int, last: int, place: Place, way: int, moving: Mapping[Place, tuple[Place, int]]
) -> int:
    ways = dict(moving.values()) | dict.fromkeys(moving, 1)
    along = {one for one, its_way in ways.items() if its_way == ways[place]}
    rooms = [_ENOUGH]
    for shown in versions[first : last + 1]:
        value = shown.value(place)
        if way < 0:
            rooms.append(value)
            parts = (place._replace(measure=part) for part, whole in PART_OF.items() if whole == place.measure)
            limits = [value - shown.value(part) for part in parts if part not in along]
        else:
            wholes = [place._replace(measure=PART_OF[place.measure])] if place.measure in PART_OF else []
            limits = [shown.value(whole) - value for whole in wholes if whole not in along]
        # Where a part is more than its whole, who supposes that it never is knows less, not more.
        rooms += [limit for limit in limits if limit >= 0]
    if way < 0 and first:
        rooms.append(versions[first].value(place) - versions[first - 1].value(place))
    if way > 0 and last + 1 < len(versions):
        rooms.append(versions[last + 1].value(place) - versions[last].value(place))
    return min(room for room in rooms if room >= 0)
