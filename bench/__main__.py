"""`python -m bench`: rounds of the program, the bare loops and the floor, one after the other; a table and bench/results.json."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.bare import bare
from bench.floor import floor
from bench.following import following
from bench.issuing import issuing
from bench.latency import latency
from bench.load import Load, load
from bench.machine import machine, versions
from bench.program import Program, Watch, ports, settings
from bench.reads import reads
from bench.remaking import remaking
from bench.table import figures_of, missed, show, summary, write_page
from services.standalone import Standalone

RESULTS = Path(__file__).parent / "results.json"
EVENTS_OF_A_PAGE = 2000
"""So many are in the figures of the open dashboard before the first is added."""
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def main() -> None:
    """Take all rounds, print the table, write the file; exit 1 when a target is missed."""
    options = _options()
    if options.only_issuing:
        taken = issuing(options.issuing)
        _keep(options.output, json.loads(options.output.read_text()) | {"issuing": taken})
        return
    if options.only_reads:
        options.reads = options.reads or [10_000, 1_000_000]
        _keep(options.output, json.loads(options.output.read_text()) | {"reads": _reading(options)})
        return
    given = load(options.events, options.single)
    rounds = []
    for number in range(1, options.rounds + 1):
        _say(f"round {number} of {options.rounds}")
        rounds.append(_round(given, options))
        _say(json.dumps(rounds[-1]["rates"]))
    figures = summary(rounds)
    results = {
        "taken": _now(),
        "machine": machine(),
        "versions": versions(),
        "load": {"events": given.events, "posts": len(given.posts), "offices": len(given.offices)},
        "summary": figures,
        "rounds": rounds,
    }
    if options.issuing:
        _say("certificates")
        results["issuing"] = issuing(options.issuing)
    if options.reads:
        results["reads"] = _reading(options)
    misses = missed(figures_of(results))
    if options.output.exists():  # figures of reading say themselves when they were taken
        earlier = json.loads(options.output.read_text())
        results = {name: earlier[name] for name in ("reads",) if name in earlier} | results
    _keep(options.output, results)
    if misses:
        sys.exit("Missed:\n" + "\n".join(f"  {miss}" for miss in misses))


def _keep(output: Path, results: dict[str, Any]) -> None:
    output.write_text(json.dumps(results, indent=2) + "\n")
    if output == RESULTS:
        write_page(PAGE, results)
    show(results)


def _reading(options: argparse.Namespace) -> dict[str, Any]:
    before = os.getloadavg()[0]
    given = load(options.rebuilt, 0)
    taken: dict[str, Any] = {"taken": _now(), "enrolments": sorted(options.reads)}
    _say("a rebuild")
    taken["remaking"] = remaking(given)
    _say("an open dashboard")
    taken["page"] = following(load(EVENTS_OF_A_PAGE, 0), options.samples)
    taken |= reads(options.reads)
    return taken | {"load average": {"before": before, "after": os.getloadavg()[0]}}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _round(given: Load, options: argparse.Namespace) -> dict[str, Any]:
    before = os.getloadavg()[0]
    taken: dict[str, Any] = {"rates": {}}
    rates = taken["rates"]
    with tempfile.TemporaryDirectory(prefix="sampan-bench-") as folder, Standalone(Path(folder), ports()) as sampan:
        program = Program(sampan, given)
        taken["settings"] = settings(sampan)
        with Watch(sampan) as watch:
            _say("the program, posts over HTTP")
            rates["program"] = given.events / program.take_over_http(given)
        taken["processor seconds"] = {name: round(spent, 1) for name, spent in watch.seconds.items()}
        moved = program.moved()
        taken["facts"] = {stream: len(facts) for stream, facts in moved.facts.items()}
        taken["rows written"] = moved.rows_written
        taken["of them further rows"] = {service: len(rows) for service, rows in moved.further.items()}
        with Watch(sampan) as one_by_one:
            _say("the program, one event a POST")
            rates["program, one event a POST"] = len(given.further) / program.take_one_by_one(given.further)
            _say("idle latency")
            taken["latency"] = latency(program, options.samples)
            program.check()  # a check takes memory too
        taken["memory"] = {name: max(most, one_by_one.memory[name]) for name, most in watch.memory.items()}
        for service in sampan.services:
            service.stop()  # what is bare has the machine, the broker and the database to itself
        _say("bare loops")
        taken["bare seconds"] = asyncio.run(bare(sampan, given, moved))
        rates["bare"] = given.events / sum(taken["bare seconds"].values())
        _say("the floor")
        prefix = [event for post in given.posts for event in post.events][: options.floor]
        rates["floor"] = len(prefix) / asyncio.run(floor(sampan, prefix))
    if options.nats:
        with tempfile.TemporaryDirectory(prefix="sampan-bench-") as folder, Standalone(Path(folder), ports()) as sampan:
            _say("the program, over NATS")
            program = Program(sampan, given)
            rates["program, over NATS"] = given.events / program.take_over_nats(given)
            program.check()
    taken["load average"] = {"before": before, "after": os.getloadavg()[0]}
    return taken


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--events", type=int, default=50_000, help="events of the load (default: 50000)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--floor", type=int, default=2000, help="events of the floor: it is slow")
    parser.add_argument("--single", type=int, default=200, help="events posted one by one: that is slow too")
    parser.add_argument("--samples", type=int, default=40, help="events for the latency, of each kind, in each round")
    parser.add_argument("--nats", action="store_true", help="also with the posts as messages on INTAKE")
    parser.add_argument("--issuing", type=int, default=10_000, help="certificates to issue at the end (0: none)")
    parser.add_argument("--only-issuing", action="store_true", help="nothing but that; the rest stays as it was taken")
    parser.add_argument(
        "--reads",
        type=int,
        nargs="*",
        metavar="ENROLMENTS",
        default=[],
        help="read figures with so many enrolments each time (with --only-reads: 10000 1000000 unless others are given)",
    )
    parser.add_argument("--rebuilt", type=int, default=20_000, help="events of the rebuild (default: 20000)")
    parser.add_argument("--only-reads", action="store_true", help="nothing but reading; the rest stays as it was taken")
    parser.add_argument("--output", type=Path, default=RESULTS)
    return parser.parse_args()


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


if __name__ == "__main__":
    main()
