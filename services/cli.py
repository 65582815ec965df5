"""The `sampan` command."""

import os
import sys

import typer

from services.commands import (
    backup,
    figures,
    inventing,
    issuer,
    keys,
    log,
    officers,
    offices,
    posting,
    publication,
    running,
    trail,
    upkeep,
    verifying,
)
from services.commands.options import say
from services.errors import ClientError
from services.processes import StandaloneError

app = typer.Typer(
    name="sampan",
    help="Skills programmes across countries: post cohort events, see the same records and figures everywhere.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for room in (running, backup, posting, figures, upkeep, inventing, verifying):
    app.add_typer(room.app)
app.add_typer(offices.office_app, name="office")
app.add_typer(keys.keys_app, name="keys")
app.add_typer(issuer.issuer_app, name="issuer")
app.add_typer(officers.token_app, name="token")
app.add_typer(trail.audit_app, name="audit")
app.add_typer(log.log_app, name="log")
app.add_typer(publication.public_app, name="public")
app.add_typer(upkeep.deadletter_app, name="deadletters")


def main() -> None:
    """Run the command; a user's mistake gets a sentence, never a traceback."""
    try:
        app(prog_name="sampan")
    except (ClientError, StandaloneError) as error:
        say.print(f"sampan: {error}", markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone (`sampan report | head`); there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
