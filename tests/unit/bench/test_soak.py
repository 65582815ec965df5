"""A soak is judged by what must come of the events that were answered, row by row, and not by totals."""

from collections import Counter

from bench.judge import Held, Row
from bench.soak import judged
from bench.supply import Supply

COHORT = 20
ANSWERED = [body for post in Supply("soak-0", COHORT).anew(5) for body in post.events]
"""A cohort from end to end, and one of which nobody has completed yet."""


def as_it_must_be() -> Held:
    """Counted from how the cohorts are made: nobody withdraws, everybody passes, and who has completed is certified."""
    about = [("soak-0-000000", COHORT), ("soak-0-000001", 0)]
    numbers = [f"{number:03d}" for number in range(1, COHORT + 1)]
    journal = ["programme", "centre", "scheme"]
    ids = [f"bench-latency-{name}" for name in journal]
    for cohort, finished in about:
        ids += [f"{cohort}-announced", *(f"{cohort}-{what}-{n}" for what in ("enrolled", "assessed") for n in numbers)]
        ids += [f"{cohort}-started", *(f"{cohort}-completed-{n}" for n in numbers)] if finished else []
    certificates: Counter[Row] = Counter()
    aggregates: Counter[Row] = Counter()
    for number in numbers:
        certificates["soak-0-000000", number, "bench-on-pass", "one", "one", "2025-09-10", None] += 1
    for cohort, finished in about:
        aggregates += Counter({(name, "2025-09", "KH", cohort): COHORT for name in ("enrolled", "passed")})
        aggregates += Counter({(name, "2025-09", "KH", cohort): finished for name in ("completed", "certified")})
    return Held(Counter(("/offices/cn/bench", one) for one in ids), certificates, aggregates)


def test_a_soak_of_which_everything_is_there_is_not_void() -> None:
    assert judged(ANSWERED, as_it_must_be()).differing == []


def test_completions_that_came_to_no_certificate_are_lost_though_the_report_agrees_with_the_certificates() -> None:
    held = as_it_must_be()
    lost = [row for row in held.certificates if str(row[1]).endswith("7")]
    for row in lost:
        del held.certificates[row]
        held.aggregates["certified", "2025-09", "KH", row[0]] -= 1
    verdict = judged(ANSWERED, held)
    assert (verdict.void, verdict.lost, verdict.doubled) == (True, len(lost), 0)


def test_enrolments_that_no_figure_counts_void_a_soak_in_which_nothing_is_lost() -> None:
    held = as_it_must_be()
    held.aggregates["enrolled", "2025-09", "KH", "soak-0-000001"] -= 2
    verdict = judged(ANSWERED, held)
    assert (verdict.void, verdict.lost, verdict.doubled) == (True, 0, 0)


def test_what_is_lost_and_what_is_there_twice_do_not_cancel_each_other() -> None:
    held = as_it_must_be()
    held.journal["/offices/cn/bench", "soak-0-000000-enrolled-003"] = 0
    held.journal["/offices/cn/bench", "soak-0-000000-enrolled-004"] = 2
    first, second, *_ = list(held.certificates)
    held.certificates[first], held.certificates[second] = 0, 2
    verdict = judged(ANSWERED, held)
    assert (verdict.lost, verdict.doubled) == (2, 2)
