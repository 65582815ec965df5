"""Which voids hold. A void takes out what was said; a void of a void takes that one out, and what it had taken out stands again.

Order and number of arrivals do not matter: everything follows from the set of events, and where two contradict each other from
their order in the fold.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import NamedTuple

Ref = tuple[str, str]


class Said(NamedTuple):
    """As much of an event as matters here; of a void also what it takes out, and the type that it says that has."""

    ref: Ref
    type: str
    target: Ref | None = None
    named: str = ""


class Voids(NamedTuple):
    """What is out, with the void that took it out, and the code of each void's standing.

    Codes are ``applied``, ``voided`` (by another void), ``event_unknown``, ``type_differs``, ``already_voided`` and
    ``voids_itself``.
    """

    out: dict[Ref, Ref]
    codes: dict[Ref, str]


def voids(ordered: Iterable[Said]) -> Voids:
    """Decide the voids among events in their order.

    A void is decided once all that would void it are: nothing that is taken out takes anything out. Voids that lead back to
    themselves are never so far, and take out nothing.
    """
    known = {said.ref: said for said in ordered}
    places = {ref: place for place, ref in enumerate(known)}
    claims: dict[Ref, list[Ref]] = {}
    found = Voids({}, {})
    undecided = _undecided(known)
    ready = deque(ref for ref, number in undecided.items() if not number)
    while ready:
        void = known[ready.popleft()]
        _settle(void.ref, claims, places, found)
        found.codes[void.ref] = _code(void, known, found.out)
        target = void.target
        if target is None or not _fits(void, known):
            continue
        if found.codes[void.ref] == "applied":
            claims.setdefault(target, []).append(void.ref)
        if target in undecided:
            undecided[target] -= 1
            if not undecided[target]:
                ready.append(target)
    for ref in undecided.keys() - found.codes.keys():
        found.codes[ref] = "voids_itself"
    for target in claims.keys() - found.out.keys():
        _settle(target, claims, places, found)
        if target in undecided:
            found.codes[target] = "voided"
    return found


def _undecided(known: Mapping[Ref, Said]) -> dict[Ref, int]:
    """Of each void, how many others would void it."""
    numbers = {void.ref: 0 for void in known.values() if void.target is not None}
    for void in known.values():
        if void.target in numbers and _fits(void, known):
            numbers[void.target] += 1
    return numbers


def _code(void: Said, known: Mapping[Ref, Said], out: Mapping[Ref, Ref]) -> str:
    if void.ref in out:
        return "voided"
    if void.target not in known:
        return "event_unknown"
    return "applied" if _fits(void, known) else "type_differs"


def _fits(void: Said, known: Mapping[Ref, Said]) -> bool:
    target = known.get(void.target) if void.target else None
    return target is not None and target.type == void.named


def _settle(target: Ref, claims: Mapping[Ref, list[Ref]], places: Mapping[Ref, int], found: Voids) -> None:
    """Of the voids that would take it out and are not taken out themselves, the first does."""
    holding = sorted(claims.get(target, ()), key=places.__getitem__)
    for ref in holding[1:]:
        found.codes[ref] = "already_voided"
    if holding:
        found.out[target] = holding[0]
