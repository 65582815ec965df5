"""Everything is lost but the backups, and comes back, but for the forgotten; and data of an earlier version are taken over."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.backups import DATA, PERSON_KEYS, SECRETS, Server
from services.client import Client
from services.embedded import EmbeddedPostgres
from services.processes import write_whole
from tests.e2e.conftest import EXAMPLE, ROOT, Program, environment, on_this_machine, sampan
from tests.e2e.inside import inside
from tests.e2e.test_certificates import Wuxi
from tests.e2e.test_forgetting import COHORT, NUMBER, details_of, the_person
from tests.e2e.test_program import eventually, totals
from tests.upgrade.freeze import DUMP
from tests.upgrade.freeze import SECRETS as SECRETS_OF_THEN

pytestmark = [on_this_machine, pytest.mark.long, pytest.mark.timeout(600), pytest.mark.xdist_group("backup")]

FORGET: dict[str, Any] = {
    "specversion": "1.0",
    "id": "forget-1",
    "source": "/offices/kh/dgtvet",
    "type": "person.forgotten.v1",
    "time": "2025-12-01T09:00:00+07:00",
    "data": {"cohort": COHORT, "number": NUMBER, "decided_by": "desk-1", "reason": "own-request"},
}
CENTRE: dict[str, Any] = {
    "specversion": "1.0",
    "id": "centre-after",
    "source": "/offices/kh/dgtvet",
    "type": "centre.registered.v1",
    "time": "2026-03-02T09:00:00+07:00",
    "data": {"centre": "after", "country": "KH", "kind": "training-institute", "names": {"en": "After"}},
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where everything is; not pytest's own folder, which PostgreSQL's user cannot enter when root runs the tests."""
    made = Path(tempfile.mkdtemp(prefix="sampan-backup-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def post(program: Program, folder: Path, *events: dict[str, Any]) -> None:
    file = folder / "events.ndjson"
    file.write_text("\n".join(json.dumps(event) for event in events))
    program.post(file)


def as_administrator(program: Program) -> Client:
    return Client(program.url("enrolment"), program.token)


def addresses(wuxi: Wuxi) -> dict[str, str]:
    """Where anybody looks at the certificates of whoever is not forgotten."""
    attested = wuxi.attested().items()
    return {place: one["attestation"]["public_id"] for place, one in attested if not place.startswith(NUMBER)}


def backed_up(program: Program, backups: Path) -> Path:
    """The backup that was made; of a program that runs."""
    before = set(backups.glob("*Z"))
    done = program.run("backup", backups, "--data", program.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    [made] = set(backups.glob("*Z")) - before
    return made


def test_given_everything_is_lost_then_a_restore_brings_back_all_but_the_forgotten(folder: Path) -> None:
    backups, key = folder / "backups", folder / "recovery-key"
    env = environment()
    env["SAMPAN_CERTIFICATION_URL"] = f"http://127.0.0.1:{env['SAMPAN_CERTIFICATION_PORT']}"
    program = Program(folder / "data", env)
    program.start()
    post_all = program.run("post", EXAMPLE)
    assert post_all.returncode == 0, post_all.stdout + post_all.stderr
    eventually(lambda: totals(program)["certified"] == 9, "the report never showed nine certificates")
    refused = program.run("backup", backups, "--data", program.folder)
    assert (refused.returncode, "sampan keys recovery" in refused.stderr) == (1, True), refused.stderr
    made = program.run("keys", "recovery", "--data", program.folder)
    key.write_text(made.stdout)

    with as_administrator(program) as administrator:
        wuxi = Wuxi(program, administrator)
        eventually(lambda: len(wuxi.attested()) == 9, "the nine certificates were never attested to")
        attested = addresses(wuxi)
        kept_by_holder = wuxi.document(attested["001/1"])
        issuer = wuxi.public.get("/.well-known/did.json").content
        figures = totals(program)
        older = backed_up(program, backups)

        # What nobody will know any more, but that somebody was to be forgotten.
        post(program, folder, FORGET, CENTRE)
        eventually(lambda: datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ") > older.name, "the clock stands still")
        backed_up(program, backups)
        post(program, folder, {**CENTRE, "id": "centre-lost", "data": {**CENTRE["data"], "centre": "lost"}})
    for name in (DATA, SECRETS):
        for detail in details_of(the_person()):
            assert detail.encode() not in (older / name).read_bytes()
    assert program.stop() == 0
    shutil.rmtree(program.folder)

    again = sampan("restore", older, "--data", program.folder, "--recovery-key", key)
    restored = subprocess.run(again, cwd=ROOT, env=env, text=True, capture_output=True, timeout=300, check=False)
    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert "1 enrolments that were forgotten since are forgotten again" in restored.stdout

    program.start()
    checked = program.run("check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert totals(program) == figures
    tables = inside(program).tables()
    for detail in details_of(the_person()):
        assert not [place for place, text in tables.items() if detail in text]
    admin = program.admin
    trainees = httpx.get(f"{program.url('enrolment')}/v1/cohorts/{COHORT}/trainees", headers=admin).text
    assert details_of(the_person())[1] not in trainees
    assert '"names"' in trainees, "the others have their names"
    # Who comes back, and who is new, is told in a new epoch; what offices had posted since, they post again.
    post(program, folder, CENTRE)
    assert '""epoch"":2,' in inside(program).tables()["enrolment.outbox"]
    with as_administrator(program) as administrator:
        wuxi = Wuxi(program, administrator)
        assert wuxi.public.get("/.well-known/did.json").content == issuer
        eventually(lambda: wuxi.verdict(kept_by_holder) == "valid", "what a holder has is not good any more")
        assert addresses(wuxi) == attested
    assert program.stop() == 0


def test_given_data_of_an_earlier_version_then_they_are_taken_over(folder: Path) -> None:
    data = folder / "data"
    data.mkdir(mode=0o711)
    (data / "secrets").mkdir(mode=0o700)
    for name, secret in json.loads(SECRETS_OF_THEN.read_text()).items():
        write_whole(data / "secrets" / name, secret + "\n", 0o600)
    dump = folder / "earlier.dump"
    shutil.copy(DUMP, dump)
    with EmbeddedPostgres(data / "postgres") as postgres:
        Server.of(postgres).run("pg_restore", "--exit-on-error", "--clean", "--if-exists", "--dbname=sampan", str(dump))
    program = Program(data)
    program.start()
    eventually(lambda: totals(program)["certified"] == 9, "the figures were never made anew")
    assert totals(program)["completed"] == 9
    checked = program.run("check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    # They are what they were: the same events again are known, and somebody can be forgotten who came then.
    again = program.run("post", EXAMPLE)
    assert "86 events: 86 duplicate" in again.stdout, again.stdout
    post(program, folder, FORGET)
    assert program.run("check").returncode == 0
    # And they can be backed up, also when nothing runs.
    assert program.run("keys", "recovery", "--data", data).returncode == 0
    assert program.stop() == 0
    assert (backed_up(program, folder / "backups").parent / PERSON_KEYS).exists()
