"""Verifiers that were not written here (tests/verifiers, from npm), asked about credentials; they fetch nothing."""

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "verifiers"


def accepted(asked: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[bool]:
    """Whether each credential is accepted, given the documents (keys, status lists) by address. Skips without Node."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("no Node here to run the verifiers from npm")
    if not (FOLDER / "node_modules").exists():
        command = [npm, "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"]
        if subprocess.run(command, cwd=FOLDER, capture_output=True, check=False).returncode:
            pytest.skip("the verifiers from npm cannot be installed here")
    lines = "".join(json.dumps({"credential": one, "documents": documents}) + "\n" for one, documents in asked)
    ended = subprocess.run([node, "verify.mjs"], cwd=FOLDER, input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line)["accepted"] for line in ended.stdout.splitlines()]
