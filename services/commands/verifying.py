"""`sampan verify` and `sampan trust`: whether a certificate is true, without asking anybody."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from services import logbook
from services.commands.log import look
from services.commands.options import say
from services.verifying import CHECKPOINT, fetch, folder_of, own_folder, read_file, trusted
from shared.vc import contents
from shared.vc.embedding import PDF, PNG
from shared.vc.verdict import Verdict, judge

app = typer.Typer()
Folder = Annotated[
    Path | None,
    typer.Option(
        "--trust",
        envvar="SAMPAN_TRUST",
        help="The folder of issuers' keys and status lists; else one of your own, wherever the command is run.",
    ),
]


@app.command(epilog="Example: `sampan verify certificate.pdf`")
def verify(
    file: Annotated[
        Path | None, typer.Argument(help="A credential: JSON, a JWT, or a PDF or PNG with one of them inside.")
    ] = None,
    trust: Folder = None,
    status: Annotated[
        list[Path] | None, typer.Option("--status", help="A status list that you got otherwise; may be repeated.")
    ] = None,
    fresh: Annotated[
        float, typer.Option("--fresh-hours", min=0, help="How old a status list may be that says `valid`.")
    ] = 24.0,
    log: Annotated[
        str | None, typer.Option(help="Ask the log too: a file with its proof, or the issuer's address as you know it.")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="A checkpoint of the log that you keep elsewhere; else the one that `sampan trust` has kept."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The verdict as JSON.")] = False,
) -> None:
    """Check a certificate offline, against keys and status lists that you got with `sampan trust`.

    Exit 0 if it is valid, 1 for any other verdict. With `--log` alone, and no file, the log itself is compared with the
    checkpoint that you kept. Exit 2 when the log does not fit.
    """
    if file is None:
        look_at_log(log, checkpoint or Path("sampan.checkpoint"))
        return
    content, trust = read_file(file), trust or own_folder()
    verdict = judge(content, trusted(trust, status or []), datetime.now(UTC), timedelta(hours=fresh))
    found = None
    if log is not None and verdict.document is not None:
        found = _in_log(log, checkpoint, trust, content, verdict)
    good = verdict.is_good and (found is None or found.good)
    if as_json:
        print(json.dumps(_fields(verdict, found), ensure_ascii=False, indent=2))
    else:
        if good or not verdict.is_good or found is None:
            print(f"{'KEY COMPROMISED' if verdict.given_up else verdict.word.upper()}: {verdict.sentence}")
        else:
            print(f"NOT AS LOGGED: the signature is good, and the log says otherwise. Do not accept it. {found.said}")
        for line in (*_lines(verdict.document or {}), *_besides(verdict, found, content)):
            print(f"  {line}")
    raise typer.Exit(0 if good else 1)


@app.command("trust", epilog="Example: `sampan trust https://skills.example.org`")
def trust_issuer(
    address: Annotated[str, typer.Argument(help="The issuer's address, from a source that you rely on.")],
    folder: Folder = None,
) -> None:
    """Get an issuer's keys and status lists, and its log's key and checkpoint, to check certificates with.

    Give the address that you know to be the issuer's, not one that stands on a certificate. Run it again for newer lists: the
    log is then compared with the checkpoint of last time. Ends with 2, and keeps all as it was, when the log does not fit.
    """
    with log_differs():
        got = fetch(address, folder or own_folder())
    print(f"{got.did}: keys and {got.lists} status lists are in {got.folder}/.")
    if got.log is not None:
        key = logbook.key_file(got.folder / CHECKPOINT)
        print(
            f"Its log has {got.log.now.size} leaves; its key is in {key}: compare it with one from elsewhere."
            if got.log.kept is None
            else f"Its log has {got.log.now.size} leaves, and still begins with the {got.log.kept.size} of last time."
        )


def look_at_log(address: str | None, checkpoint: Path) -> None:
    """Without a credential: whether the log still begins with what was kept of it."""
    if address is None or not address.startswith(("https://", "http://")):
        raise typer.BadParameter("Give a certificate's file, or with --log the address of the log to be compared.")
    look(address, checkpoint)


class InLog(NamedTuple):
    """Whether the log has a credential as one to be accepted, what it says of it, and whether it is the log that was kept."""

    good: bool
    said: str
    compared: str


def _in_log(place: str, checkpoint: Path | None, trust: Path, content: bytes, verdict: Verdict) -> InLog:
    document, did = verdict.document or {}, (verdict.key or "").partition("#")[0]
    proof = logbook.evidence_at(place, document)
    own = content if content.lstrip()[:1] == b"{" else None  # in another form it has other bytes
    kept = folder_of(did, trust) / CHECKPOINT
    with log_differs():
        good, said, shown = logbook.logged(document, own, proof, checkpoint or kept, logbook.key_file(kept))
        return InLog(good, said, logbook.continues(place, shown, checkpoint or kept, logbook.key_file(kept)))


@contextmanager
def log_differs() -> Iterator[None]:
    """Ends the command with 2, and the sentence, when a log does not fit."""
    try:
        yield
    except logbook.LogDiffers as differs:
        say.print(f"sampan: {differs}", markup=False)
        raise typer.Exit(2) from None


def _fields(verdict: Verdict, found: InLog | None) -> dict[str, Any]:
    return {
        "verdict": verdict.word,
        "reason": verdict.sentence,
        "known_at": None if verdict.known_at is None else verdict.known_at.isoformat(),
        "key": verdict.key,
        "key_compromised": None if verdict.given_up is None else verdict.given_up.isoformat(),
        "credential": verdict.document,
        "log": None if found is None else found._asdict(),
    }


def _besides(verdict: Verdict, found: InLog | None, content: bytes) -> Iterator[str]:
    """What whoever checks should know besides, or do next."""
    if found is not None:
        yield f"{'log':12} {found.said}"
        if found.compared:
            yield f"{'':12} {found.compared}"
    if verdict.document is not None and (content.startswith(PNG) or PDF in content[:1024]):
        yield "These lines are what was signed. The picture itself is not: compare what it shows with them."
    if verdict.word in ("unknown issuer", "status unknown") and verdict.given_up is None:
        yield "`sampan trust ADDRESS` gets keys and lists: from the address as you know it, not from one that stands in the file."


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    """What a credential says, line by line; its signature is good, its form may still be another than ours."""
    said = contents.read(document)
    for name, value in (
        ("says", said.name),
        ("holder", " / ".join(said.names) or None),
        ("awarded by", said.awarding_body),
        ("number", said.number),
        ("ask there", said.look_up),
        ("attested by", said.issuer),
        ("address", said.address),
    ):
        if value is not None:
            # What others wrote comes to a terminal as text, without its control characters.
            yield f"{name:12} {''.join(one if one.isprintable() else ' ' for one in value)}"
