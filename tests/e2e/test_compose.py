"""The containers of docker-compose.yml: what is in them, what they may do, and what survives when one of them goes.

They run when SAMPAN_E2E_SERVER names the stack that was started from this folder (docs/operations.md says how).
"""

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from services.backups import DATA, open_backup
from tests.e2e.conftest import ELSEWHERE, EXAMPLE, ROOT, Program, environment, sampan
from tests.e2e.containers import DOCKER, compose, containers, docker, kill, sql
from tests.e2e.test_program import PLANTED, eventually, totals

SERVICES = ("enrolment", "certification", "reporting")
LONG_RUNNING = (*SERVICES, "nats", "postgres", "door")

pytestmark = [
    pytest.mark.xdist_group("e2e"),
    pytest.mark.skipif(ELSEWHERE is None or DOCKER is None, reason="needs the containers"),
    pytest.mark.timeout(600),
]


def healthy() -> bool:
    return all(
        container["State"]["Health"]["Status"] == "healthy"
        if container["State"]["Running"]
        else container["State"]["ExitCode"] == 0
        for container in containers()
    )


def stop_and_start(service: str) -> None:
    compose("stop", service)
    compose("start", service)


@contextmanager
def posting(program: Program, events: Path) -> Iterator[None]:
    """Post a file at least until the end of the block, and until it is taken; sending twice is safe."""
    enough = threading.Event()
    said: list[subprocess.CompletedProcess[str]] = []

    def post() -> None:
        while not (enough.is_set() and said and said[-1].returncode == 0) and len(said) < 100:
            said.append(program.run("post", events))

    poster = threading.Thread(target=post)
    poster.start()
    try:
        yield
    finally:
        enough.set()
        poster.join()
    assert said[-1].returncode == 0, said[-1].stdout + said[-1].stderr


def test_given_the_stack_when_its_containers_are_inspected_then_none_may_do_more_than_it_must() -> None:
    for container in containers():
        host = container["HostConfig"]
        assert container["Config"]["User"] in {"10001:10001", "postgres"}, container["Name"]
        assert host["ReadonlyRootfs"], container["Name"]
        assert host["CapDrop"] == ["ALL"], container["Name"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"], container["Name"]
        assert host["LogConfig"]["Config"]["max-size"], container["Name"]
        for ports in (host["PortBindings"] or {}).values():
            assert {binding["HostIp"] for binding in ports} == {"127.0.0.1"}, container["Name"]
        if container["State"]["Running"]:
            processes = docker("top", container["Id"], "-eo", "uid,pid").splitlines()[1:]
            assert {line.split()[0] for line in processes} <= {"10001", "70"}, container["Name"]


@pytest.mark.parametrize("service", SERVICES)
def test_given_an_image_when_its_files_are_listed_then_it_holds_its_own_service_and_shared_only(service: str) -> None:
    def listed(*arguments: str) -> set[str]:
        return set(docker("run", "--rm", "--entrypoint", "find", f"sampan-{service}", *arguments).split())

    assert listed("/app", "-mindepth", "1", "-maxdepth", "1") == {
        "/app/services",
        "/app/shared",
        "/app/alembic.ini",
        "/app/requirements-services.txt",
    }
    inside = listed("/app/services", "-mindepth", "1", "-maxdepth", "1", "-not", "-name", "__pycache__")
    assert inside == {f"/app/services/{service}", "/app/services/__init__.py"}
    assert not listed("/usr", "/opt", "-name", "nats-server", "-o", "-name", "initdb")


def test_given_the_stack_when_environments_and_logs_are_read_then_no_secret_is_in_them(program: Program) -> None:
    seen = json.dumps(containers()) + compose("logs")
    secrets = [program.token, compose("exec", "-T", "enrolment", "cat", "/run/sampan/secret").strip()]
    passwords = [compose("exec", "-T", service, "cat", "/run/sampan/pgpass") for service in SERVICES]
    secrets += [line.strip().rpartition(":")[2] for line in passwords]
    brokers = [compose("exec", "-T", service, "cat", "/run/sampan/nats.creds") for service in SERVICES]
    brokers.append(compose("exec", "-T", "enrolment", "cat", "/run/sampan/nats-authority"))
    secrets += [seed for text in brokers for seed in re.findall(r"S[A-Z2-7]{57}(?![A-Z2-7])", text)]
    assert len(secrets) == 11  # the authority holds three
    assert [secret for secret in secrets if secret in seen] == []


def test_given_the_example_when_database_and_logs_are_searched_then_no_personal_detail_is_found(
    program: Program,
) -> None:
    program.run("post", EXAMPLE)
    mine = "ilo-china-skills"
    eventually(lambda: totals(program, programme=mine)["certified"] == 9, "the report never showed nine certificates")

    seen = compose("exec", "-T", "postgres", "pg_dump", "--username=postgres", "sampan") + compose("logs")

    assert "wuxi-2025-spring" in seen
    assert [detail for detail in PLANTED if detail in seen] == []


@pytest.mark.parametrize("service", SERVICES)
def test_given_a_services_role_when_its_rights_are_asked_then_it_may_use_its_own_schema_only(service: str) -> None:
    may = "has_schema_privilege(oid, 'usage') AND nspname IN ('enrolment', 'certification', 'reporting', 'public')"
    assert sql(f"SET ROLE {service}; SELECT nspname FROM pg_namespace WHERE {may}") == service  # noqa: S608


def test_given_events_are_posted_when_each_container_goes_and_comes_then_nothing_is_lost_and_none_needs_a_hand(
    program: Program, tmp_path: Path
) -> None:
    events = tmp_path / "events.ndjson"
    program.run("simulate", "--trainees", "300", "--seed", "1", "--output", events)
    lines = events.read_text().splitlines()
    before = totals(program)
    faults = [(fault, service) for fault in (stop_and_start, kill) for service in LONG_RUNNING]

    for number, (fault, service) in enumerate(faults):
        part = tmp_path / f"{number}.ndjson"
        part.write_text("\n".join(lines[number :: len(faults)]))  # so all of them are out of order, too
        with posting(program, part):
            fault(service)
        eventually(healthy, f"not well again after {fault.__name__} of {service}", seconds=90)

    last = program.run("post", events)
    assert last.stdout.strip().endswith(f"{len(lines)} events: {len(lines)} duplicate"), last.stdout + last.stderr
    demo = sampan("demo", "--once", "--json", "--events", events)
    alone = json.loads(subprocess.run(demo, cwd=ROOT, env=environment(), capture_output=True, check=True).stdout)[
        "totals"
    ]

    def grown() -> dict[str, float]:
        now = totals(program)
        return {name: round(now[name] - before[name], 6) for name in now}

    eventually(lambda: grown() == alone, f"{grown()} instead of {alone}")
    check = program.run("check")
    assert check.returncode == 0, check.stdout + check.stderr


def working(service: str) -> int:
    """How many streams the copies of a service hear or relay, each one copy at a time: a lock in the database for each."""
    who = f"WHERE locktype = 'advisory' AND application_name = 'sampan-{service}'"
    return int(sql(f"SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) {who}"))  # noqa: S608


def test_given_two_copies_when_either_is_away_then_the_other_works_and_serves_alone(program: Program) -> None:
    doubled = ("reporting", "certification")
    compose("up", "--detach", "--wait", *(word for name in doubled for word in ("--scale", f"{name}=2")))
    try:
        program.run("post", EXAMPLE)
        eventually(healthy, "not every copy is well")
        for service in doubled:
            copies = containers(service)
            assert len(copies) == 2
            alone = working(service)
            for copy in copies:
                docker("stop", copy["Id"])
                eventually(lambda: working(service) == alone, f"nobody took over {service}'s work")  # noqa: B023
                office = f"th/{service}-{copy['Id'][:12]}"  # hears of it by a fact
                added = program.run("office", "add", office, "--name", "DSD", "--role", "reader")
                token = next(line.split()[1] for line in added.stdout.splitlines() if line.strip().startswith("Token"))
                url = f"{program.url(service)}/v1/position"
                headers = {"Authorization": f"Bearer {token}"}
                eventually(lambda: httpx.get(url, headers=headers).status_code == 200, "it hears nothing")  # noqa: B023
                docker("start", copy["Id"])
                eventually(healthy, "it did not come back")
    finally:
        compose("up", "--detach", "--wait")
    assert len(containers("reporting")) == 1
    assert program.run("check").returncode == 0


def test_given_the_stack_was_taken_down_when_it_comes_up_again_then_it_carries_on(program: Program) -> None:
    before = totals(program)
    compose("down")
    compose("up", "--detach", "--wait")

    assert totals(program) == before
    assert program.run("check").returncode == 0


def test_given_the_stack_when_it_is_backed_up_then_the_recovery_key_opens_it(program: Program, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    backup = ("run", "--rm", "-T", "--volume", f"{tmp_path}:/backups")
    compose(*backup, "--entrypoint", "rm", "backup", "-f", "/provision/kept/recovery-recipient")
    key = compose(*backup, "backup", "key").strip()
    compose(*backup, "backup", "create")
    opened = open_backup(tmp_path, key)
    assert {"enrolment", "certification", "reporting", "nats-keys"} < opened.secrets.keys()
    assert sorted(owner for owner, *_ in opened.keys.keys) == sorted(
        sql("SELECT owner FROM enrolment.register_keys").split()
    )
    assert (opened.folder / DATA).read_bytes()[:5] == b"PGDMP"
