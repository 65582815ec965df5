"""`sampan public`: which figures anybody may read."""

from typing import Annotated

import typer

from services.commands.options import DATA, HERE, Data, Server, Token, connected

public_app = typer.Typer(no_args_is_help=True, help="Which figures anybody may read, without a token (administrator).")
_PATH = "/v1/publication"
_UNSEEN = "; not in the newest version: made after it, or the figure is another, or it would give others away"


@public_app.command("show", epilog="Example: `sampan public show`")
def show(server: Server = HERE, token: Token = None, data: Data = DATA) -> None:
    """Whether figures are public, by which threshold, the exceptions, and the versions."""
    with connected(server, token, data) as client:
        state = client.get("reporting", _PATH)
    terms = state["terms"]
    print(f"Public figures are {'on' if terms['on'] else 'off'}; counts below {terms['threshold']} are hidden.")
    for one in state["exceptions"]:
        unseen = "" if one["shown"] or not state["versions"] else _UNSEEN
        where = " ".join(filter(None, [one["programme"], one["table"], one["row"]]))
        print(
            f"Exception {one['id']}: {where}, {one['measure']} {one['value']}: {one['reason']} ({one['made_by']}){unseen}"
        )
    for one in state["versions"]:
        back = f"; as before: {', '.join(one['kept_back'])}" if one["kept_back"] else ""
        print(f"Version {one['version']} of {one['released']}, threshold {one['threshold']}{back}")


@public_app.command("on", epilog="Example: `sampan public on --threshold 10`")
def turn_on(
    threshold: Annotated[
        int | None,
        typer.Option(min=3, max=100, help="Counts of fewer people are hidden; without it as it was, 5 at first."),
    ] = None,
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
) -> None:
    """Let anybody read what is released from now on, and what was."""
    with connected(server, token, data) as client:
        threshold = threshold or client.get("reporting", _PATH)["terms"]["threshold"]
        client.change("PUT", "reporting", _PATH, {"on": True, "threshold": threshold})
    print(
        f"Public figures are on; counts below {threshold} are hidden. `sampan public release` makes the next version."
    )


@public_app.command("off", epilog="Example: `sampan public off`")
def turn_off(server: Server = HERE, token: Token = None, data: Data = DATA) -> None:
    """Let nobody read them without a token. Versions stay, for when they are on again."""
    with connected(server, token, data) as client:
        threshold = client.get("reporting", _PATH)["terms"]["threshold"]
        client.change("PUT", "reporting", _PATH, {"on": False, "threshold": threshold})
    print("Public figures are off.")


@public_app.command("release", epilog="Example: `sampan public release`")
def release(server: Server = HERE, token: Token = None, data: Data = DATA) -> None:
    """Make the next version of the public tables: at most one a day."""
    with connected(server, token, data) as client:
        made = client.change("POST", "reporting", f"{_PATH}/release")
    print(f"Version {made['version']} of {made['released']} is public.")
    if made["kept_back"]:
        print(f"With figures as before, because new ones would give somebody away: {', '.join(made['kept_back'])}")


@public_app.command(
    "except",
    epilog="Example: `sampan public except ilo-china-skills sexes enrolled,started,completed,assessed,passed,certified 3 "
    "--row F --reason 'Press release, 13 April 2025'`",
)
def except_(
    programme: str,
    table: str,
    measure: Annotated[str, typer.Argument(help="Or several with commas, if all are the same number.")],
    value: Annotated[int, typer.Argument(min=1, help="What it is: another figure is not released.")],
    reason: Annotated[str, typer.Option(help="Where it is public already.")],
    row: Annotated[str | None, typer.Option(help="Which row of the table; none in that of programmes.")] = None,
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
) -> None:
    """Say that a figure is public already: it is shown from the next version on."""
    said = {"programme": programme, "table": table, "row": row, "value": value, "reason": reason}
    with connected(server, token, data) as client:
        for one in measure.split(","):
            made = client.change("POST", "reporting", f"{_PATH}/exceptions", {**said, "measure": one})
            print(f"Exception {made['id']} is recorded.")


@public_app.command("hide", epilog="Example: `sampan public hide 4`")
def hide(
    exception: Annotated[int, typer.Argument(help="The exception's number, as `sampan public show` says.")],
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
) -> None:
    """End an exception. What was released stays released."""
    with connected(server, token, data) as client:
        client.change("DELETE", "reporting", f"{_PATH}/exceptions/{exception}")
    print(f"Exception {exception} is ended.")
