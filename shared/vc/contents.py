"""What a credential says, read field by field for whoever shows it. Its signature may be good and its form another than ours."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Contents:
    """Texts as they stand in a credential; None, or no names, where there are none."""

    address: str | None
    """The credential's own."""
    name: str | None
    names: tuple[str, ...]
    """Its holder's."""
    awarding_body: str | None
    look_up: str | None
    """Where the awarding body can be asked."""
    number: str | None
    issuer: str | None
    """Who attests, by name."""


def read(document: Mapping[str, Any]) -> Contents:
    """Whatever of it is there."""
    return Contents(
        address=_text(document, "id"),
        name=_text(document, "name"),
        names=tuple(_names(document)),
        awarding_body=_text(document, "credentialSubject", "source", "name"),
        look_up=_text(document, "credentialSubject", "source", "url"),
        number=_text(document, "credentialSubject", "licenseNumber"),
        issuer=_text(document, "issuer", "name"),
    )


def _names(document: Mapping[str, Any]) -> Iterator[str]:
    identifiers = _at(document, "credentialSubject", "identifier")
    for one in identifiers if isinstance(identifiers, list) else []:
        if isinstance(one, dict) and one.get("identityType") == "name" and isinstance(one.get("identityHash"), str):
            yield one["identityHash"]


def _text(document: Mapping[str, Any], *way: str) -> str | None:
    found = _at(document, *way)
    return found if isinstance(found, str) else None


def _at(value: Any, *way: str) -> Any:
    for step in way:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
