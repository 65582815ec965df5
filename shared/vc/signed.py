"""Any document that somebody signed, in either form, told apart and checked the same way."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.vc import form, jwt, proof
from shared.vc.reading import NotReadable, read

_JWT_BEGINS: Final = b"eyJ"


@dataclass(frozen=True, slots=True)
class Presented:
    """A document as it was handed in; whether it is true is not known yet."""

    document: Mapping[str, Any]
    token: str | None = None
    """The whole JWT when it came as one."""

    @property
    def issuer(self) -> str | None:
        """The DID that it names as its issuer."""
        named = self.document.get("issuer")
        named = named.get("id") if isinstance(named, dict) else named
        return named if isinstance(named, str) else None

    def check(self, keys: Mapping[str, bytes]) -> str:
        """The address of the key that signed it. Raises BadProof."""
        if self.token is not None:
            return jwt.check(self.token, keys)[0]
        proof.named(self.document, keys)
        try:
            form.check(self.document)  # before anything of it is understood: that takes longer the odder it is
        except form.OtherForm as error:
            raise proof.BadProof(str(error)) from None
        return proof.check(self.document, keys)


def presented(content: bytes, largest: int) -> Presented:
    """The document in a file of JSON or a JWT. Raises NotReadable."""
    content = content.strip()
    if len(content) > largest:
        raise NotReadable("It is far larger than a credential.")
    token = None
    if content.startswith(_JWT_BEGINS):
        token = content.decode("ascii", errors="replace")
        content = jwt.payload(token)
    document = read(content, largest)
    if not isinstance(document, dict):
        raise NotReadable("It is JSON, and not a credential.")
    return Presented(document, token)
