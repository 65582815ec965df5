"""The import rules hold, and each of them would notice if it did not."""

import re
from pathlib import Path

import grimp
import pytest

from tests.architecture.planting import CONTRACTS, ROOT, Violation, copy_packages, lint, plant, violations

SERVICES = ("enrolment", "certification", "reporting")
PURE = tuple(CONTRACTS["models-are-shared"]["source_modules"])
"""The rooms of the domain."""
PURE_LIBRARIES = {
    "calendar",
    "collections",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "functools",
    "hashlib",
    "hmac",
    "itertools",
    "json",
    "math",
    "operator",
    "re",
    "typing",
    "unicodedata",
    "uuid",
    "zoneinfo",
}
"""What needs no operating system, but for the tables of zones."""
OUTSIDE_THE_RULE = {
    "nats": [
        "shared.http",
        "shared.events.wire",
        "services.cli",
        "services.reporting.api",
        "services.reporting.app",
        "services.reporting.subscribers",
        "services.reporting.queries",
    ],
    "http": ["shared.outbox", "services.cli", "services.reporting.subscribers", "services.reporting.queries"],
    "no-input-or-output": ["shared.events.codes", "shared.events.envelope"],
}
"""Rooms inside a source of a contract, of which the contract's lines name only the whole."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    copy_packages(tmp_path)
    return tmp_path


def said(output: str) -> str:
    """The report without its line breaks."""
    return re.sub(r"\s+", " ", output)


def test_the_rules_hold() -> None:
    ended = lint(ROOT)
    assert ended.returncode == 0, ended.stdout
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in said(ended.stdout)


def test_the_rules_hold_in_an_untouched_copy(copy: Path) -> None:
    ended = lint(copy)
    assert ended.returncode == 0, ended.stdout


def test_a_violation_of_each_contract_is_named(copy: Path) -> None:
    planted = [violations(contract)[0] for contract in CONTRACTS.values()]
    plant(copy, planted)
    ended = lint(copy)
    assert ended.returncode == 1
    assert f"Contracts: 0 kept, {len(CONTRACTS)} broken." in said(ended.stdout)
    missed = [str(violation) for violation in planted if f"{violation} (l." not in said(ended.stdout)]
    assert missed == [], ended.stdout


@pytest.mark.long
@pytest.mark.parametrize("name", CONTRACTS)
def test_every_line_of_a_contract_is_held(name: str, copy: Path) -> None:
    contract = CONTRACTS[name]
    planted = violations(contract)
    for room in OUTSIDE_THE_RULE.get(name, []):
        planted += [Violation(room, forbidden) for forbidden in contract["forbidden_modules"]]
    assert planted
    plant(copy, planted)
    ended = lint(copy, name)
    assert ended.returncode == 1
    missed = [str(violation) for violation in planted if f"{violation} (l." not in said(ended.stdout)]
    assert missed == [], ended.stdout


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name, contract in CONTRACTS.items() if contract.get("exhaustive")])
def test_a_room_that_no_contract_knows_is_found(name: str, copy: Path) -> None:
    for container in CONTRACTS[name]["containers"]:
        (copy / container.replace(".", "/") / "annexe.py").touch()
    ended = lint(copy, name)
    assert ended.returncode == 1
    assert "annexe" in ended.stdout


@pytest.mark.long
def test_one_violation_fails_the_whole_command(copy: Path) -> None:
    plant(copy, [Violation("services.enrolment.domain", "services.reporting.domain")])
    assert lint(copy).returncode == 1


def test_every_package_is_under_exhaustive_rules() -> None:
    held = {container for contract in CONTRACTS.values() for container in contract.get("containers", [])}
    packages = {
        "services",
        "shared",
        "shared.vc",
        *(f"services.{path.parent.name}" for path in ROOT.glob("services/*/__init__.py")),
    }
    assert held == packages
    assert packages >= {f"services.{service}" for service in SERVICES}
    assert all(contract["exhaustive"] for contract in CONTRACTS.values() if "containers" in contract)


def test_every_room_from_the_domain_down_is_pure() -> None:
    for service in SERVICES:
        layers = CONTRACTS[service]["layers"]
        rooms = [[room.strip(" ()") for room in line.split("|")] for line in layers]
        floor = next(n for n, line in enumerate(rooms) if any(f"services.{service}.{room}" in PURE for room in line))
        below = {f"services.{service}.{room}" for line in rooms[floor:] for room in line}
        assert below == {room for room in PURE if room.startswith(f"services.{service}.")}
    assert set(CONTRACTS["no-input-or-output"]["source_modules"]) == {*PURE, "shared.events"}


def test_the_domain_and_the_contract_import_nothing_that_is_not_pure() -> None:
    graph = grimp.build_graph("services", "shared", include_external_packages=True, cache_dir=None)
    rooms = [*PURE, *graph.find_descendants("shared.events")]
    foreign = [
        f"{room} -> {imported}"
        for room in rooms
        for imported in sorted(graph.find_modules_directly_imported_by(room))
        if imported not in PURE_LIBRARIES
        and imported not in PURE
        and not imported.startswith("shared.events.")
        and not (room.startswith("shared.events.") and imported in {"pycountry", "pydantic", "pydantic_core"})
    ]
    assert foreign == []


def test_nothing_is_imported_behind_the_linters_back() -> None:
    for path in [*ROOT.glob("services/**/*.py"), *ROOT.glob("shared/**/*.py")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\b(__import__|import_module)\(", text), path
