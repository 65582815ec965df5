"""One message as the bus hands it to a handler."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.correlation import Way, here_or_new


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message of a stream: `sequence` is its place there, `deliveries` counts from 1 how often it has been handed out."""

    subject: str
    body: bytes
    stream: str
    sequence: int
    deliveries: int
    headers: Mapping[str, str]
    way: Way = field(default_factory=here_or_new, compare=False)
    """On which it came."""
