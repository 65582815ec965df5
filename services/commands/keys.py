"""`sampan keys`: the keys of personal details."""

import typer

from services.commands.options import DATA, HERE, Data, Server, Token, connected

keys_app = typer.Typer(no_args_is_help=True, help="The keys of personal details (administrator).")
ROTATE_SECONDS = 3600.0
"""Every key that there is gets wrapped anew."""


@keys_app.callback()
def keys() -> None:
    """The keys of personal details (administrator)."""


@keys_app.command("rotate", epilog="Example: `sampan keys rotate`")
def keys_rotate(server: Server = HERE, token: Token = None, data: Data = DATA) -> None:
    """Make a new master key and wrap the key of every enrolment under it; the old one is deleted when none needs it.

    Events go on meanwhile. If this is interrupted, nothing is lost: run it again.
    """
    with connected(server, token, data) as client:
        wrapped = client.post("enrolment", "/v1/keys/rotate", timeout=ROTATE_SECONDS)["wrapped"]
    print(f"{wrapped} keys are wrapped under a new master key; no other is in use any more.")
