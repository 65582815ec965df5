"""What containers are given: made once, whole again after an accident, never made anew over data."""

import json
from pathlib import Path

import pytest

from services.embedded import SERVICES
from services.processes import StandaloneError
from services.provision import provide

VOLUMES = (*SERVICES, "kept", "admin", "postgres", "nats")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for volume in VOLUMES:
        (tmp_path / volume).mkdir()
    provide(tmp_path, tmp_path / "jetstream")
    return tmp_path


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_given_a_first_start_when_a_second_comes_then_everything_is_the_same(folder: Path) -> None:
    first = contents(folder)
    provide(folder, folder / "jetstream")

    assert contents(folder) == first
    for service in SERVICES:
        assert len(bytes.fromhex(first[f"{service}/secret"])) == 32
        password = first[f"{service}/pgpass"].strip().rpartition(":")[2]
        assert f"CREATE ROLE {service} LOGIN PASSWORD '{password}';" in first["postgres/schemas.sql"]
        assert (folder / service / "pgpass").stat().st_mode & 0o077 == 0  # PostgreSQL's clients ignore others
    assert json.loads(first["nats/nats.conf"])["jetstream"]["sync_interval"] == "always"
    assert len({first[f"{service}/secret"] for service in SERVICES}) == 3
    assert len({first[f"{service}/nats.creds"] for service in SERVICES}) == 3
    assert [path for path in first if path.endswith("nats-authority")] == ["enrolment/nats-authority"]


@pytest.mark.parametrize(
    "lost",
    ["enrolment/secret", "nats/nats.conf", "enrolment/nats-authority", "postgres/schemas.sql", "reporting/pgpass"],
)
def test_given_what_was_handed_out_is_lost_when_it_starts_again_then_it_is_handed_out_again(
    folder: Path, lost: str
) -> None:
    first = contents(folder)
    (folder / lost).unlink()
    provide(folder, folder / "jetstream")

    assert contents(folder) == first


@pytest.mark.parametrize("lost", ["passwords", "nats-keys", *SERVICES])
def test_given_what_is_kept_is_lost_when_it_starts_again_then_it_says_so_and_makes_nothing_anew(
    folder: Path, lost: str
) -> None:
    (folder / "kept" / lost).unlink()
    rest = contents(folder)

    with pytest.raises(StandaloneError, match=f"kept/{lost} is missing.*backup"):
        provide(folder, folder / "jetstream")

    assert contents(folder) == rest


def test_given_the_brokers_keys_leaked_when_they_are_deleted_with_what_admits_then_new_ones_are_made_and_all_else_stays(
    folder: Path,
) -> None:
    first = contents(folder)
    for leaked in ("kept/nats-keys", "enrolment/nats-authority"):
        (folder / leaked).unlink()
    provide(folder, folder / "jetstream")

    second = contents(folder)
    assert second.keys() == first.keys()
    of_the_broker = {"kept/nats-keys", "enrolment/nats-authority", "nats/nats.conf"}
    of_the_broker |= {f"{service}/nats.creds" for service in SERVICES}
    assert {path for path in first if first[path] != second[path]} == of_the_broker


def test_given_a_first_start_was_cut_off_when_it_starts_again_then_it_is_completed(tmp_path: Path) -> None:
    for volume in VOLUMES:
        (tmp_path / volume).mkdir()
    (tmp_path / "postgres").rmdir()  # the last to be written
    with pytest.raises(FileNotFoundError):
        provide(tmp_path, tmp_path / "jetstream")
    (tmp_path / "postgres").mkdir()
    half = contents(tmp_path)

    provide(tmp_path, tmp_path / "jetstream")

    assert half.items() <= contents(tmp_path).items()


def test_given_the_administrators_token_was_deleted_when_it_starts_again_then_there_is_another(folder: Path) -> None:
    token = folder / "admin" / "admin-token"
    first = token.read_text()
    token.unlink()
    provide(folder, folder / "jetstream")

    assert token.read_text() != first
    assert token.stat().st_mode & 0o777 == 0o600
