"""How fast an office may call and anybody may try tokens, on a clock of the test's own."""

import pytest

from shared.limits import BURST_SECONDS, FREE_FAILURES, LONGEST_DELAY, WAITING_LIMIT, FailedLogins, Limits, TooFast
from shared.rosters.books import FILE_LIMIT

NTTI, LAK = "/offices/kh/ntti", "/offices/la/lak"


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_was_saved_up_may_be_spent_at_once_and_overdrawn_by_one(clock: Clock) -> None:
    limits = Limits(requests=1, events=10, clock=clock)
    for _ in range(int(BURST_SECONDS)):
        limits.spend(NTTI, requests=1)
    with pytest.raises(TooFast) as caught:
        limits.spend(NTTI, requests=1)
    assert (caught.value.what, caught.value.seconds) == ("requests", 1)
    limits.spend(NTTI, events=5000)
    with pytest.raises(TooFast) as caught:
        limits.spend(NTTI, events=1)
    assert caught.value.seconds == 401


def test_waiting_as_long_as_was_said_is_enough(clock: Clock) -> None:
    limits = Limits(events=10, clock=clock)
    limits.spend(NTTI, events=1234)
    with pytest.raises(TooFast) as caught:
        limits.spend(NTTI, events=1)
    clock.seconds += caught.value.seconds
    limits.spend(NTTI, events=1)


def test_one_office_does_not_use_up_anothers(clock: Clock) -> None:
    limits = Limits(requests=1, clock=clock)
    limits.spend(NTTI, requests=10_000)
    limits.spend(LAK, requests=1)


def test_what_is_refused_counts_nothing(clock: Clock) -> None:
    limits = Limits(requests=1, events=1, clock=clock)
    limits.spend(NTTI, events=1000)
    for _ in range(1000):
        with pytest.raises(TooFast):
            limits.spend(NTTI, requests=1, events=1)
    limits.spend(NTTI, requests=1)


def test_a_roster_of_twenty_thousand_rows_passes(clock: Clock) -> None:
    limits = Limits(clock=clock)
    for _ in range(40):
        limits.spend(NTTI, requests=1, events=500, size=500 * 2000)


def test_a_spreadsheet_of_twenty_thousand_rows_may_be_looked_at_several_times_and_sent(clock: Clock) -> None:
    limits = Limits(clock=clock)
    for _ in range(6):
        limits.spend(NTTI, requests=1, size=FILE_LIMIT)
        limits.spend(NTTI, events=20_000)


def test_whoever_goes_on_trying_waits_longer_and_longer_and_is_forgiven(clock: Clock) -> None:
    failed = FailedLogins(clock)
    assert {failed.delay("from here", "for ntti") for _ in range(FREE_FAILURES)} == {0}
    delays = [failed.delay("from here", "for ntti") for _ in range(20)]
    assert delays == sorted(delays)
    assert (delays[0] > 0, delays[-1]) == (True, LONGEST_DELAY)
    assert failed.delay("from elsewhere", "for lak") == 0
    assert failed.delay("from elsewhere", "for ntti") > 0
    clock.seconds += 1000
    assert failed.delay("from here", "for ntti") == 0


def test_not_everybody_is_kept_waiting(clock: Clock) -> None:
    failed = FailedLogins(clock)
    for _ in range(FREE_FAILURES):
        failed.delay("from here")
    failed.waiting = WAITING_LIMIT
    with pytest.raises(TooFast):
        failed.delay("from here")


def test_what_is_known_of_origins_is_bounded(clock: Clock) -> None:
    failed = FailedLogins(clock)
    for _ in range(FREE_FAILURES + 5):
        failed.delay("from here")
    for number in range(25_000):
        failed.delay(f"from {number}")
    assert len(failed._origins) <= 10_000
    assert failed.delay("from here") > 0, "those who try most are remembered"
