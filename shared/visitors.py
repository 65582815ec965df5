"""People and programs without a token: what is open to everybody is asked at a bounded rate from each address."""

import math
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Final

from fastapi import Request

from shared.http import Problem
from shared.offices import remote_of

PER_SECOND: Final = 20.0
"""Requests a second from one address, on average: a classroom behind one connection, not somebody who tries out ids."""
SAVED_UP: Final = 200.0
"""Requests that an address may make at once."""
ADDRESSES_LIMIT: Final = 10_000
"""Addresses that are remembered; those that asked least lately are forgotten first."""


class Visitors:
    """How much each address has left; in memory, by each copy of a service for itself."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def open(self, request: Request) -> None:
        """For ``Depends``. Raises ``Problem`` 429 when this address asks too much."""
        self.spend(remote_of(request))

    def spend(self, address: str) -> None:
        """Count one request of an address. Raises ``Problem`` 429, and counts nothing, when it has none left."""
        now = self._clock()
        left, at = self._left.pop(address, (SAVED_UP, now))
        left = min(SAVED_UP, left + PER_SECOND * (now - at))
        allowed = left >= 1
        self._left[address] = (left - 1 if allowed else left, now)
        if len(self._left) > ADDRESSES_LIMIT:
            self._left.popitem(last=False)
        if not allowed:
            seconds = math.ceil((1 - left) / PER_SECOND)
            raise Problem(
                429,
                "too_many",
                f"Too much is asked from your address. Ask again in {seconds} s.",
                {"Retry-After": str(seconds)},
            )
