"""Copies of the packages, with imports planted where a contract forbids them."""

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CONTRACTS: dict[str, dict[str, Any]] = {
    contract["id"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
}


@dataclass(frozen=True)
class Violation:
    """An import that a contract forbids."""

    importer: str
    imported: str

    def __str__(self) -> str:
        return f"{self.importer} -> {self.imported}"


def violations(contract: dict[str, Any]) -> list[Violation]:
    """One for each line of a contract: every pair of neighbouring layers, of siblings, of a source and what it may not know."""
    if contract["type"] == "forbidden":
        allowed = {line.partition(" ->")[0] for line in contract.get("ignore_imports", ())}
        return [
            Violation(_inside(source, allowed), forbidden)
            for source in contract["source_modules"]
            for forbidden in contract["forbidden_modules"]
        ]
    found = []
    for container in contract.get("containers", [""]):
        layers = [
            [f"{container}.{room.strip(' ()')}".strip(".") for room in line.split("|")] for line in contract["layers"]
        ]
        for higher, lower in pairwise(layers):
            found += [Violation(_inside(importer), imported) for importer in lower for imported in higher]
        for siblings in layers:
            for one, other in combinations(siblings, 2):
                found += [Violation(_inside(one), other), Violation(_inside(other), one)]
    return found


def _inside(name: str, allowed: Collection[str] = ()) -> str:
    """A module to plant in: of a package its first room that is not ``allowed`` it, which stands for all."""
    package = ROOT / name.replace(".", "/")
    if not package.is_dir():
        return name
    rooms = {f"{name}.{path.stem}" for path in package.glob("*.py") if path.stem != "__init__"}
    return min(rooms - set(allowed))


def copy_packages(to: Path) -> None:
    """The modules of the two packages and the contracts, as they are."""
    for package in ("services", "shared"):
        for module in (ROOT / package).rglob("*.py"):
            copied = to / module.relative_to(ROOT)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(module, copied)
    shutil.copy(ROOT / "pyproject.toml", to)


def plant(folder: Path, planted: list[Violation]) -> None:
    """Write the imports into the copy."""
    for violation in planted:
        for name in (violation.importer, violation.imported):
            room = folder / name.replace(".", "/")
            if name.startswith(("services.", "shared.")) and not room.is_dir():
                room.with_suffix(".py").touch()  # an optional room that is not there yet
        with open(folder / f"{violation.importer.replace('.', '/')}.py", "a", encoding="utf-8") as file:
            file.write(f"\nimport {violation.imported}\n")


def lint(folder: Path, contract: str | None = None) -> subprocess.CompletedProcess[str]:
    """What `lint-imports` says there."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    only = ["--contract", contract] if contract else []
    return subprocess.run([*command, *only], cwd=folder, capture_output=True, text=True, check=False)
