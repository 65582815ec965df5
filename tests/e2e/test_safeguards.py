"""Safeguards as an administrator and an officer meet them: offline bundles, tokens renewed, the audit trail's heads."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import EXAMPLE, Program
from tests.e2e.test_program import eventually
from tests.e2e.test_upkeep import in_database

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.long]


def said_by(program: Program, *arguments: str | Path) -> str:
    ran = program.run(*arguments)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def token_of(sheet: str) -> str:
    return next(word for word in sheet.split() if word.startswith("sampan_"))


def event(id_: str, type_: str, **data: Any) -> str:
    fields = {"specversion": "1.0", "id": id_, "source": "/offices/la/weeks", "type": type_}
    return json.dumps({**fields, "time": "2026-03-02T09:00:00+07:00", "data": data})


def test_events_signed_offline_are_taken_from_a_courier_at_both_services(example: Program, tmp_path: Path) -> None:
    creds = tmp_path / "weeks.creds"
    roles = ("--role", "sending-office", "--role", "host-centre", "--role", "coordinator", "--role", "awarding-body")
    said_by(example, "office", "add", "la/weeks", "--name", "Far away", *roles, "--credentials", creds)
    courier = token_of(said_by(example, "office", "add", "la/courier", "--name", "Courier", "--role", "reader"))
    scheme = {
        "scheme": "lao-skills",
        "titles": {"en": "Lao skills"},
        "awarding_body": {"en": "Far away"},
        "occupations": [{"occupation": "electrician", "titles": {"en": "Electrician"}}],
        "levels": [{"level": "junior", "titles": {"en": "Junior"}}],
        "rule": "by_awarding_body",
        "completion_required": True,
    }
    centre = {"centre": "far-away", "country": "LA", "kind": "training-institute", "names": {"en": "Far away"}}
    events = tmp_path / "events.ndjson"
    events.write_text(
        f"{event('c', 'centre.registered.v1', **centre)}\n{event('s', 'scheme.registered.v1', **scheme)}\n"
    )
    bundle = tmp_path / "bundle.ndjson"
    assert "2 events added" in said_by(example, "post", events, "--offline", bundle, "--credentials", creds).replace(
        "\n", " "
    )

    def as_courier() -> str:
        ran = example.run("post", bundle, "--token", courier)
        return ran.stdout

    # Certification hears of the office's key from enrolment.
    eventually(lambda: "2 events" in as_courier() and "rejected" not in as_courier(), "the bundle is not taken", 30)
    assert "2 events: 2 duplicate" in as_courier()
    listed = said_by(example, "audit", "list", "--service", "certification", "--action", "bundle.brought")
    assert "/offices/la/courier" in listed


def test_tokens_and_credentials_are_renewed_and_one_officer_is_revoked(example: Program, tmp_path: Path) -> None:
    add = ("office", "add", "mm/renew", "--name", "Renewed", "--role", "sending-office", "--officer")
    first, other = token_of(said_by(example, *add, "desk-1")), token_of(said_by(example, *add, "desk-2"))
    own = token_of(said_by(example, "token", "rotate", "--token", first))
    given = token_of(said_by(example, "office", "rotate", "mm/renew", "--officer", "desk-1", "--overlap", "1"))
    assert len({first, own, given}) == 3
    creds = tmp_path / "renewed.creds"
    assert "desk-1" in said_by(example, "office", "credentials", "mm/renew", "--officer", "desk-1", "--file", creds)
    assert "BEGIN USER NKEY SEED" in creds.read_text()
    file = tmp_path / "none.ndjson"
    file.write_text("")
    said_by(example, "office", "revoke", "mm/renew", "--officer", "desk-1")
    for token, good in ((first, False), (own, False), (given, False), (other, True)):
        listed = example.run("post", EXAMPLE, "--token", token)
        assert ("not known, or was revoked" in listed.stderr) is not good


def test_a_trail_that_was_put_back_is_found_by_the_heads_that_were_written_down(
    example: Program, tmp_path: Path
) -> None:
    heads = tmp_path / "heads"
    for table in ("audit", "audit_head"):
        in_database(example, "enrolment", f"CREATE TABLE then_{table} AS TABLE {table}")
    said_by(example, "office", "revoke", "mm/renew")
    said_by(example, "check", "--heads", heads)
    assert heads.read_text().split()[::3] == ["enrolment", "certification", "reporting"]
    assert said_by(example, "audit", "head") == heads.read_text()
    said_by(example, "check", "--heads", heads)
    for table in ("audit", "audit_head"):  # as it was, whole: nothing in it says that something came after
        in_database(example, "enrolment", f"TRUNCATE {table}", f"INSERT INTO {table} TABLE then_{table}")
    assert example.run("check").returncode == 0
    found = example.run("check", "--heads", heads)
    assert found.returncode == 1
    assert "enrolment: audit trail" in found.stdout
    assert "is not what it was when its head was written down" in found.stdout
