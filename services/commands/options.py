"""What several commands share: the options for where Sampan is and who calls, and where they say things."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console

from services.client import Client
from services.errors import ClientError
from services.processes import read_secret
from services.standalone import PORTS

say = Console(stderr=True, highlight=False, soft_wrap=True)

DATA = Path("data")
Data = Annotated[
    Path, typer.Option("--data", envvar="SAMPAN_DATA", help="The folder that `sampan up` keeps everything in.")
]
Server = Annotated[
    str, typer.Option("--server", envvar="SAMPAN_SERVER", help="Address of any of the services, here or elsewhere.")
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token", envvar="SAMPAN_TOKEN", help="Your office's token. Without it: the administrator's, from --data."
    ),
]
_PORT, _USUAL = PORTS["enrolment"]
HERE = f"http://127.0.0.1:{os.environ.get(_PORT) or _USUAL}"
"""Where `sampan up` of this environment has enrolment."""


@contextmanager
def connected(server: str, token: str | None, data: Path) -> Iterator[Client]:
    if token is None:
        # This machine's administrator is nobody's business elsewhere: the token goes nowhere else by itself.
        if urlsplit(server).hostname not in {"127.0.0.1", "localhost", "::1"}:
            raise ClientError(f"Give your token for {server} with --token or SAMPAN_TOKEN.")
        try:
            token = read_secret(data / "admin-token")
        except OSError:
            raise ClientError(
                f"Give your office's token with --token or SAMPAN_TOKEN; or say with --data or SAMPAN_DATA where `sampan up` has "
                f"its data (there is no administrator's token in {data}/)."
            ) from None
    if not token.isascii() or not token.isprintable():
        raise ClientError("The token holds characters that no token has. Copy it again from the hand-over sheet.")
    with Client(server, token) as client:
        yield client


def say_indented(text: str) -> None:
    say.print(f"  {text}", markup=False)
