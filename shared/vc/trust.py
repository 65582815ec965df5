"""What whoever checks a credential holds to be true, got from where they chose themselves: issuers' keys, and lists of a date."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from shared.vc import moments, status
from shared.vc.keys import NotAKey, given_up_of, keys_of
from shared.vc.proof import BadProof
from shared.vc.reading import NotReadable, read
from shared.vc.signed import presented

LARGEST_LIST: Final = 12_000_000
LARGEST_DOCUMENT: Final = 200_000


class NotTrusted(ValueError):
    """Something that cannot be relied on; the message is for a person."""


@dataclass(frozen=True, slots=True)
class StatusList:
    """A list that its issuer signed, as it stood at a moment."""

    id: str
    issuer: str
    purpose: str
    at: datetime
    bits: bytes


@dataclass(frozen=True, slots=True)
class Trust:
    """Issuers' keys by DID, and the newest known list of each address and purpose."""

    keys: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    lists: Mapping[tuple[str, str], StatusList] = field(default_factory=dict)
    given_up: Mapping[str, datetime] = field(default_factory=dict)
    """Keys that their issuers declared compromised, by whole address: since when."""

    def with_issuer(self, content: bytes) -> "Trust":
        """With the keys of a DID document, which whoever asks got from the issuer's own address. Raises NotTrusted."""
        try:
            document = read(content, LARGEST_DOCUMENT)
            did, keys = keys_of(document)
        except (NotAKey, NotReadable) as error:
            raise NotTrusted(f"This is not an issuer's DID document: {error}.") from None
        return replace(self, keys={**self.keys, did: keys}, given_up={**self.given_up, **given_up_of(document)})

    def with_list(self, content: bytes) -> "Trust":
        """With a status list, if one of the known issuers signed it; an older one changes nothing. Raises NotTrusted."""
        found = self._read_list(content)
        place = (found.id, found.purpose)
        known = self.lists.get(place)
        newest = found if known is None or known.at <= found.at else known
        return replace(self, lists={**self.lists, place: newest})

    def with_lists(self, contents: Iterable[bytes]) -> "Trust":
        """With several. Raises NotTrusted."""
        trust = self
        for content in contents:
            trust = trust.with_list(content)
        return trust

    def _read_list(self, content: bytes) -> StatusList:
        try:
            document = presented(content, LARGEST_LIST)
            issuer = document.issuer or ""
            if issuer not in self.keys:
                raise NotTrusted("This status list is from somebody who is not among the known issuers.")
            document.check(self.keys[issuer])
            return _list(document.document, issuer)
        except (BadProof, NotReadable) as error:
            raise NotTrusted(f"This is not a status list that its issuer signed: {error}") from None
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, NotTrusted):
                raise
            raise NotTrusted("This is not a status list, or not a whole one.") from None


def _list(document: Mapping[str, Any], issuer: str) -> StatusList:
    subject = document["credentialSubject"]
    if "BitstringStatusListCredential" not in document["type"] or subject["type"] != "BitstringStatusList":
        raise NotTrusted("This is signed, and is not a status list.")
    return StatusList(
        id=str(document["id"]),
        issuer=issuer,
        purpose=str(subject["statusPurpose"]),
        at=moments.read(document["validFrom"]),
        bits=status.decode(subject["encodedList"]),
    )
