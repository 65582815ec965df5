"""Verifiers that were not written here (tests/verifiers, from npm), asked about credentials; they fetch nothing."""

import base64
import fcntl
import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent / "verifiers"
INSTALLED = Path(__file__).parents[1] / ".venv" / "verifiers"


@cache
def _installed() -> Path:
    """A folder with the packages that package-lock.json names, installed once. Skips without Node."""
    npm = shutil.which("npm")
    if shutil.which("node") is None or npm is None:
        pytest.skip("Node.js is not installed: the verifiers from npm cannot run")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made, wanted = INSTALLED / "made-from.json", (HERE / "package-lock.json").read_text()
        if not made.exists() or made.read_text() != wanted:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, INSTALLED)
            install = [npm, "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"]
            ended = subprocess.run(install, cwd=INSTALLED, capture_output=True, text=True, timeout=200, check=False)
            if ended.returncode:
                pytest.skip("the verifiers from npm could not be installed: no registry can be reached")
            made.write_text(wanted)
        shutil.copy(HERE / "verify.mjs", INSTALLED)
    return INSTALLED


def asked(*questions: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What Digital Bazaar's verifier or jose say of each question, in one process.

    A question is ``credential`` with ``documents`` (keys, status lists) by address, or ``token`` with ``jwk``.
    """
    folder, node = _installed(), str(shutil.which("node"))
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    ended = subprocess.run(
        [node, "verify.mjs"], cwd=folder, input=lines, capture_output=True, text=True, timeout=100, check=True
    )
    return [json.loads(line) for line in ended.stdout.splitlines()]


def accepted(those: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[bool]:
    """Whether each credential is accepted, given the documents by address."""
    answers = asked(*({"credential": one, "documents": documents} for one, documents in those))
    return [answer["accepted"] for answer in answers]


def jwk(public: bytes) -> dict[str, str]:
    """A public key of 32 bytes, as jose wants it."""
    return {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(public).decode().rstrip("=")}
