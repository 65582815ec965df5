"""What is to be believed of a file that claims to be a credential: one word, and a sentence for whoever has to decide.

Nothing in the file is followed: an address in it is looked up among what the reader trusts already, or not at all. Whatever the
file is, the verdict comes after bounded work. ``valid`` is said only of what is known now; what was known too long ago is
``status unknown``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from shared.vc import embedding, moments, status
from shared.vc.document import CONTEXTS, TYPES
from shared.vc.embedding import NothingInside
from shared.vc.proof import BadProof, OtherProof, UnknownKey
from shared.vc.reading import PART, NotReadable
from shared.vc.signed import Presented, presented
from shared.vc.trust import Trust

Word = Literal[
    "valid",
    "revoked",
    "suspended",
    "superseded",
    "withdrawn",
    "expired",
    "not yet valid",
    "status unknown",
    "forged",
    "unknown issuer",
    "another kind of proof",
    "not a credential",
]
FRESH: Final = timedelta(days=1)
"""A list that is older than this says nothing of today, unless whoever asks says otherwise."""
AHEAD: Final = timedelta(minutes=10)
"""How far clocks may differ."""
EAST: Final = timedelta(hours=14)
"""How long before a day of UTC that day has begun in the east of the world: an award of today is none of tomorrow there."""
WHY: Final[Mapping[str, tuple[Word, str]]] = {
    "revoked": ("revoked", "The awarding body has revoked this certificate"),
    "suspended": ("suspended", "This certificate is suspended for now"),
    "superseded": ("superseded", "A newer edition has replaced this certificate"),
    "void": ("revoked", "This certificate was taken back: it should never have been issued"),
}
_GIVEN_UP: Final = (
    "It names {}, a key that its issuer declared compromised on {}: anybody may have made this file, so do not accept it. The "
    "certificate itself may well stand, and its file was signed anew: scan the code on the paper, or ask for the file again."
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The word, the sentence, and what the credential says where its signature is good."""

    word: Word
    sentence: str
    document: Mapping[str, Any] | None = None
    key: str | None = None
    """The address of the key that signed it."""
    known_at: datetime | None = None
    """The moment for which its status is known."""
    given_up: datetime | None = None
    """When the key that it names was declared compromised, if it was."""

    @property
    def is_good(self) -> bool:
        """Whether to accept it."""
        return self.word == "valid"


def judge(content: bytes, trust: Trust, now: datetime, fresh: timedelta = FRESH) -> Verdict:
    """The verdict on a file: JSON, a JWT, or a PDF or PNG with one of them inside. Raises nothing."""
    try:
        found = _found(content)
    except (NotReadable, NothingInside) as error:
        return Verdict("not a credential", str(error))
    return _judged(found, trust, now, fresh)


def _found(content: bytes) -> Presented:
    """The credential in a file. Raises NotReadable and NothingInside."""
    if len(content) > embedding.LARGEST_FILE:
        raise NotReadable("It is far larger than a certificate.")
    if content.startswith(embedding.PNG):
        return presented(embedding.read_png(content), embedding.LARGEST_CREDENTIAL)
    if embedding.PDF in content[:1024]:
        for inside in embedding.read_pdf(content):
            try:
                return presented(inside, embedding.LARGEST_CREDENTIAL)
            except NotReadable:
                continue
        raise NothingInside(
            "There is no credential in this PDF. A scan, or a copy that was printed to a file, has lost it."
            if embedding.is_whole_pdf(content)
            else PART
        )
    if embedding.is_photo(content):
        raise NothingInside(embedding.PHOTO)
    return presented(content, embedding.LARGEST_CREDENTIAL)


def _judged(found: Presented, trust: Trust, now: datetime, fresh: timedelta) -> Verdict:
    document = found.document
    if not _is_credential(document):
        return Verdict("not a credential", "It is no Open Badge 3.0, or uses contexts that are not known here.")
    issuer = found.issuer
    if issuer is None or issuer not in trust.keys:
        return Verdict(
            "unknown issuer",
            "It names an issuer whose keys you have not got. Ask the issuer where its keys are, and get them from there.",
        )
    try:
        key = found.check(trust.keys[issuer])
    except OtherProof as error:
        return Verdict("another kind of proof", str(error))
    except UnknownKey as error:
        given_up = trust.given_up.get(error.key)
        said = str(error) if given_up is None else _GIVEN_UP.format(error.key.rpartition("#")[2], _said(given_up))
        return Verdict("unknown issuer", said, given_up=given_up)
    except BadProof as error:
        return Verdict("forged", str(error))
    word, sentence, known_at = _standing(document, issuer, trust, now, fresh)
    return Verdict(word, sentence, document, key, known_at)


def _is_credential(document: Mapping[str, Any]) -> bool:
    return (
        document.get("@context") == list(CONTEXTS)
        and isinstance(document.get("type"), list)
        and set(TYPES) <= {kind for kind in document["type"] if isinstance(kind, str)}
        and isinstance(document.get("credentialSubject"), dict)
    )


def _standing(
    document: Mapping[str, Any], issuer: str, trust: Trust, now: datetime, fresh: timedelta
) -> tuple[Word, str, datetime | None]:
    """What becomes of a credential whose signature is good."""
    entry = document.get("credentialStatus")
    try:
        begins = moments.read(document["validFrom"])
        ends = moments.read(document["validUntil"]) if "validUntil" in document else None
        place, address = _entry(entry)
    except (KeyError, TypeError, ValueError):
        return "status unknown", "It is signed, and does not say in a known way where its status is to be found.", None
    known = trust.lists.get((address, status.PURPOSE))
    if known is not None and known.issuer != issuer:
        return (
            "status unknown",
            "The status list that you have is from somebody else than the credential's issuer.",
            None,
        )
    if known is not None:
        try:
            withdrawn = status.is_set(known.bits, place)
        except status.NotAList:
            return "status unknown", "The status list that you have has no such place.", None
        if withdrawn:
            word, why = _why(address, place, known.at, trust)
            return word, f"{why}: so its issuer said on {_said(known.at)}. Do not accept it.", known.at
    if ends is not None and now > ends:
        return "expired", f"It was valid until {ends.date().isoformat()}.", known.at if known else None
    if now < begins - EAST:
        return "not yet valid", f"It is valid from {begins.date().isoformat()}.", known.at if known else None
    if known is None:
        return (
            "status unknown",
            "Its signature is good; whether it still stands is not known: get the issuer's status list.",
            None,
        )
    if now - known.at > fresh:
        return (
            "status unknown",
            f"Its signature is good, and it stood on {_said(known.at)}; that is too long ago. Get the status list anew.",
            known.at,
        )
    if known.at - now > AHEAD:
        return (
            "status unknown",
            "The status list is from the future: set this machine's clock, or get the list anew.",
            known.at,
        )
    return "valid", f"Its signature is good, and it stood on {_said(known.at)}.", known.at


def _entry(entry: Any) -> tuple[int, str]:
    """The place and the list's address. Raises what a wrong form raises."""
    if entry["type"] != "BitstringStatusListEntry" or entry["statusPurpose"] != status.PURPOSE:
        raise ValueError("a status of another kind")
    place = entry["statusListIndex"]
    if not (isinstance(place, str) and place.isascii() and place.isdecimal() and len(place) < 10):
        raise ValueError("not a place")
    return int(place), str(entry["statusListCredential"])


def _why(address: str, place: int, at: datetime, trust: Trust) -> tuple[Word, str]:
    reasons = trust.lists.get((f"{address}/reasons", status.REASONS))
    word = status.reason(reasons.bits, place) if reasons and reasons.at >= at else None
    return WHY.get(word or "", ("withdrawn", "This certificate is suspended, revoked or superseded"))


def _said(at: datetime) -> str:
    return at.strftime("%Y-%m-%d at %H:%M UTC")
