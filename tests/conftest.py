"""The real servers, once per test worker."""

import gc
import json
import os
import shutil
import signal
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.properties import times
from tests.servers import NatsForTests, PostgresForTests

FAULTS = "SAMPAN_FAULTS_FILE"
"""The variable with the file to which `make faults` has written what was told of faults."""
STARTED, LOAD = time.time(), round(os.getloadavg()[0], 1)

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # `make test &`: programs that tests start and interrupt inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No test is timed: machines differ threefold, and other work goes on beside it.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_collection_finish() -> None:
    """What is loaded by now stays: to look through it again and again for rubbish takes a twentieth of all the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


class Telling:
    """Says what tests count as they go: a run that is ended from outside comes to no summary."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._counts: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.when != "call" or terminal is None:
            return
        for what, number in counted(report):
            self._counts[what] += number
            terminal.ensure_newline()
            terminal.write_line(f"so far: {what}: {self._counts[what]}")


def counted(report: pytest.TestReport) -> Iterator[tuple[str, int]]:
    """What a test has counted."""
    for name, value in report.user_properties:
        kind, _, what = name.partition(": ")
        if kind == "count" and isinstance(value, int):
            yield what, value


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # workers have no terminal
        config.pluginmanager.register(Telling(config))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests have told of faults: recovery times, and numbers of schedules and questions."""
    recoveries: dict[str, list[float]] = defaultdict(list)
    counts: Counter[str] = Counter()
    for report in (one for reports in terminalreporter.stats.values() for one in reports):
        if getattr(report, "when", None) == "call":
            for name, value in report.user_properties:
                kind, _, what = name.partition(": ")
                if kind == "recovery":
                    recoveries[what].append(value)
                elif kind == "count":
                    counts[what] += value
    if recoveries or counts:
        terminalreporter.section("faults")
        for what, took in sorted(recoveries.items()):
            terminalreporter.line(f"recovery: {what}: {', '.join(map(str, took))} s")
        for what, number in sorted(counts.items()):
            terminalreporter.line(f"count: {what}: {number}")
    if file := os.environ.get(FAULTS):
        number = {name: len(terminalreporter.stats.get(name, ())) for name in ("passed", "failed", "error", "skipped")}
        taken = {
            "taken": f"{datetime.now(UTC):%Y-%m-%d}",
            "cores": os.cpu_count(),
            "load": LOAD,
            "runs": 1,
            "seconds": round(time.time() - STARTED),
            "tests": number["passed"] + number["failed"],
            "failed": number["failed"] + number["error"],
            "skipped": number["skipped"],
            "recoveries": dict(sorted(recoveries.items())),
            "counts": dict(sorted(counts.items())),
        }
        Path(file).write_text(json.dumps(taken, indent=2) + "\n", encoding="utf-8")


def pytest_report_header() -> str:
    return f"properties: {times():.2g} times their examples"


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder for a server's data; not pytest's own, which PostgreSQL's user cannot enter when root runs the tests."""
    folder = Path(tempfile.mkdtemp(prefix="sampan-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[PostgresForTests]:
    """PostgreSQL with a role and a schema per service."""
    with PostgresForTests(server_folder / "postgres") as server:
        yield server


@pytest.fixture(scope="session")
def migrated_database(postgres: PostgresForTests) -> Iterator[str]:
    """The name of a database that the services' migrations have made: one for all, since each service has a schema of its own."""
    name = postgres.create_migrated_database()
    yield name
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def scratch_database(postgres: PostgresForTests) -> Iterator[str]:
    """The name of one without tables, to be emptied by whoever uses it: to make a database takes longer."""
    name = postgres.create_database()
    yield name
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def nats_server(server_folder: Path) -> Iterator[NatsForTests]:
    """nats-server with JetStream."""
    with NatsForTests(server_folder / "nats") as server:
        yield server
