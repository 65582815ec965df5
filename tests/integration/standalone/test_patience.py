"""How long `sampan up` waits for its parts, and that it does not lose patience with one that gets on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from services import standalone
from services.processes import Part, StandaloneError
from services.standalone import Service, Standalone

DAY = 24 * 3600


class Clock:
    """Time that passes while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(standalone, "time", clock)
    return clock


class OnAFullDisk(Part):
    """A part that cannot be started."""

    def start(self) -> None:
        raise StandaloneError("No space left on device")


class Rebuilding(Service):
    """A service that says this until it is ready."""

    def __init__(self, log: Path, says: Callable[[], str | None]) -> None:
        super().__init__("reporting", 1, log, {})
        self._says = says

    @property
    def alive(self) -> bool:
        return True

    def unready(self) -> str | None:
        return self._says()


def test_given_a_part_that_cannot_be_started_for_days_then_it_is_tried_again_every_half_minute(
    clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watched = standalone._Watched(OnAFullDisk("PostgreSQL", tmp_path / "log"))
    ends = clock.now + DAY
    while clock.now < ends:
        watched.look()
        clock.sleep(5)
    said = capsys.readouterr().err.splitlines()
    assert len(said) > 2 * DAY / 30 / 2.5
    assert "could not be started again: No space left on device; starting it in 30 s" in said[-1]


def until_ready(says: Callable[[], str | None], folder: Path) -> None:
    sampan = Standalone(folder, {})
    sampan.services = [Rebuilding(folder / "log", says)]
    sampan._until_ready()


def test_given_a_service_that_makes_its_rows_anew_then_it_is_waited_for_as_long_as_that_goes_on(
    clock: Clock, tmp_path: Path
) -> None:
    began = clock.now

    def says() -> str | None:
        heard = int(clock.now - began) // 60  # slowly
        return f"503 rebuilding: ENROLMENT is heard up to {heard} of 30" if heard < 30 else None

    until_ready(says, tmp_path)
    assert clock.now - began >= 1800


def test_given_a_service_before_a_gap_in_a_stream_then_it_is_waited_for_until_the_owner_has_come_to_it(
    clock: Clock, tmp_path: Path
) -> None:
    began = clock.now

    def says() -> str | None:
        gone = "503 ENROLMENT waits: its message 812 is gone, and it is to be made anew"
        return gone if clock.now - began < 1800 else None

    until_ready(says, tmp_path)
    assert clock.now - began >= 1800


@pytest.mark.parametrize(
    "problem", ["rebuilding: ENROLMENT is heard up to 5 of 30", "what is being handled has not moved for {now:.0f} s"]
)
def test_given_a_service_that_does_not_get_on_then_it_is_given_up_and_its_reason_is_said(
    problem: str, clock: Clock, tmp_path: Path
) -> None:
    began = clock.now
    with pytest.raises(StandaloneError, match=r"reporting is not ready after 90 s: 503 "):
        until_ready(lambda: f"503 {problem.format(now=clock.now)}", tmp_path)
    assert clock.now - began < 100
