"""From what was taken to figures: medians, ranges, targets, and the ratios that are promised. No I/O."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

SERVICES = ("enrolment", "certification", "reporting")
PEERS = ("eventsourcing", "pgqueuer", "redis streams")
LATENCY_MS, HALF_LOAD_MS, MEMORY_MB, MEMORY_GROWTH = 300, 250, 200, 1.1
ISSUED_A_SECOND, VERIFICATION_MS, REBUILT_TIMES, SHOWN_MS, READ_MS = 300, 10, 2, 1000, 15

Taken = dict[str, Any]
Figure = dict[str, Any]
FULL_SIZE = [10_000, 1_000_000]
"""Of the ratios with a million enrolments; other sizes have other lines."""
FULL_SOAK = 20
"""Minutes: of the ratio and the memory of a soak. A shorter one tells nothing of either, and has other lines."""
VOID, NOT_TAKEN = "void", "not taken"


@dataclass(frozen=True, slots=True)
class Ratio:
    """What it is called in the table, and what it should be."""

    title: str
    at_least: float | None = None
    at_most: float | None = None
    part: str = "rounds"
    """Of what was taken, where it comes from."""


RATIOS = {
    "pipeline_over_bare": Ratio("program / bare loops", at_least=0.5),
    "pipeline_over_floor": Ratio("program / same-stack floor", at_least=10),
    "pipeline_over_eventsourcing": Ratio("program / eventsourcing", at_least=10),
    "post_over_copy": Ratio("POST of 500 events / COPY of 500 rows", at_least=0.05),
    "read_loaded_over_idle": Ratio("reading while taking in / idle, p99", at_most=2),
    "intake_with_readers_over_without": Ratio("intake with live readers / without", at_least=0.9),
    "soak_last_over_first": Ratio("soak, last window / first", at_least=0.9, part="soak"),
    "read_million_over_ten_thousand": Ratio("reading, 1,000,000 / 10,000 enrolments", at_most=1, part="reads"),
    "write_million_over_ten_thousand": Ratio(
        "writing an event, 1,000,000 / 10,000 enrolments", at_most=1.3, part="reads"
    ),
}


def ratios(parts: Taken) -> dict[str, Figure]:
    """Every ratio: of each round by itself, so that what else the machine does weighs on both of its sides.

    A ratio has ``absent`` instead of a median when it was not taken, or when one of its runs is void.
    """
    rounds = parts.get("rounds", {}).get("rounds", [])
    of_rounds = {
        "pipeline_over_bare": [_over(one, "bare") for one in rounds],
        "pipeline_over_floor": [_over(one, "floor") for one in rounds],
        "pipeline_over_eventsourcing": [_over(one, "eventsourcing") for one in rounds],
        "post_over_copy": [_whole(one, lambda it: it["copying"]["post"] / it["copying"]["copy"]) for one in rounds],
        "read_loaded_over_idle": [
            _whole(one, lambda it: it["reading"]["flowing"]["all"]["p99"] / it["reading"]["idle"]["all"]["p99"])
            for one in rounds
        ],
        "intake_with_readers_over_without": [
            _whole(one, lambda it: median(it["readers"]["with"]) / median(it["readers"]["without"])) for one in rounds
        ],
    }
    at_full_size = [one for one in _of(parts, "reads") if one["enrolments"] == FULL_SIZE]
    found: dict[str, list[Any]] = of_rounds | {
        "soak_last_over_first": [
            VOID if _void(soak) else _last_over_first(soak)
            for soak in _of(parts, "soak")
            if soak["minutes"] >= FULL_SOAK
        ],
        "read_million_over_ten_thousand": [one for reads in at_full_size for one in _of_questions(reads)],
        "write_million_over_ten_thousand": [
            median(reads["writing"][str(max(reads["enrolments"]))])
            / median(reads["writing"][str(min(reads["enrolments"]))])
            for reads in at_full_size
        ],
    }
    return {key: _ratio(found[key], ratio) for key, ratio in RATIOS.items()}


def taken_with(parts: Taken) -> dict[str, Taken | None]:
    """Of each ratio that was taken its part, with when, the machine and the version: parts can be of different ones."""
    found = ratios(parts)
    return {
        key: {
            "part": ratio.part,
            "taken": parts[ratio.part]["taken"],
            "machine": parts[ratio.part]["machine"],
            "version": parts[ratio.part]["versions"]["sampan"],
        }
        if "median" in found[key]
        else None
        for key, ratio in RATIOS.items()
    }


def figures(parts: Taken) -> dict[str, Figure]:
    """The ratios first, then everything else that was taken."""
    found = {RATIOS[key].title: figure for key, figure in ratios(parts).items()}
    if rounds := parts.get("rounds", {}).get("rounds", []):
        found |= dict(_of_rounds(rounds))
    for soak in _of(parts, "soak"):
        found |= dict(_of_soak(soak))
    for reads in _of(parts, "reads"):
        found |= dict(_of_reading(reads))
    for remade in _of(parts, "remaking"):
        ratio = remade["rebuilt a second"] / remade["live a second"]
        found["rebuild / live (facts)"] = _one(ratio, at_least=REBUILT_TIMES)
        found |= _times("reading during a rebuild", remade["answers meanwhile"])
    for page in _of(parts, "page"):
        found |= _times("POST to an open dashboard", page["milliseconds"], p99=SHOWN_MS)
    for issuing in _of(parts, "issuing"):
        found["certificates issued and signed (a second)"] = _one(issuing["a second"], at_least=ISSUED_A_SECOND)
        found |= _times("verification of one by the API", issuing["verification"], p50=VERIFICATION_MS)
    return found


def lost_and_doubled(parts: Taken) -> dict[str, int | None]:
    """Of all events and awards of the program's runs, over all rounds and the soak; None when nothing of it was taken."""
    verdicts = [one["verdicts"]["program"] for one in parts.get("rounds", {}).get("rounds", [])]
    verdicts += _of(parts, "soak")
    return {name: sum(one[name] for one in verdicts) if verdicts else None for name in ("lost", "doubled")}


def missed(found: dict[str, Figure]) -> list[str]:
    """A line for every target that was not met, and for every run that is void."""
    return [
        f"{name}: a run is void" if figure.get("absent") == VOID else f"{name}: {figure['median']:g}, {_should(figure)}"
        for name, figure in found.items()
        if figure.get("met") is False or figure.get("absent") == VOID
    ]


def _should(figure: Figure) -> str:
    return f"and it should be {figure['target']}"


def _of(parts: Taken, name: str) -> list[Taken]:
    return [parts[name]] if name in parts else []


def _whole(one: Taken, ratio: Any) -> Any:
    return VOID if one["verdicts"]["program"]["void"] else ratio(one)


def _over(one: Taken, other: str) -> Any:
    """The program's rate over another one's: void with either, None where the other could not be run."""
    if any(one["verdicts"].get(name, {}).get("void") for name in ("program", other)):
        return VOID
    return one["rates"]["program"] / one["rates"][other] if other in one["rates"] else None


def _ratio(values: list[Any], ratio: Ratio) -> Figure:
    if VOID in values:
        return _absent(VOID, ratio)
    taken = [value for value in values if value is not None]
    return _figure(taken, at_least=ratio.at_least, at_most=ratio.at_most) if taken else _absent(NOT_TAKEN, ratio)


def _absent(why: str, ratio: Ratio) -> Figure:
    return {"absent": why, "target": _target(ratio.at_least, ratio.at_most)}


def _of_rounds(rounds: Sequence[Taken]) -> Iterator[tuple[str, Figure]]:
    for name in dict.fromkeys(name for one in rounds for name in (*one["rates"], *one["skipped"])):
        if any(one["verdicts"].get(name, {}).get("void") for one in rounds):
            yield f"{name} (events/s)", {"absent": VOID}
        elif rates := [one["rates"][name] for one in rounds if name in one["rates"]]:
            yield f"{name} (events/s)", _figure(rates)
        else:
            yield f"{name} (events/s)", {"absent": NOT_TAKEN}
    for way in ("post", "copy"):
        title = {"post": "POST of 500 events (events/s)", "copy": "COPY of 500 rows (rows/s)"}[way]
        yield title, _figure([one["copying"][way] for one in rounds])
    for load, limit in (("idle", LATENCY_MS), ("half load", HALF_LOAD_MS)):
        for way in rounds[0]["latency"][load]:
            times = [time for one in rounds for time in one["latency"][load][way]]
            yield from _times(f"POST to report, {load}, by {way}", times, p99=limit).items()
    if loads := [one["half load"] for one in rounds if "half load" in one]:
        yield (
            "half load, posted / half of what the program took",
            _figure([it["reached"] / it["asked"] for it in loads]),
        )
    for name in SERVICES:
        sizes = [one["memory"][name] / 2**20 for one in rounds]
        yield f"{name}, most memory (MB)", _figure(sizes, at_most=MEMORY_MB)
        if checked := [one["memory while checking"][name] / 2**20 for one in rounds if "memory while checking" in one]:
            yield f"{name}, most memory while it checks (MB)", _figure(checked, at_most=MEMORY_MB)


def _void(soak: Taken) -> bool:
    return bool(soak["lost"] or soak["doubled"] or soak.get("differing"))  # of an older one nothing else was looked at


def _last_over_first(soak: Taken) -> float:
    return float(soak["a second"]["last"] / soak["a second"]["first"])


def _of_soak(soak: Taken) -> Iterator[tuple[str, Figure]]:
    whole = soak["minutes"] >= FULL_SOAK
    title = "soak" if whole else f"soak of {soak['minutes']:g} minutes"
    if _void(soak):
        yield f"{title}, events/s", {"absent": VOID}
        return
    yield f"{title}, events/s", _one(soak["events"] / (soak["minutes"] * 60))
    if not whole:
        yield f"{title}, last window / first", _one(_last_over_first(soak))
    for name in SERVICES:
        ratio = soak["memory"][name]["last"] / soak["memory"][name]["first"]
        yield f"{title}, memory of {name}, last / first", _one(ratio, at_most=MEMORY_GROWTH if whole else None)


def _of_questions(reads: Taken) -> list[float]:
    idle = reads["idle"]
    least, most = (idle[str(end(reads["enrolments"]))] for end in (min, max))
    return [most[name]["p50"] / least[name]["p50"] for name in most if name != "all"]


def _of_reading(reads: Taken) -> Iterator[tuple[str, Figure]]:
    least, most = (str(end(reads["enrolments"])) for end in (min, max))
    idle, flowing, spent = reads["idle"][most], reads["flowing"][most], reads["processor"]
    each = _of_questions(reads)
    yield f"reading, {int(most):,} / {int(least):,}, each question", _figure(each)
    yield f"reading, {int(most):,} / {int(least):,}, in processor time", _one(spent[most] / spent[least], at_most=1.5)
    for name, limit in (("p50", None), ("p99", READ_MS)):
        of_each = [times[name] for question, times in idle.items() if question != "all"]
        figure = _one(idle["all"][name], at_most=limit) | {"lowest": min(of_each), "highest": max(of_each)}
        yield f"reading, {int(most):,} enrolments, idle, {name} (ms)", figure
    if bare := reads.get("bare exchange"):
        yield "two bare processes that take as long, p50 (ms)", _one(bare["p50"])
        yield "two bare processes that take as long, p99 (ms)", _one(bare["p99"])
    yield (
        f"reading, {int(most):,} enrolments, while taking in / idle, p99",
        _one(flowing["all"]["p99"] / idle["all"]["p99"], at_most=2),
    )
    for size in (least, most):
        each = [seconds * 1000 for seconds in reads["writing"][size]]
        yield f"writing an event, {int(size):,} enrolments (ms)", _figure(each)


def _times(title: str, times: Sequence[float], **limits: float) -> dict[str, Figure]:
    """p50 and p99 of samples, with the range of all of them."""
    at = quantiles(times, n=100, method="inclusive")
    ends = {"lowest": _rounded(min(times)), "highest": _rounded(max(times))}
    values = (("p50", at[49]), ("p99", at[98]))
    return {f"{title}, {name} (ms)": _one(value, at_most=limits.get(name)) | ends for name, value in values}


def _one(value: float, *, at_least: float | None = None, at_most: float | None = None) -> Figure:
    return _figure([value], at_least=at_least, at_most=at_most)


def _figure(values: Sequence[float], *, at_least: float | None = None, at_most: float | None = None) -> Figure:
    middle = median(values)
    figure: Figure = {
        "median": _rounded(middle),
        "lowest": _rounded(min(values)),
        "highest": _rounded(max(values)),
    }
    if target := _target(at_least, at_most):
        met = middle >= at_least if at_least is not None else middle <= (at_most or 0)
        figure |= {"target": target, "met": met}
    return figure


def _target(at_least: float | None, at_most: float | None) -> str:
    if at_least is not None:
        return f">= {at_least:g}"
    return f"<= {at_most:g}" if at_most is not None else ""


def _rounded(value: float) -> float:
    return round(value, 2) if abs(value) >= 1 else float(f"{value:.2g}")
