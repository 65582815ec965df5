"""The `sampan` command by itself: where it looks for Sampan, and what ends it."""

import os
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli import app
from services.commands.running import folder_for_now
from services.errors import ClientError

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("port", "address"), [("18001", "http://127.0.0.1:18001"), ("", "http://127.0.0.1:8001")])
def test_given_another_port_when_no_address_is_named_then_it_is_that_of_enrolment_here(port: str, address: str) -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith("SAMPAN_")}
    said = subprocess.run(
        [sys.executable, "-m", "services", "office", "list", "--help"],
        cwd=ROOT,
        env=own | {"SAMPAN_ENROLMENT_PORT": port, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{address}]" in said.stdout


def test_given_ctrl_c_while_the_program_is_loaded_then_it_ends_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Interrupted:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == "services.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "services.cli", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted, *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("services", run_name="__main__")
    assert ended.value.code == 130


@pytest.fixture
def interrupted_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever removes a folder gets Ctrl-C before it is done."""
    remove = shutil.rmtree

    def removes(folder: Path) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        remove(folder)

    monkeypatch.setattr(shutil, "rmtree", removes)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that it ends the test alone
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("interrupted_again")
def test_given_the_demo_is_interrupted_when_it_is_again_then_its_secrets_are_removed_all_the_same() -> None:
    before = signal.getsignal(signal.SIGINT)
    with suppress(KeyboardInterrupt), folder_for_now() as folder:
        (folder / "admin-token").touch()
        raise KeyboardInterrupt
    assert not folder.exists()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("roster.xlsx", "is a spreadsheet, and the demo posts events"), ("empty.ndjson", "holds no event")],
)
def test_given_a_file_without_events_when_the_demo_is_asked_for_it_then_it_says_so_and_starts_nothing(
    name: str, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / name).touch()
    run = CliRunner().invoke(app, ["demo", "--events", str(tmp_path / name)])
    assert isinstance(run.exception, ClientError)
    assert sentence in str(run.exception)
    assert "form that is taken" not in str(run.exception)
