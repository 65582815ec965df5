"""How long everything took to be well again, told at the end of the run."""

from collections.abc import Callable


class Recoveries:
    """What a test tells of the faults that it injected."""

    def __init__(self, record: Callable[[str, object], None]) -> None:
        self._record = record

    def tell(self, fault: str, seconds: float) -> None:
        """From the fault, or from its end where it lasts, until every service was ready and nothing was missing."""
        self._record(f"recovery: {fault}", round(seconds, 1))

    def count(self, what: str, number: int) -> None:
        """How many of something there were."""
        self._record(f"count: {what}", number)
