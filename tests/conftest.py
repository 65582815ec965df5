"""The real servers, once per test worker."""

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.properties import times
from tests.servers import NatsForTests, PostgresForTests

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # `make test &`: programs that tests start and interrupt inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests have told of faults: recovery times, and numbers of schedules and questions."""
    told = [
        (name, value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name.startswith(("recovery: ", "count: "))
    ]
    if told:
        terminalreporter.section("faults")
        for name, value in sorted(told):
            terminalreporter.line(f"{name}: {value} s" if name.startswith("recovery") else f"{name}: {value}")


def pytest_report_header() -> str:
    return f"properties: {times()} times their examples"


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
def nats_server(server_folder: Path) -> Iterator[NatsForTests]:
    """nats-server with JetStream."""
    with NatsForTests(server_folder / "nats") as server:
        yield server
