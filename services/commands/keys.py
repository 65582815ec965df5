"""`sampan keys`: the keys of personal details, and the one with which backups are opened."""

import typer

from services import recovery
from services.commands.options import DATA, HERE, Data, Server, Token, connected, say

keys_app = typer.Typer(no_args_is_help=True, help="The keys of personal details, and the recovery key (administrator).")
ROTATE_SECONDS = 3600.0
"""Every key that there is gets wrapped anew."""


@keys_app.command("rotate", epilog="Example: `sampan keys rotate`")
def keys_rotate(server: Server = HERE, token: Token = None, data: Data = DATA) -> None:
    """Make a new master key and wrap the key of every enrolment under it; the old one is deleted when none needs it.

    Events go on meanwhile. If this is interrupted, nothing is lost: run it again.
    """
    with connected(server, token, data) as client:
        wrapped = client.post("enrolment", "/v1/keys/rotate", timeout=ROTATE_SECONDS)["wrapped"]
    print(f"{wrapped} keys are wrapped under a new master key; no other is in use any more.")


@keys_app.command("recovery", epilog="Example: `sampan keys recovery --data /var/lib/sampan`")
def keys_recovery(data: Data = DATA) -> None:
    """Make the recovery key, with which backups are opened, and print it, this once.

    Keep it on paper or in a safe, and not on this machine: Sampan keeps its public half only.
    """
    key = recovery.make(data / "secrets")
    say.print(
        "The recovery key. It is kept nowhere: write it down now, and keep it away from this machine and its backups."
    )
    print(key)
