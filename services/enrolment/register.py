"""The register: personal details, encrypted per enrolment. Nothing personal leaves this room but into sealed columns.

The key of an enrolment is random and kept wrapped under a key from the service's secret; destroying it forgets the person.
Identifiers are kept as keyed hashes, so that equal numbers can be found without any number being known.
"""

import hashlib
import hmac
import json
import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, date
from typing import Any

from services.enrolment.domain import Entry, Identifier, Particulars
from services.enrolment.rules import RANKS
from shared.events import offices_to_enrolment as said
from shared.events.codes import Model
from shared.events.envelope import Event, canonical, digest, keyed
from shared.secrets import derive, seal, unseal

_CANDIDATE = ("person", "employer")
PERSONAL: Mapping[type[Model], Sequence[str]] = {
    said.TraineeProposed: _CANDIDATE,
    said.TraineeEnrolled: _CANDIDATE,
    said.PersonCorrected: ("names", "identifiers", "birth_date", "sex", "contact", "disability"),
}
"""Fields of events that the journal does not hold: the event as it came is sealed instead."""


class Register:
    """Takes the personal parts out of events, seals and unseals them. Knows keys, and no database."""

    def __init__(self, secret: bytes) -> None:
        """``secret`` is the service's own, 32 bytes."""
        self._hashing = derive(secret, "identifiers")
        self._content = derive(secret, "content")
        self._persons = derive(secret, "persons")
        self._wrapping = derive(secret, "register")
        self._rosters = derive(secret, "rosters")

    def entry(self, event: Event) -> Entry:
        """The event as the journal holds it."""
        data = event.data.model_copy(update=dict.fromkeys(PERSONAL.get(type(event.data), ())))
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
        return digest(self._content, event.fields)

    def keyed(self, value: Any) -> str:
        """A keyed digest of what a row of a roster says."""
        return keyed(self._rosters, value)

    def person(self, enrolment: str) -> str:
        """The pseudonymous id of the person whose smallest enrolment this is."""
        return "p-" + hmac.digest(self._persons, enrolment.encode(), hashlib.sha256).hex()[:24]

    def new_key(self, owner: str) -> bytes:
        """A fresh key for an owner, wrapped."""
        return seal(self._wrapping, secrets.token_bytes(32), owner.encode())

    def seal(self, wrapped: bytes, owner: str, value: bytes, place: str) -> bytes:
        """Encrypt under an owner's wrapped key; ``place`` is where it is kept, so that it opens nowhere else."""
        return seal(unseal(self._wrapping, wrapped, owner.encode()), value, place.encode())

    def unseal(self, wrapped: bytes, owner: str, sealed: bytes, place: str) -> bytes:
        """Decrypt what ``seal`` made."""
        return unseal(unseal(self._wrapping, wrapped, owner.encode()), sealed, place.encode())

    def _particulars(self, data: Model) -> Particulars | None:
        person: said.Person | said.PersonCorrected | None = None
        if isinstance(data, said.PersonCorrected):
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
        )

    def _identifiers(self, identifiers: list[said.Identifier]) -> tuple[Identifier, ...]:
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
    return canonical(event.fields)


def birth_date_of(fields: bytes) -> date | None:
    """The birth date that an event's original names, if it does."""
    data = json.loads(fields)["data"]
    written = (data.get("person") or data).get("birth_date")
    return date.fromisoformat(written) if written else None


def _plain(number: str) -> str:
    """A number without what people write differently: spaces, hyphens, case, and their own script's digits."""
    letters = (str(unicodedata.digit(letter, letter)) for letter in unicodedata.normalize("NFKC", number))
    return "".join(letter for letter in letters if letter.isalnum()).casefold()
