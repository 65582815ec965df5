"""From new events to what is true then: fold the unit of each, save the states and tell the facts.

Most events come in order and take the short way: only the unit's state and what has not applied yet are read; of trainees
of whom something comes late, all that was said, too. Whatever voids, replaces, comes late of the cohort itself, or depends on
another unit makes its unit be folded from its whole journal.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.enrolment.domain import APPLIED, Cohort, Enrolment, Entry, Known, Ref, Seers, Standing, State
from services.enrolment.facts import cohort_data, completion, trainee_data
from services.enrolment.fold import Folded, Late, advance_late, fold, late, linked, undone
from services.enrolment.journal import Journal, Kept
from services.enrolment.links import Links, Two
from services.enrolment.register import Register
from services.enrolment.routing import Route, Surroundings
from services.enrolment.seers import seers
from services.enrolment.store import Held, HeldPlace, Store
from shared.events.enrolment import (
    CentreFact,
    ProgrammeFact,
    centre_fact,
    cohort_fact,
    programme_fact,
    trainee_fact,
)
from shared.events.facts import Fact


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit that new events touch, folded."""

    folded: Folded
    kept: Mapping[Ref, Kept]
    fresh: Sequence[Entry]
    retold: bool
    """Whether all its facts may have changed, since some of its events void or replace others."""


@dataclass(slots=True)
class Decision:
    """What new events lead to, before the publish lock is taken."""

    units: dict[str, Unit] = field(default_factory=dict)
    held: Mapping[str, Held] = field(default_factory=dict)
    registered: list[ProgrammeFact | CentreFact] = field(default_factory=list)
    forgotten: set[str] = field(default_factory=set)
    """Enrolments of persons who were forgotten before."""
    last: Entry | None = None

    def standings(self) -> dict[Ref, Standing]:
        """How the new events stand."""
        return {entry.ref: unit.folded.standings[entry.ref] for unit in self.units.values() for entry in unit.fresh}

    def changes(self, units: Collection[str] | None = None) -> list[tuple[Entry, Standing, int]]:
        """Which events of the journal stand differently now, with the new number of their standing; only those of some units
        where these are given."""
        return [
            (unit.kept[ref].entry, standing, unit.kept[ref].number + 1)
            for name, unit in self.units.items()
            if units is None or name in units
            for ref, standing in unit.folded.standings.items()
            if ref in unit.kept and unit.kept[ref].standing != standing
        ]

    def forgets(self) -> dict[str, Entry]:
        """The enrolments whose person is to be forgotten, each with the event that says so."""
        return {
            entry.enrolment: entry
            for unit in self.units.values()
            for entry in (*(kept.entry for kept in unit.kept.values()), *unit.fresh)
            if entry.type == "person.forgotten.v1"
            and entry.enrolment
            and entry.enrolment not in self.forgotten
            and unit.folded.standings.get(entry.ref) == APPLIED
        }


async def decide(
    journal: Journal, store: Store, entries: Sequence[Entry], where: Route, around: Surroundings
) -> Decision:
    """Fold every unit that these new events touch. Registry and units are locked."""
    decision = Decision(last=max(entries, key=lambda entry: entry.order))
    await journal.move(around.moves)
    fresh: dict[str, list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.order):
        fresh.setdefault(where.units[entry.ref], []).append(entry)
    whole = {around.moves.get(unit, unit) for unit in around.units}
    whole |= {unit for unit in fresh if not unit.startswith("cohort/")}
    whole |= {where.units[entry.ref] for entry in entries if entry.acts_on}
    first = {unit for unit in whole if unit.startswith(("programme/", "centre/"))}
    await _fold(journal, store, decision, first, {}, fresh)
    flipped = await _register(store, decision, first)
    if flipped:
        whole |= await journal.needing(flipped)
    later = await journal.later({unit: fresh[unit][0] for unit in set(fresh) - whole})
    short = {unit: before for unit, each in later.items() if (before := late(fresh[unit], each)) is not None}
    whole |= later.keys() - short.keys()
    decision.held = await store.held(
        [unit.removeprefix("cohort/") for unit in whole | short.keys() if unit.startswith("cohort/")]
    )
    pairs = {unit for unit in whole if unit.startswith("pair/")}
    whole |= await _fold(journal, store, decision, set(), short, fresh)
    await _fold(journal, store, decision, whole - first - pairs, {}, fresh)
    await _fold(journal, store, decision, pairs, {}, fresh)
    return decision


async def decide_again(journal: Journal, store: Store, cohorts: Collection[str]) -> Decision:
    """Fold these cohorts from their journals, though nothing new has come. Nobody else may be about them."""
    decision = Decision(held=await store.held(cohorts))
    await _fold(journal, store, decision, {f"cohort/{cohort}" for cohort in cohorts}, {}, {})
    return decision


async def _fold(
    journal: Journal,
    store: Store,
    decision: Decision,
    whole: Collection[str],
    short: Mapping[str, Late],
    fresh: Mapping[str, Sequence[Entry]],
) -> set[str]:
    """Fold units: ``whole``, or from the stored state on where only so much (mostly nothing) comes late. The units of the latter
    for which the short way turns out not to lead there."""
    if not whole and not short:
        return set()
    astray = set()
    kept = {**await journal.journal(whole), **await journal.journal(short, unsettled=True)}
    again = {unit: one.again for unit, one in short.items() if one.again}
    for unit, rest in (await journal.settled(again)).items():
        kept[unit] += rest
    entries = {unit: [*(one.entry for one in kept[unit]), *fresh.get(unit, ())] for unit in kept}
    registered = await store.registered({need for each in entries.values() for entry in each for need in entry.needs})
    elsewhere = await found_elsewhere(journal, {**fresh, **entries})
    forgotten = await store.forgotten(personal(entry for each in entries.values() for entry in each))
    decision.forgotten |= forgotten
    seen_by = await _seen_by(store, decision, entries)
    for unit, each in entries.items():
        known = Known(registered, elsewhere - {entry.ref for entry in each}, forgotten, seen_by)
        new = fresh.get(unit, ())
        if unit in whole:
            folded = fold(each, known)
        else:
            state = _state(decision.held[unit.removeprefix("cohort/")], kept[unit], known)
            settled = [one.entry for one in kept[unit] if not linked(one.entry, one.standing)]
            advanced = advance_late(state, settled, new, short[unit], known)
            if advanced is None:
                astray.add(unit)
                continue
            folded = advanced
        retold = any(entry.acts_on for entry in each)
        decision.units[unit] = Unit(folded, {one.entry.ref: one for one in kept[unit]}, new, retold)
    return astray


def personal(entries: Iterable[Entry]) -> set[str]:
    """The enrolments for whose events it matters whether the person was forgotten."""
    forgets = "person.forgotten.v1"
    return {entry.enrolment for entry in entries if entry.enrolment and (entry.person or entry.type == forgets)}


async def _seen_by(store: Store, decision: Decision, entries: Mapping[str, Sequence[Entry]]) -> dict[str, Seers]:
    """Who sees the details of enrolments that somebody decides about, once the cohorts in hand are as decided."""
    asked = {enrolment for each in entries.values() for entry in each for enrolment in entry.pair or ()}
    if not asked:
        return {}
    found = await store.seen_by(asked)
    for name, unit in decision.units.items():
        if name.startswith("cohort/"):
            held, state = decision.held[name.removeprefix("cohort/")], unit.folded.state
            for gone in held.places:
                found.pop(gone, None)
            if state.cohort:
                found |= {key: seers(state.cohort, state.enrolments[key]) for key in asked & state.enrolments.keys()}
    return found


async def found_elsewhere(journal: Journal, entries: Mapping[str, Sequence[Entry]]) -> frozenset[Ref]:
    """Events that exist, but not in the unit of those that want to replace them."""
    homes = {entry.ref: unit for unit, each in entries.items() for entry in each}
    asked = {
        (entry.source, entry.replaces)
        for unit, each in entries.items()
        for entry in each
        if entry.replaces and homes.get((entry.source, entry.replaces)) != unit
    }
    return frozenset(await journal.records(asked)) | (asked & homes.keys())


def _state(held: Held, kept: Iterable[Kept], known: Known) -> State:
    """The state that a unit's fold had come to."""
    pending = [one.entry for one in kept if one.standing.status != "accepted" and not linked(one.entry, one.standing)]
    return State(
        cohort=None if held.void else held.cohort,
        enrolments={key: place.enrolment for key, place in held.places.items() if not place.void},
        pending=tuple(sorted(pending, key=lambda entry: entry.order)),
        undone=undone((one.entry for one in kept), known),
    )


async def _register(store: Store, decision: Decision, units: Collection[str]) -> set[str]:
    """Save the programmes and centres that changed; those that are registered now and were not, or the other way."""
    flipped = set()
    for unit in sorted(units):
        before, state = await store.held_registered(unit), decision.units[unit].folded.state
        after: ProgrammeFact | CentreFact | None = None
        if state.programme:
            after = ProgrammeFact(**dict(state.programme), status="registered")
        elif state.centre:
            after = CentreFact(**dict(state.centre), status="registered")
        elif before:
            after = before.model_copy(update={"status": "void"})
        if after is None or after == before:
            continue
        decision.registered.append(after)
        if before is None or before.status != after.status:
            flipped.add(unit)
    await store.save_registered(decision.registered)
    return flipped


@dataclass(frozen=True, slots=True)
class Saved:
    """The facts that may have changed, and the standings that followed only when all states were known."""

    facts: list[Fact]
    changes: list[tuple[Entry, Standing, int]]


async def save(journal: Journal, store: Store, register: Register, decision: Decision) -> Saved:
    """Store the states. Under the publish lock."""
    changes = [
        Change(code := name.removeprefix("cohort/"), unit, decision.held[code], decision.last)
        for name, unit in decision.units.items()
        if name.startswith("cohort/")
    ]
    # What was decided about persons waits for their enrolments, whose cohorts nobody but us changes any more.
    waiting = await journal.deciding_about({key for change in changes for key in change.seen_otherwise()})
    pairs = {unit for unit in waiting if unit not in decision.units}
    await _fold(journal, store, decision, pairs, {}, {})
    links = Links(store.session, register)
    linked = await links.link(
        {key: pair for change in changes for key, pair in change.links().items()},
        {two(name): unit.folded.state.pair for name, unit in decision.units.items() if name.startswith("pair/")},
    )
    stored = await links.persons_in(change.code for change in changes)
    changes = [change.beside(stored) for change in changes]
    persons = {**stored, **linked}
    places = [(change, change.places(persons, register)) for change in changes]
    facts = [
        programme_fact(data, _cause(decision.last))
        if isinstance(data, ProgrammeFact)
        else centre_fact(data, _cause(decision.last))
        for data in decision.registered
    ]
    facts += [fact for change, saved in places for fact in change.facts(saved, persons, register)]
    await store.save_cohorts([cohort for change in changes if (cohort := change.cohort()) is not None])
    await store.save_places([place for _, saved in places for place in saved])
    own = {key for change in changes for key in change.unit.folded.state.enrolments}
    others = {key: person for key, person in linked.items() if key not in own}
    facts += await links.change_persons(others, None)
    return Saved(facts, decision.changes(pairs))


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a cohort and its enrolments, beside what is stored of them."""

    code: str
    unit: Unit
    held: Held
    last: Entry | None

    def beside(self, stored: Mapping[str, str]) -> "Change":
        """With the persons that are stored by now: another cohort's transaction may have given ours others since they were
        read."""
        places = {
            key: replace(place, person=stored[key])
            for key, place in self.held.places.items()
            if stored.get(key, place.person) != place.person
        }
        return replace(self, held=replace(self.held, places={**self.held.places, **places})) if places else self

    def cohort(self) -> tuple[Cohort, bool] | None:
        """The cohort to store, and whether it is void; None when it is as before."""
        before, after = self.held.cohort, self.unit.folded.state.cohort
        if after is not None:
            return None if after == before and not self.held.void else (after, False)
        return None if before is None or self.held.void else (before, True)

    def links(self) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
        """The enrolments whose links to a person differ: old and new ones."""
        places, enrolments = self.held.places, self.unit.folded.state.enrolments
        same = {key for key, place in places.items() if not place.void and enrolments.get(key) is place.enrolment}
        before = {key: place.enrolment.links for key, place in places.items() if not place.void and key not in same}
        after = {key: enrolment.links for key, enrolment in enrolments.items() if key not in same}
        nothing: frozenset[str] = frozenset()
        pairs = {key: (before.get(key, nothing), after.get(key, nothing)) for key in before.keys() | after.keys()}
        return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}

    def seen_otherwise(self) -> set[str]:
        """The enrolments that have come or gone, or whose details others see now."""
        before, state = self.held, self.unit.folded.state
        there = {} if before.cohort is None or before.void else before.places
        old = {key: _sent_by(place.enrolment) for key, place in there.items() if not place.void}
        new = {key: _sent_by(enrolment) for key, enrolment in state.enrolments.items()} if state.cohort else {}
        if before.cohort and state.cohort and _parties(before.cohort) == _parties(state.cohort):
            return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
        return {*old, *new}

    def places(self, persons: Mapping[str, str], register: Register) -> list[HeldPlace]:
        """The enrolments to store."""
        after = [
            HeldPlace(enrolment, False, person)
            for key, enrolment in self.unit.folded.state.enrolments.items()
            for person in (persons.get(key) or register.person(key),)
            if not self._is_held(key, enrolment, person)
        ]
        gone = [
            HeldPlace(place.enrolment, True, persons.get(key, place.person))
            for key, place in self.held.places.items()
            if key not in self.unit.folded.state.enrolments
        ]
        return [place for place in after + gone if place != self.held.places.get(place.enrolment.enrolment)]

    def _is_held(self, key: str, enrolment: Enrolment, person: str) -> bool:
        place = self.held.places.get(key)
        return place is not None and place.enrolment is enrolment and place.person == person and not place.void

    def facts(self, saved: Iterable[HeldPlace], persons: Mapping[str, str], register: Register) -> list[Fact]:
        """The facts that may differ from those that were told, once these are stored."""
        facts = []
        state, changed = self.unit.folded.state, self.cohort()
        causes = {entry.enrolment: entry for entry in self.unit.fresh}
        otherwise = self.unit.fresh[-1] if self.unit.fresh else self.last
        if changed is not None:
            data = cohort_data(changed[0], void=changed[1])
            facts.append(cohort_fact(data, _cause(causes.get(None, otherwise))))
        terms = state.cohort or self.held.cohort
        if terms is None:
            return facts
        otherwise_dated = self.held.cohort is None or _dating(self.held.cohort) != _dating(terms)
        told = {place.enrolment.enrolment: place for place in saved}
        for key, enrolment in state.enrolments.items():
            # A completion's standing follows from what has not applied, too.
            if key in told or key in causes or otherwise_dated or self.unit.retold:
                told[key] = HeldPlace(enrolment, False, persons.get(key) or register.person(key))
        for key, place in told.items():
            trainee = trainee_data(place.enrolment, terms, place.person, completion(state, key), void=place.void)
            facts.append(trainee_fact(trainee, _cause(causes.get(key, otherwise))))
        return facts


def _dating(cohort: Cohort) -> object:
    """What trainees' days, ages and arrivals follow from."""
    return cohort.terms.timezone, cohort.terms.starts_on, cohort.not_arrived


def _sent_by(enrolment: Enrolment) -> object:
    """What it follows from, with the parties, who sees the details: ``seers``."""
    return enrolment.country, enrolment.said_by


def _parties(cohort: Cohort) -> object:
    return cohort.terms.parties, cohort.former_parties


def two(unit: str) -> Two:
    """The enrolments of a unit of decisions about two."""
    _, one, other = unit.split("/")
    return one, other


def _cause(entry: Entry | None) -> str | None:
    return f"{entry.source}/{entry.id}" if entry else None
