"""The page on faults: each with the tests that inject it, and what the last `make faults` took and counted (docs/faults.json)."""

import json
from pathlib import Path
from typing import Any, NamedTuple

TAKEN = Path(__file__).with_name("faults.json")
"""Written by `make faults`."""


class Row(NamedTuple):
    """A fault or a kind of bad input: how it is injected, by which tests (file::test), and how these call their recoveries."""

    what: str
    how: str
    tests: tuple[str, ...]
    told: tuple[str, ...] = ()


FAULTS = (
    Row(
        "a service killed before its commit",
        "PostgreSQL waits within the commit (a deferred trigger of the test's); `kill -9`; the session is ended. Of what came "
        "over HTTP, and of a message that only the broker holds",
        (
            "faults/test_kills.py::test_killed_before_the_commit",
            "faults/test_kills.py::test_killed_before_the_commit_of_a_message",
        ),
        ("killed before the commit",),
    ),
    Row(
        "a service killed after its commit",
        "the same, and PostgreSQL commits for the dead: nobody was answered",
        ("faults/test_kills.py::test_killed_after_the_commit",),
        ("killed after the commit",),
    ),
    Row(
        "a service killed before the ack",
        "a proxy on the way to the broker: `kill -9` at the words of the ack, which never arrive",
        ("faults/test_kills.py::test_killed_before_the_ack",),
        ("killed before the ack",),
    ),
    Row(
        "a service killed before publishing",
        "the same at the first words of the publishing",
        ("faults/test_kills.py::test_killed_before_publishing",),
        ("killed before publishing",),
    ),
    Row(
        "a service killed while it replaces a certificate",
        "`kill -9` at every statement and commit of it",
        (
            "integration/chain/test_killed_while_replacing.py::test_a_process_killed_at_any_statement_leaves_one_good_certificate",
        ),
    ),
    Row(
        "broker, database and services killed many times under load",
        "`kill -9` of one to three at once, twenty times, while events are posted",
        (
            "faults/test_outages.py::test_everything_is_killed_many_times_under_load",
            "faults/test_outages.py::test_broker_and_database_go_and_come_in_any_order",
            "faults/test_outages.py::test_services_that_start_before_broker_and_database",
        ),
        ("everything killed",),
    ),
    Row(
        "database sessions ended",
        "the server restarted in order; sessions terminated",
        ("faults/test_outages.py::test_sessions_that_the_database_ends_are_made_anew",),
        ("sessions ended",),
    ),
    Row(
        "streams and consumers deleted, a consumer paused",
        "JetStream's interface",
        (
            "faults/test_watch.py::test_consumers_deleted",
            "faults/test_watch.py::test_streams_deleted",
            "faults/test_watch.py::test_a_silent_stall",
        ),
        ("deleted", "consumer paused"),
    ),
    Row(
        "power loss",
        "ext4 in a loop-mounted file, `EXT4_IOC_SHUTDOWN` without the log, `kill -9`, remounted: under load, and with "
        "acknowledged messages in the intake (needs root)",
        ("faults/test_disks.py::test_a_power_loss",),
        ("a power loss",),
    ),
    Row(
        "a full disk",
        "a small tmpfs under broker and database, filled to the last byte (needs root)",
        ("faults/test_disks.py::test_a_full_disk",),
        ("a full disk",),
    ),
    Row(
        "fsync fails",
        "`strace` makes every fsync of the database, or of the broker, fail with EIO (needs root and strace)",
        (
            "faults/test_disks.py::test_a_database_whose_disk_fails_to_sync",
            "faults/test_disks.py::test_a_broker_whose_disk_fails_to_sync",
        ),
        ("disk failed to sync",),
    ),
    Row(
        "a flipped bit in a stream's files",
        "in the middle of a block, the broker stopped or killed before: messages are lost by it, and the stream is made whole "
        "from the journal",
        (
            "faults/test_disks.py::test_a_flipped_bit_in_a_streams_files",
            "integration/bus/test_facts.py::test_facts_that_are_gone_are_waited_for_until_their_owner_brings_them_back",
        ),
        ("a flipped bit",),
    ),
    Row(
        "a process paused",
        "SIGSTOP: longer than `ack_wait` in the middle of a commit; a leader, whose place another takes; the database",
        (
            "faults/test_pauses.py::test_a_service_that_is_paused_for_longer_than_the_broker_waits",
            "faults/test_pauses.py::test_a_leader_that_is_paused_loses_its_place_and_wakes_up_harmless",
            "faults/test_pauses.py::test_a_holder_that_is_paused_in_the_middle_of_an_answer_loses_its_lock_too",
            "faults/test_pauses.py::test_a_database_that_hangs_is_said_in_time",
        ),
        ("paused for longer",),
    ),
    Row(
        "partitions and half-open connections",
        "a proxy on each service's way to broker and database: connections hang, break, come and go",
        (
            "faults/test_partitions.py::test_a_broker_that_is_half_open",
            "faults/test_partitions.py::test_a_database_that_is_half_open",
            "faults/test_partitions.py::test_connections_that_break_and_cannot_be_made_anew",
            "faults/test_partitions.py::test_connections_that_come_and_go_under_load",
        ),
        ("half open", "cut off", "came and went"),
    ),
    Row(
        "poison: an event or a fact that always fails",
        "a trigger that raises for it: neighbours are not held up, and it is a dead letter until it is replayed",
        (
            "faults/test_contention.py::test_a_message_that_always_fails_becomes_a_dead_letter_alone",
            "faults/test_contention.py::test_a_fact_that_always_fails_holds_up_nothing_for_long_and_is_missed_by_the_check",
        ),
        ("always fails",),
    ),
    Row(
        "deadlock, serialization failure",
        "a real deadlock that the service loses; SQLSTATE 40001 and 40P01, three times and for ever; two posts in opposite "
        "order, both held until they wait",
        (
            "faults/test_contention.py::test_a_deadlock_that_a_service_loses_is_done_again",
            "faults/test_contention.py::test_a_conflict_of_transactions_is_done_again",
            "faults/test_contention.py::test_a_conflict_that_never_ends_is_said_and_costs_nobody_else",
            "faults/test_contention.py::test_two_that_name_the_same_things_in_opposite_order_never_meet",
        ),
    ),
    Row(
        "an older backup of either store",
        "the folder of an earlier moment put back: of the broker, and of the database with and without the newer one",
        (
            "faults/test_backups.py::test_an_older_backup_of_the_broker",
            "faults/test_backups.py::test_an_older_backup_of_the_database",
        ),
        ("an older backup",),
    ),
    Row(
        "any of it together, in any order",
        "schedules from a seed: a broker, a network and a clock that reorder, double, delay, drop and crash, on PostgreSQL",
        ("faults/simulated/test_schedules.py::test_schedules_come_to_the_same_end",),
    ),
)

INPUT = (
    Row(
        "not JSON, NaN, deep nesting, keys twice, BOM, bad UTF-8, NUL",
        "HTTP and NATS; beside good events; any bytes",
        (
            "faults/test_bad_input.py::test_bodies_that_cannot_be_read",
            "faults/test_bad_input.py::test_a_bad_event_costs_its_neighbours_nothing",
            "faults/test_bad_input.py::test_the_same_over_nats_is_a_receipt_or_a_dead_letter",
            "unit/events/test_wire.py::test_any_bytes_are_read_or_refused",
        ),
    ),
    Row(
        "too large, a gzip bomb, a million events",
        "memory is compared before and after",
        ("faults/test_bad_input.py::test_bodies_that_cannot_be_read",),
    ),
    Row(
        "the same id, other content",
        "rejected, the first stays, both are kept",
        (
            "faults/test_bad_input.py::test_a_bad_event_costs_its_neighbours_nothing",
            "integration/enrolment/test_handlers.py::test_an_id_that_is_used_again_for_something_else",
        ),
    ),
    Row(
        "country in body, subject and credential differ",
        "HTTP and NATS",
        (
            "faults/test_other_countries.py::test_nothing_is_said_in_another_countrys_name",
            "integration/bus/test_rights.py::test_no_office_reaches_anothers_subjects",
        ),
    ),
    Row(
        "subject tokens with `.` `*` `>`, spaces, CR LF",
        "as codes of offices, and in sources",
        (
            "faults/test_bad_input.py::test_subjects_that_are_none_are_not_taken",
            "faults/test_bad_input.py::test_a_bad_event_costs_its_neighbours_nothing",
        ),
    ),
    Row(
        "names in other scripts, overrides, zero width, 10,000 characters",
        "round-trip or a clear limit",
        ("unit/events/test_texts.py::test_a_name_round_trips", "unit/events/test_texts.py::test_no_name"),
    ),
    Row(
        "year 2569, year 0, no offset, leap day, a date to come",
        "each with its own code",
        (
            "unit/events/test_envelope.py::test_no_time",
            "unit/events/test_envelope.py::test_no_day",
            "faults/test_bad_input.py::test_a_bad_event_costs_its_neighbours_nothing",
        ),
    ),
    Row(
        "unknown type or version, overflow, huge numbers",
        "rejected, never coerced",
        (
            "unit/events/test_envelope.py::test_an_unknown_type",
            "unit/events/test_envelope.py::test_an_unknown_version",
            "unit/events/test_envelope.py::test_nothing_is_coerced",
            "faults/test_bad_input.py::test_a_bad_event_costs_its_neighbours_nothing",
        ),
    ),
    Row(
        "formulas in spreadsheets, HTML or SQL in names",
        "as titles of cohorts: in answers, on pages of the desk and the dashboard; any text in a CSV",
        (
            "faults/test_bad_input.py::test_markup_and_statements_in_names_are_inert",
            "unit/reporting/test_formats.py::test_no_text_is_a_formula",
        ),
    ),
    Row(
        "a partly bad batch",
        "one receipt per event, safe to send again",
        ("faults/test_bad_input.py::test_a_bad_event_costs_its_neighbours_nothing",),
    ),
    Row(
        "whatever an address's OpenAPI allows, and what it does not",
        "schemathesis on every address of every service",
        ("faults/test_bad_input.py::test_every_address_answers_whatever_it_is_asked",),
    ),
    Row(
        "bodies near good ones",
        "bytes of good events and facts changed, put in, left out",
        (
            "faults/test_bad_input.py::test_many_bodies_near_good_ones",
            "faults/test_decoders.py::test_a_fact_is_read_or_becomes_a_dead_letter",
            "faults/test_decoders.py::test_an_event_is_read_or_refused",
        ),
    ),
    Row(
        "another country's ids and credentials",
        "every address of every service, asked by an office of each role of another country",
        (
            "faults/test_other_countries.py::test_nothing_is_told_of_another_countrys_records",
            "integration/bus/test_rights.py::test_an_office_does_nothing_but_post_read_and_ack",
        ),
    ),
)


def page(note: str) -> str:
    """The page, with what was taken last."""
    taken: dict[str, Any] = json.loads(TAKEN.read_text(encoding="utf-8"))
    parts = [
        "# Faults",
        note,
        "What is done to the running program, by `make faults`: the services, the broker and the database are processes, and "
        "the fault is a real one. Under load, offices' events come all the while: cohort after cohort, from the announcement "
        "to the certificates, at both services. After each fault: nothing that was acknowledged is lost or done twice, "
        "`sampan check` finds nothing, and nobody has two certificates of one award on the same day. While a server is away, "
        "does not answer or cannot keep anything, and while a service is dead, readiness says so; what is over within a moment "
        "it may never have seen. "
        "`make test` has a short form of most, "
        "`make long` nearly all of it.",
        f"Last taken {taken['taken']} on {taken['cores']} cores (load {taken['load']} before it): {taken['tests']} tests in "
        f"{taken['seconds'] / 60:.0f} minutes, {taken['failed']} failed, {taken['skipped']} skipped"
        + (f" (put together from {taken['runs']} runs of some of them)." if taken["runs"] > 1 else "."),
        "## Faults and recoveries",
        "Seconds from the fault, or from its end where it lasts, until every service was ready and nothing was missing; a "
        "service that was killed is started by the test, and its start is in the time.",
        _faults(taken["recoveries"]),
        "Not injected here: two versions of one service at the same time.",
        "## Bad input",
        _table(("input", "how", "held by"), [(row.what, row.how, _held_by(row)) for row in INPUT]),
        "## Counted",
        _table(("what", "number"), [(what, f"{number:,}") for what, number in sorted(taken["counts"].items())]),
    ]
    return "\n\n".join(parts) + "\n"


def _faults(recoveries: dict[str, list[float]]) -> str:
    rows = []
    for row in FAULTS:
        took = [
            seconds for name, all_ in recoveries.items() if any(told in name for told in row.told) for seconds in all_
        ]
        span = f"{min(took)} to {max(took)} s ({len(took)})" if len(took) > 1 else f"{took[0]} s" if took else "-"
        rows.append((row.what, row.how, _held_by(row), span))
    return _table(("fault", "how", "held by", "recovery (times)"), rows)


def _held_by(row: Row) -> str:
    return "<br>".join(f"`{test}`" for test in row.tests)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
