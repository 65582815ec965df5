"""Where new events belong: the unit of each, and what of the journal they touch besides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.enrolment.domain import Entry, Ref, unit_of
from services.enrolment.journal import Journal


@dataclass(frozen=True, slots=True)
class Route:
    """Where new events belong. ``alone`` when some reference names what is not known yet, so that nobody else may bring it
    meanwhile, or when other units depend on one of these."""

    units: Mapping[Ref, str]
    moves: Mapping[str, str]
    alone: bool


async def route(journal: Journal, entries: Sequence[Entry]) -> Route:
    """The unit of each event by what is known now: its own name for it, or that of what it refers to."""
    batch = {entry.ref: entry for entry in entries}
    named = {entry.enrolment: f"cohort/{entry.cohort}" for entry in entries if entry.enrolment and entry.cohort}
    lost = {entry.enrolment for entry in entries if entry.enrolment and not entry.cohort} - set(named)
    cohorts = {**await journal.cohorts_of(lost), **named}
    records = await journal.records({entry.acts_on for entry in entries if entry.acts_on} - set(batch))
    awaited = {f"event{source}/{id_}": (source, id_) for source, id_ in batch}
    units: dict[Ref, str] = {}

    def place(entry: Entry) -> str:
        """Its own unit, or that of what it voids, and so on; of voids that go round in a circle, a name that all of them find."""
        way: dict[Ref, None] = {}
        while entry.ref not in way and entry.ref not in units:
            way[entry.ref] = None
            target = entry.voids
            if target in batch:
                entry = batch[target]
                continue
            unit = records[target].unit if target in records else unit_of(entry)
            kind, _, name = unit.partition("/")
            unit = cohorts.get(name, unit) if kind == "enrolment" else unit
            if unit not in awaited:
                break
            entry = batch[awaited[unit]]
        else:
            steps = list(way)
            unit = units.get(entry.ref) or "event{}/{}".format(*min(steps[steps.index(entry.ref) :]))
        units.update(dict.fromkeys(way, unit))
        return unit

    for entry in entries:
        units[entry.ref] = units.get(entry.ref) or place(entry)
    moves = {f"enrolment/{enrolment}": unit for enrolment, unit in named.items()}
    moves |= {name: units[ref] for name, ref in awaited.items() if units[ref] != name}
    alone = any(not unit.startswith("cohort/") for unit in units.values()) or any(
        entry.replaces is not None and (entry.source, entry.replaces) not in batch | records for entry in entries
    )
    return Route(units, moves, alone)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What of the journal new events touch besides their own units; to be asked under the registry's lock."""

    moves: Mapping[str, str]
    acted_on: Mapping[Ref, set[str]]

    @property
    def units(self) -> set[str]:
        """The units to lock."""
        return {*self.moves, *self.moves.values(), *(unit for units in self.acted_on.values() for unit in units)}


async def surroundings(journal: Journal, where: Route) -> Surroundings:
    """The units that wait for these events, and those of events that void or replace them."""
    waiting = await journal.existing(set(where.moves))
    return Surroundings(
        {old: new for old, new in where.moves.items() if old in waiting}, await journal.acting_on(set(where.units))
    )
