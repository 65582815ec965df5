"""`python -m bench`: the program beside bare loops and its peers, and what takes long; a table and bench/results.json."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.dataset import EVENTS
from bench.figures import figures, lost_and_doubled, missed, ratios, taken_with
from bench.following import following
from bench.issuing import issuing
from bench.load import load
from bench.machine import machine, versions
from bench.reads import reads
from bench.remaking import remaking
from bench.rounds import Sizes, rounds, say
from bench.soak import soak
from bench.table import PARTS, show, write_page

RESULTS = Path(__file__).parent / "results.json"
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
EVENTS_OF_A_PAGE = 2000
"""So many are in the figures of the open dashboard before the first is added."""


def main() -> None:
    """Take the parts that are asked for, write the file after each, print the table; exit 1 when a target is missed."""
    options = _options()
    parts = json.loads(options.output.read_text()).get("parts", {}) if options.output.exists() else {}
    ways = _ways(options)
    results: dict[str, Any] = {}
    for name in options.parts:
        say(PARTS[name])
        before, began = os.getloadavg()[0], time.monotonic()
        parts[name] = {
            "taken": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": machine(),
            "versions": versions(),
            **ways[name](),
            "seconds": round(time.monotonic() - began),
            "load average": {"before": before, "after": os.getloadavg()[0]},
        }
        results = _results(parts)
        options.output.write_text(json.dumps(results, indent=2) + "\n")
        if options.output == RESULTS:
            write_page(PAGE, results)
    show(results)
    if misses := missed(figures({name: parts[name] for name in options.parts})):
        sys.exit("Missed:\n" + "\n".join(f"  {miss}" for miss in misses))


def _results(parts: dict[str, Any]) -> dict[str, Any]:
    newest = max(parts.values(), key=lambda part: str(part["taken"]))
    taken_rounds = parts.get("rounds", {}).get("rounds", [])
    return {
        "taken": newest["taken"],
        "machine": newest["machine"],
        "versions": newest["versions"],
        "settings": taken_rounds[0]["settings"] if taken_rounds else None,
        "ratios": {name: figure.get("median") for name, figure in ratios(parts).items()},
        "ratios taken with": taken_with(parts),
        **lost_and_doubled(parts),
        "load average": {name: part["load average"] for name, part in parts.items()},
        "figures": figures(parts),
        "parts": parts,
    }


def _ways(options: argparse.Namespace) -> dict[str, Callable[[], dict[str, Any]]]:
    sizes = Sizes(
        events=options.events,
        prefix=min(options.prefix, options.events),
        floor=min(options.floor, options.events),
        single=options.single,
        samples=options.samples,
        readers=options.readers,
        reader_cohorts=options.reader_cohorts,
        posts=options.posts,
    )
    return {
        "rounds": lambda: rounds(options.rounds, sizes),
        "soak": lambda: soak(options.soak),
        "reads": lambda: reads(options.reads, options.samples),
        "remaking": lambda: remaking(load(options.rebuilt, 0)),
        "page": lambda: {"milliseconds": following(load(EVENTS_OF_A_PAGE, 0), options.samples)},
        "issuing": lambda: issuing(options.issuing),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to take; the rest stays as it was taken"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=EVENTS, help="events of the data set")
    parser.add_argument("--prefix", type=int, default=20_000, help="of these, what each peer takes in")
    parser.add_argument("--floor", type=int, default=2000, help="of these, what the same-stack floor takes in")
    parser.add_argument("--single", type=int, default=200, help="events posted one by one")
    parser.add_argument("--samples", type=int, default=40, help="of each latency, and of each question")
    parser.add_argument("--readers", type=int, default=500, help="who follow the figures at a time")
    parser.add_argument("--reader-cohorts", type=int, default=12, help="of 302 events, taken in beside readers")
    parser.add_argument("--posts", type=int, default=10, help="of 500 events, beside COPY")
    parser.add_argument("--soak", type=float, default=20, metavar="MINUTES")
    parser.add_argument(
        "--reads", type=int, nargs=2, default=[10_000, 1_000_000], metavar="ENROLMENTS", help="read and written with"
    )
    parser.add_argument("--rebuilt", type=int, default=20_000, help="events of the rebuild")
    parser.add_argument("--issuing", type=int, default=10_000, help="certificates to be issued")
    parser.add_argument("--output", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
