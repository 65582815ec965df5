"""`sampan report`: what it writes nowhere, or says in no language, is refused in the place of being passed over."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli import app
from services.errors import ClientError


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        (["--output", "figures.txt"], "--format csv or xlsx"),
        (["--lang", "km"], "--lang goes with --format csv or xlsx"),
        (["--format", "sdmx", "--lang", "km"], "--lang goes with --format csv or xlsx"),
        (["--format", "csv", "--mapping", "ids.toml"], "--format dhis2"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused_and_says_with_what_it_goes(
    asked: list[str], hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(app, ["report", "--server", "http://127.0.0.1:9", "--token", "t", *asked])
    assert isinstance(run.exception, ClientError)
    assert hint in str(run.exception)
    assert not [*tmp_path.iterdir()]
