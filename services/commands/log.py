"""`sampan log`: the transparency log, as somebody outside sees it."""

import os
from pathlib import Path
from typing import Annotated

import typer

from services import logbook
from services.commands.options import say
from services.errors import ClientError
from shared.evidence import LONGEST

log_app = typer.Typer(
    no_args_is_help=True, help="The transparency log: keep a checkpoint, and see later whether the log still fits it."
)
Kept = Annotated[
    Path, typer.Option("--checkpoint", help="The file that you keep; the log's key is kept beside it, in FILE.key.")
]


@log_app.command(
    "look", epilog="Example: `sampan log look https://certificates.example.org --checkpoint ilo-china.checkpoint`"
)
def look(
    address: Annotated[str, typer.Argument(help="Where the installation is that issues the certificates.")],
    checkpoint: Kept = Path("sampan.checkpoint"),
    every_leaf: Annotated[
        bool | None,
        typer.Option(
            "--every-leaf/--no-leaf",
            help=f"Read every leaf too, and see whether they give what was signed; unasked up to {logbook.FEW_LEAVES:,}.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[bool, typer.Option(help="Keep the newer checkpoint when all is well.")] = True,
) -> None:
    """Compare a log with the checkpoint that you kept, and keep the newer one. The first time there is nothing to compare.

    Ends with 2 when the log does not fit: something in it is not as it was. Then your file is left as it is.
    """
    ask = logbook.asking(address)
    try:
        seen = logbook.look(ask, checkpoint, every_leaf=every_leaf)
        if keep:
            logbook.keep(ask, seen, checkpoint)
    except logbook.LogDiffers as differs:
        say.print(f"sampan: {differs}", markup=False)
        raise typer.Exit(2) from None
    except OSError as error:
        raise ClientError(f"{checkpoint} cannot be written: {os.strerror(error.errno or 0)}.") from None
    if seen.kept is None:
        print(f"The log has {seen.now.size} leaves. There was nothing to compare it with yet.")
        if keep:
            print(f"Kept in {checkpoint} and {logbook.key_file(checkpoint)}. Compare the key with one from elsewhere.")
    else:
        print(f"The log has {seen.now.size} leaves, and still begins with the {seen.kept.size} of your checkpoint.")
    print(
        "Every leaf was read: they give what was signed."
        if seen.whole
        else "Its leaves were not read: one that was edited is found when it is proved to somebody, or with `--every-leaf`."
    )


@log_app.command("prove", epilog="Example: `sampan log prove proof.json --checkpoint ilo-china.checkpoint`")
def prove(
    file: Annotated[Path, typer.Argument(help="What the log says of a certificate, as its public page gives it.")],
    checkpoint: Kept = Path("sampan.checkpoint"),
) -> None:
    """Check what the log says of a certificate, without asking anybody. Ends with 2 when the proof is not good."""
    try:
        with file.open("rb") as opened:
            body = opened.read(LONGEST + 1)
        shown, statements = logbook.evidence_of(body, checkpoint)
    except logbook.LogDiffers as differs:
        say.print(f"sampan: {differs}", markup=False)
        raise typer.Exit(2) from None
    except OSError as error:
        raise ClientError(f"{file} cannot be read: {os.strerror(error.errno or 0)}.") from None
    for said in statements:
        since = "" if said.on is None else f" from {said.on}"
        print(f"{said.certificate} {said.status}{since}, document {said.digest or 'none'}")
    print(
        f"All of it is in the log of {shown.size} leaves that {shown.origin} signed. What came later is not in this proof."
    )
