"""What should be public of an award: the standing of each of its editions, given what the awarding body decided.

A replacement is not public before its document is signed and confirmed. Until then the edition before it stands for the award: it
is valid, suspended or revoked as the award is, and becomes superseded in the moment in which the new one becomes public. So at no
time does the holder have nothing, or two. A new award after one that was revoked or has expired replaces nothing: until its
document is there, no edition stands for it.

For a holder who is forgotten nothing is ever signed any more, so no new edition will come. Then every edition stands as it was
decided: one that the awarding body has replaced is superseded, though none is here in its place.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import date
from itertools import takewhile
from typing import Final, Literal, NamedTuple

from shared.events.certification import CertificateFact

Status = Literal["prepared", "valid", "suspended", "revoked", "superseded", "void"]
LIVE: Final = frozenset({"valid", "suspended"})
"""What the holder has."""
UNSET: Final = frozenset({"valid", "prepared"})
"""Standings whose bit in the status list is not set: a verifier accepts the one, and nobody could present the other."""


class Standing(NamedTuple):
    """What is public of a certificate, and the day since when the awarding body says so."""

    status: Status
    since: date | None


def standing(fact: CertificateFact) -> Standing:
    """What the awarding body decided of one edition; ``void`` when nothing was ever awarded, or not any more."""
    match fact.status:
        case "issued":
            return Standing("valid", fact.awarded_on)
        case "suspended":
            return Standing("suspended", fact.suspended_on)
        case "revoked":
            return Standing("revoked", fact.revoked_on)
        case "superseded":
            return Standing("superseded", fact.superseded_on)
        case _:
            return Standing("void", None)


def standing_edition(editions: Sequence[CertificateFact]) -> CertificateFact | None:
    """The edition by which an award stands: the last one that is neither superseded nor void."""
    there = [fact for fact in editions if standing(fact).status not in {"superseded", "void"}]
    return max(there, key=lambda fact: fact.edition, default=None)


def wanted(
    editions: Sequence[CertificateFact], public: Collection[str], ready: Collection[str], *, forgotten: bool
) -> dict[str, Standing]:
    """What should be public of these editions of one award, by certificate; an edition that is missing stays unheard of.

    ``public`` are those of which something is public already, ``ready`` those with a document that is confirmed; ``forgotten``
    is whether their holder is, which their documents show: they are closed.
    """
    last = standing_edition(editions)
    found = {fact.certificate: _own(standing(fact), fact, editions) for fact in editions if fact.certificate in public}
    if forgotten or last is None or last.certificate in public:
        return found
    decided = standing(last)
    if last.certificate in ready and decided.status == "valid":
        return found | {last.certificate: _own(decided, last, editions)}
    stands_for_it = next((fact for fact in _replaced_by(last, editions) if fact.certificate in public), None)
    if stands_for_it is not None:
        found[stands_for_it.certificate] = _own(decided, stands_for_it, editions)
    return found


def _replaced_by(last: CertificateFact, editions: Sequence[CertificateFact]) -> Iterator[CertificateFact]:
    """The editions that led to this one by nothing but replacements, the newest first."""
    before = sorted((fact for fact in editions if fact.edition < last.edition), key=lambda fact: -fact.edition)
    return takewhile(lambda fact: fact.status == "superseded", before)


def _own(decided: Standing, fact: CertificateFact, editions: Sequence[CertificateFact]) -> Standing:
    """What was decided, of one edition: one that replaced another is valid since it did, and not since the award."""
    if decided.status != "valid" or fact.edition == 1:
        return decided
    replaced = [one.superseded_on for one in editions if one.edition == fact.edition - 1]
    return Standing("valid", next(iter(replaced), None) or decided.since)
