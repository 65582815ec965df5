"""Whoever asks without a token: how fast one address may, and nothing else is known of them."""

import logging
from typing import Final

from fastapi import Request

from shared.http import Problem
from shared.limits import BURST_SECONDS, Limits, TooFast
from shared.offices import remote_of

log = logging.getLogger(__name__)

REQUESTS_PER_SECOND: Final = 2.0
"""Of one address on average; a hundred seconds' worth may come at once: a classroom behind one address."""
ADDRESSES: Final = 10_000
"""Addresses that are counted at a time; when there are more all begin anew, so memory has an end."""


class Visitors:
    """The allowances of addresses, in memory."""

    def __init__(self, requests: float = REQUESTS_PER_SECOND) -> None:
        """``requests`` a second of one address, of which it may have saved up ``BURST_SECONDS``."""
        self._requests = requests
        self._seen: set[str] = set()
        self._limits = Limits(requests)

    async def open(self, request: Request) -> None:
        """Let a visitor in. Raises ``Problem`` 429 when their address asks too fast."""
        remote = remote_of(request)
        if len(self._seen) >= ADDRESSES and remote not in self._seen:
            self._seen, self._limits = set(), Limits(self._requests)
        self._seen.add(remote)
        try:
            self._limits.spend(remote, requests=1)
        except TooFast as fast:
            log.warning("a visitor asks too fast: more than %.0f at a time", self._requests * BURST_SECONDS)
            raise Problem(
                429,
                "too_many",
                f"Too much was asked from your address in a short time. Try again in {fast.seconds} s.",
                {"Retry-After": str(fast.seconds)},
            ) from None
