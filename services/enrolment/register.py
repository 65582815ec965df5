"""The register: personal details, encrypted per enrolment. Nothing personal leaves this room but into sealed columns.

The key of an enrolment is random and kept wrapped under a master key; destroying it forgets the person. The first master key is
made from the service's secret, the following ones are random and sealed under the first.
Identifiers are kept as keyed hashes, so that equal numbers can be found without any number being known.
"""

import hashlib
import hmac
import json
import secrets
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date
from typing import Any

from services.enrolment.domain import Entry, Faded, Identifier, Particulars
from services.enrolment.rules import RANKS
from shared.events import offices_to_enrolment as said
from shared.events import persons
from shared.events.codes import AgeBand, Model
from shared.events.envelope import Event, digest, keyed
from shared.secrets import derive, seal, unseal

_CANDIDATE = ("person", "employer")
PERSONAL: Mapping[type[Model], Sequence[str]] = {
    said.TraineeProposed: _CANDIDATE,
    said.TraineeEnrolled: _CANDIDATE,
    persons.PersonCorrected: ("names", "identifiers", "birth_date", "sex", "contact", "disability", "consent"),
}
"""Fields of events that the journal does not hold: the event as it came is sealed instead."""


FIRST_MASTER = 1
"""The master key that is made from the secret."""
_NUMBER_BYTES = 4
_WRAPPED_BYTES = 60


class MasterUnknown(Exception):
    """A key is wrapped under a master key that was made since this process last read them."""


class Register:
    """Takes the personal parts out of events, seals and unseals them. Knows keys, and no database."""

    def __init__(self, secret: bytes) -> None:
        """``secret`` is the service's own, 32 bytes."""
        self._hashing = derive(secret, "identifiers")
        self._content = derive(secret, "content")
        self._persons = derive(secret, "persons")
        self._masters = {FIRST_MASTER: derive(secret, "register")}
        self._rosters = derive(secret, "rosters")

    def entry(self, event: Event) -> Entry:
        """The event as the journal holds it."""
        personal = PERSONAL.get(type(event.data))
        data = event.data.model_copy(update=dict.fromkeys(personal)) if personal else event.data
        return Entry(
            source=event.source,
            id=event.id,
            type=event.type,
            time=event.time.astimezone(UTC),  # as the journal gives it back, or facts would be told anew for an offset
            rank=RANKS[event.type],
            data=data,
            person=self._particulars(event.data),
            replaces=event.replaces,
        )

    def content(self, event: Event) -> bytes:
        """A keyed digest: two events with one id say the same if and only if theirs are equal."""
        return digest(self._content, event.written)

    def keyed(self, value: Any) -> str:
        """A keyed digest of what a row of a roster says."""
        return keyed(self._rosters, value)

    def person(self, enrolment: str) -> str:
        """The pseudonymous id of the person whose smallest enrolment this is."""
        return "p-" + hmac.digest(self._persons, enrolment.encode(), hashlib.sha256).hex()[:24]

    # --- keys

    def learn(self, masters: Mapping[int, bytes]) -> None:
        """Take up master keys, as ``new_master`` made them."""
        for number, sealed in masters.items():
            self._masters[number] = unseal(self._masters[FIRST_MASTER], sealed, _master(number))

    def new_master(self, number: int) -> bytes:
        """A fresh master key of this number, sealed."""
        return seal(self._masters[FIRST_MASTER], secrets.token_bytes(32), _master(number))

    def new_key(self, owner: str, master: int) -> bytes:
        """A fresh key for an owner, wrapped. Raises MasterUnknown."""
        return self._wrap(secrets.token_bytes(32), owner, master)

    def wrap_anew(self, wrapped: bytes, owner: str, master: int) -> bytes:
        """The same key, wrapped under another master key. Raises MasterUnknown."""
        return self._wrap(self._unwrap(wrapped, owner), owner, master)

    def seal(self, wrapped: bytes, owner: str, value: bytes, place: str) -> bytes:
        """Encrypt under an owner's wrapped key; ``place`` is where it is kept, so that it opens nowhere else."""
        return seal(self._unwrap(wrapped, owner), value, place.encode())

    def unseal(self, wrapped: bytes, owner: str, sealed: bytes, place: str) -> bytes:
        """Decrypt what ``seal`` made. Raises MasterUnknown."""
        return unseal(self._unwrap(wrapped, owner), sealed, place.encode())

    def key_for(self, wrapped: bytes, owner: str, purpose: str) -> bytes:
        """A key made from an owner's, for what is kept elsewhere: it is gone when theirs is destroyed. Raises MasterUnknown."""
        return derive(self._unwrap(wrapped, owner), purpose)

    def _wrap(self, key: bytes, owner: str, master: int) -> bytes:
        number = b"" if master == FIRST_MASTER else master.to_bytes(_NUMBER_BYTES, "big")
        return number + seal(self._master_key(master), key, owner.encode())

    def _unwrap(self, wrapped: bytes, owner: str) -> bytes:
        number = wrapped[:-_WRAPPED_BYTES]
        return unseal(
            self._master_key(int.from_bytes(number, "big") if number else FIRST_MASTER),
            wrapped[-_WRAPPED_BYTES:],
            owner.encode(),
        )

    def _master_key(self, number: int) -> bytes:
        if number not in self._masters:
            raise MasterUnknown
        return self._masters[number]

    # --- what is personal in events

    def _particulars(self, data: Model) -> Particulars | None:
        person: persons.Person | persons.PersonCorrected | None = None
        if isinstance(data, persons.PersonCorrected):
            person = data
        elif isinstance(data, said.TraineeProposed | said.TraineeEnrolled):
            person = data.person
        if person is None:
            return None
        identifiers = person.identifiers
        return Particulars(
            sex=person.sex,
            birth_date=person.birth_date,
            disability=person.disability,
            identifiers=None if identifiers is None else self._identifiers(identifiers),
            purposes=None if person.consent is None else tuple(person.consent.purposes),
        )

    def _identifiers(self, identifiers: list[persons.Identifier]) -> tuple[Identifier, ...]:
        found = {}
        for identifier in identifiers:
            plain = _plain(identifier.number)
            if plain:
                value = hmac.digest(self._hashing, f"{identifier.kind}/{plain}".encode(), hashlib.sha256).hex()
                found[identifier.kind, identifier.country, value] = Identifier(
                    identifier.kind, identifier.country, value
                )
        return tuple(found.values())


def holds_personal(event: Event) -> bool:
    """Whether the event's type has room for personal details."""
    return type(event.data) in PERSONAL


def original(event: Event) -> bytes:
    """The whole event as it came: what is sealed."""
    return event.written


def person_in(type_: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an event with personal details says of the person, of its data as they came: never a field that its type has not."""
    return data if type_ == "person.corrected.v1" else data.get("person") or {}


def birth_date_of(type_: str, fields: bytes) -> date | None:
    """The birth date that an event's original names, if it does."""
    written = person_in(type_, json.loads(fields)["data"]).get("birth_date")
    return date.fromisoformat(written) if written else None


def _master(number: int) -> bytes:
    return f"master key {number}".encode()


def _plain(number: str) -> str:
    """A number without what people write differently: spaces, hyphens, case, and their own script's digits."""
    if number.isascii():
        return "".join(filter(str.isalnum, number)).casefold()
    letters = (str(unicodedata.digit(letter, letter)) for letter in unicodedata.normalize("NFKC", number))
    return "".join(letter for letter in letters if letter.isalnum()).casefold()


class Fading:
    """What is left of one person's particulars once they are forgotten: it still tells same from different among them, and
    matches nothing else, ever: the key that it is made with goes with this object."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def of(self, person: Particulars, band: Callable[[date], AgeBand]) -> Particulars:
        """The particulars without birth date and identifiers; ``band`` tells the age band of a birth date."""
        born, identifiers = person.birth_date, person.identifiers
        if isinstance(born, date):
            born = Faded(self._mark(born.isoformat())[:16], band(born))
        if identifiers is not None:
            identifiers = tuple(replace(known, hash=self._mark(known.hash)) for known in identifiers)
        return replace(person, birth_date=born, identifiers=identifiers)

    def _mark(self, value: str) -> str:
        return hmac.digest(self._key, value.encode(), hashlib.sha256).hex()


def without_details(entry: Entry) -> Entry:
    """An event about somebody who was forgotten before it came: it brings no detail back."""
    if entry.person is None:
        return entry
    return replace(entry, person=replace(entry.person, birth_date=None, identifiers=None))
