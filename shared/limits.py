"""How fast an office may call, and how fast anybody may try tokens.

An office has allowances of requests, events and bytes that fill up again at a steady rate. What is left of one may be overdrawn
by one request, so that no single request is ever too large; the next ones wait until the debt is paid. They are kept in
memory, by each copy of a service for itself: they keep one office from slowing the others down, and bill nobody.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

BURST_SECONDS: Final = 100.0
"""How much of its rate an office may have saved up: a month's post comes at once."""
FREE_FAILURES: Final = 50
"""Failed tries of one origin that nobody notices: a wrong token in a program that goes on trying."""
FORGIVEN_SECONDS: Final = 2.0
"""Until one failed try is forgotten."""
LONGEST_DELAY: Final = 10.0
WAITING_LIMIT: Final = 100
"""Failed tries that are kept waiting at a time; more are sent away at once."""
_ORIGINS_LIMIT = 10_000


class TooFast(Exception):
    """More than is allowed; ``seconds`` is after how long it is worth trying again."""

    def __init__(self, what: str, seconds: int) -> None:
        super().__init__(what)
        self.what = what
        self.seconds = seconds


@dataclass(slots=True)
class _Allowance:
    left: float
    at: float


class Limits:
    """The allowances of every office."""

    def __init__(
        self,
        requests: float = 20,
        events: float = 2000,
        size: float = 2 * 1024 * 1024,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Requests, events and bytes a second of one office; ``clock`` tells seconds."""
        self._rates = {"requests": requests, "events": events, "bytes": size}
        self._clock = clock
        self._allowances: dict[tuple[str, str], _Allowance] = {}

    def spend(self, office: str, *, requests: int = 0, events: int = 0, size: int = 0) -> None:
        """Count what an office does. Raises TooFast, and counts nothing, when it has nothing left."""
        now = self._clock()
        amounts = {"requests": requests, "events": events, "bytes": size}
        found = {what: self._allowance(office, what, now) for what, amount in amounts.items() if amount}
        for what, allowance in found.items():
            if allowance.left <= 0:
                raise TooFast(what, math.ceil(-allowance.left / self._rates[what]) + 1)
        for what, allowance in found.items():
            allowance.left -= amounts[what]

    def _allowance(self, office: str, what: str, now: float) -> _Allowance:
        rate = self._rates[what]
        allowance = self._allowances.setdefault((office, what), _Allowance(rate * BURST_SECONDS, now))
        allowance.left = min(rate * BURST_SECONDS, allowance.left + rate * (now - allowance.at))
        allowance.at = now
        return allowance


class FailedLogins:
    """How long to keep whoever brought a bad token waiting, by where they come from and whose token they pretend to have.

    A good token is never kept waiting: it is looked up first, and only what is not found comes here.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._origins: dict[str, _Allowance] = {}
        self.waiting = 0
        """Failed tries that are being kept waiting now."""

    def delay(self, *origins: str) -> float:
        """Count one failure of these origins; the seconds after which to say so. Raises TooFast when too many wait."""
        now = self._clock()
        over = max(self._failures(origin, now) for origin in origins) - FREE_FAILURES
        if over <= 0:
            return 0
        seconds: float = min(0.1 * 2.0 ** min(over, 10), LONGEST_DELAY)
        if self.waiting >= WAITING_LIMIT:
            raise TooFast("failed logins", math.ceil(seconds))
        return seconds

    def _failures(self, origin: str, now: float) -> float:
        if origin not in self._origins and len(self._origins) >= _ORIGINS_LIMIT:
            self._forget(now)
        failures = self._origins.setdefault(origin, _Allowance(0, now))
        failures.left = max(0.0, failures.left - (now - failures.at) / FORGIVEN_SECONDS) + 1
        failures.at = now
        return failures.left

    def _forget(self, now: float) -> None:
        """Those that are forgiven, and if that is none, those with the fewest failures."""
        left = {key: one.left - (now - one.at) / FORGIVEN_SECONDS for key, one in self._origins.items()}
        gone = [key for key, failures in left.items() if failures <= 0]
        for key in gone or sorted(left, key=left.__getitem__)[: _ORIGINS_LIMIT // 2]:
            del self._origins[key]
