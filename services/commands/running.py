"""`sampan up` and `sampan demo`: the whole program on this machine."""

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Annotated

import typer

from services import demo as demonstration
from services.client import Client
from services.commands.options import DATA, Data, say, say_indented
from services.errors import ClientError
from services.eventfiles import read_events
from services.printing import print_demo
from services.restoring import refuse_unfinished
from services.rosters import SUFFIXES
from services.standalone import INTERRUPTS, Standalone

app = typer.Typer()


@app.command(epilog="Example: `sampan up --data /var/lib/sampan`")
def up(data: Data = DATA) -> None:
    """Run the whole program on this machine until Ctrl-C; a second start carries on with the same data."""
    refuse_unfinished(data)
    with Standalone(data, say=say.print) as sampan, suppress(KeyboardInterrupt):  # from here on, Ctrl-C is how it ends
        _say_addresses(sampan)
        _say_whether_it_issues(sampan)
        _stay_up(sampan, "Stop it with Ctrl-C.")


@app.command(epilog="Example: `sampan demo --once --json`")
def demo(
    once: Annotated[bool, typer.Option("--once", help="Show the report and end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON on standard output.")] = False,
    events: Annotated[Path, typer.Option(help="Another file of events, in any order.")] = demonstration.EXAMPLE,
) -> None:
    """Start on a fresh folder, post the first cohort's events as its offices would, and show the report."""
    if events.suffix.lower() in SUFFIXES:
        raise ClientError(
            f"{events} is a spreadsheet, and the demo posts events: give it .ndjson (one to a line) or .json. A roster is posted "
            "with `sampan post` to a Sampan that runs."
        )
    lines = read_events(events)
    if not lines:
        raise ClientError(f"{events} holds no event: there is nothing to show.")
    here = {"SAMPAN_PUBLIC_URL": "http://127.0.0.1", **os.environ}  # documents say that only this machine reaches it
    with folder_for_now() as folder, Standalone(folder, here, say.print) as sampan:
        say.print(f"Sampan runs; {len(lines)} events of {events.name} are posted by their offices:")
        with Client(sampan.urls["enrolment"], sampan.admin_token, meanwhile=sampan.look) as client:
            counts = demonstration.post_as_offices(client, lines, say_indented)
            say.print("Receipts: " + ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) + ".")
            if not demonstration.say_what_is_open(client, say_indented):
                say.print("By now nothing waits: every service has heard what it needed.")
            report = demonstration.every_measure(client)
        with nullcontext() if once else suppress(KeyboardInterrupt):  # from the report on, Ctrl-C is how it ends
            if as_json:
                print(json.dumps(report, ensure_ascii=False), flush=True)
            else:
                print_demo(report)
            if not once:
                _say_addresses(sampan)
                _say_where_certificates_are(sampan)
                _stay_up(sampan, "Stop it with Ctrl-C; the demo's data are removed then.")


@contextmanager
def folder_for_now() -> Iterator[Path]:
    """A folder that is removed at the end, whatever interrupts: there are secrets in it."""
    folder = Path(tempfile.mkdtemp(prefix="sampan-demo-"))
    try:
        yield folder
    finally:
        before = {number: signal.signal(number, signal.SIG_IGN) for number in INTERRUPTS}
        shutil.rmtree(folder)
        for number, handler in before.items():
            signal.signal(number, handler)


def _stay_up(sampan: Standalone, until: str) -> None:
    say.print(until)
    sampan.wait()
    say.print("Stopping ...")


def _say_addresses(sampan: Standalone) -> None:
    say.print(
        f"Sampan runs, with its data in {sampan.folder}:\n"
        f"  enrolment      {sampan.urls['enrolment']}\n"
        f"  certification  {sampan.urls['certification']}\n"
        f"  reporting      {sampan.urls['reporting']}   (open it in a browser)\n"
        f"  NATS           {sampan.nats.url}\n"
        f"The administrator's token is in {sampan.folder / 'admin-token'}; the page in the browser asks for it.",
        markup=False,
    )


def _say_where_certificates_are(sampan: Standalone) -> None:
    """What to look at next: one certificate, as its holder and as a stranger sees it."""
    with Client(sampan.urls["enrolment"], sampan.admin_token, meanwhile=sampan.look) as client:
        certificate = demonstration.attested(client)
    if certificate is None:
        say.print("No certificate is attested to so far; `sampan issuer status` says why.")
        return
    public, desk = sampan.issuing_at, sampan.urls["certification"]
    say.print(
        "Certificates, attested to for this machine only. Anybody may look at, without a token:\n"
        f"  one of them    {public}/c/{certificate['attestation']['public_id']}\n"
        f"  number, name   {public}/check\n"
        "With the administrator's token:\n"
        f"  on paper       {desk}/v1/certificates/{certificate['certificate']}/document.pdf\n"
        f"  all, and marks {desk}/cohorts/{certificate['cohort']}   (open it in a browser)\n"
        "What offices can do with them: docs/certificates.md",
        markup=False,
    )


def _say_whether_it_issues(sampan: Standalone) -> None:
    if sampan.issuing_at:
        say.print(f"Certificates are attested to, and can be checked by anybody at {sampan.issuing_at}.", markup=False)
    else:
        say.print(
            "Certificates are recorded, and nothing is issued that others can check: set SAMPAN_PUBLIC_URL to where this "
            "machine can be reached, and start again."
        )
