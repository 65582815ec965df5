"""Who attests: the operator of this installation, known by the address at which it can be asked."""

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

LOCAL = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Operator:
    """``url`` is certification's public address; ``name`` is the operator's, as documents show it."""

    url: str
    name: str

    @classmethod
    def at(cls, url: str, name: str) -> "Operator":
        """Of an address as somebody wrote it."""
        return cls(url.rstrip("/"), name)

    @property
    def did(self) -> str:
        """Its identifier (did:web): whoever has it finds the document with the keys."""
        parts = urlsplit(self.url)
        path = [quote(part, safe="") for part in parts.path.split("/") if part]
        return ":".join(["did", "web", quote(parts.netloc, safe=""), *path])

    @property
    def host(self) -> str:
        """Its address without the scheme: what the log is called."""
        return self.url.split("://", 1)[-1]

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it: a demonstration, which documents say."""
        return (urlsplit(self.url).hostname or "") in LOCAL

    def page(self, public_id: str) -> str:
        """The page on which anybody sees how a certificate stands."""
        return f"{self.url}/c/{public_id}"

    def credential(self, public_id: str) -> str:
        """The signed document."""
        return f"{self.url}/v1/credentials/{public_id}"

    def status_list(self, number: int) -> str:
        """The signed list of bits."""
        return f"{self.url}/v1/status/{number}"

    def number_of(self, address: str) -> int | None:
        """The number of one of its lists; None for an address of something else."""
        found = re.fullmatch(f"{re.escape(self.url)}/v1/status/([1-9][0-9]{{0,5}})", address)
        return int(found[1]) if found else None
