"""Verifiers that were not written here accept what is issued and refuse what is changed, withdrawn or not covered; offline."""

import base64
import fcntl
import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.credentials import DID, KEY, LIST, OTHER_KEY, PLACE, keys, signed, status_list, token

HERE = Path(__file__).parents[2] / "verifiers"
INSTALLED = Path(__file__).parents[3] / ".venv" / "verifiers"

pytestmark = [pytest.mark.xdist_group("verifiers"), pytest.mark.timeout(240)]


@pytest.fixture(scope="session")
def verifiers() -> Path:
    """A folder with the packages that package-lock.json names, installed once."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node.js is not installed: the verifiers from npm cannot run")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made, wanted = INSTALLED / "made-from.json", (HERE / "package-lock.json").read_text()
        if not made.exists() or made.read_text() != wanted:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, INSTALLED)
            install = [str(shutil.which("npm")), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            ended = subprocess.run(install, cwd=INSTALLED, capture_output=True, text=True, timeout=200, check=False)
            if ended.returncode:
                pytest.skip("the verifiers from npm could not be installed: no registry can be reached")
            made.write_text(wanted)
        shutil.copy(HERE / "verify.mjs", INSTALLED)
    return INSTALLED


def asked(verifiers: Path, *questions: dict[str, Any]) -> list[dict[str, Any]]:
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    ended = subprocess.run(
        [str(shutil.which("node")), "verify.mjs"],
        cwd=verifiers,
        input=lines,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return [json.loads(line) for line in ended.stdout.splitlines()]


def with_list(credential: dict[str, Any], *set_places: int, good: Any = (KEY,)) -> dict[str, Any]:
    return {
        "credential": credential,
        "documents": {DID: keys(*good), LIST: status_list(set_places, at=datetime.now(UTC))},
    }


def test_given_an_issued_credential_then_accepted_and_withdrawn_or_changed_ones_are_not(verifiers: Path) -> None:
    changed = signed()
    changed["credentialSubject"]["identifier"][0]["identityHash"] = "Somebody Else"

    issued, tampered, withdrawn, added, given_up = asked(
        verifiers,
        with_list(signed(), PLACE + 1),
        with_list(changed),
        with_list(signed(), PLACE),  # the bit is the same whether it is revoked, suspended or superseded
        with_list(signed() | {"unheard": "of"}),
        with_list(signed(OTHER_KEY)),
    )

    assert issued == {"accepted": True, "verified": True, "set": False}
    assert (tampered["accepted"], tampered["error"]) == (False, "Invalid signature.")
    assert (withdrawn["accepted"], withdrawn["set"]) == (False, True)
    assert not added["accepted"]
    assert not given_up["accepted"]


def test_given_a_name_in_every_script_and_odd_texts_then_accepted(verifiers: Path) -> None:
    names = [("សុខ ដារា", "Sok Dara"), ("ສົມພອນ",), ("မောင်မောင်",), ("王小明", 'O"Neill \\ \t\n')]

    answers = asked(verifiers, *(with_list(signed(names=one, printed=None, number=None, marks=())) for one in names))

    assert [one["accepted"] for one in answers] == [True] * len(names)


def test_given_the_jwt_then_jose_accepts_it_and_refuses_a_changed_one(verifiers: Path) -> None:
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(KEY.public).decode().rstrip("=")}
    head, body, mark = token().split(".")
    other = token(number="S1").split(".")[1]

    good, bad = asked(
        verifiers, {"token": f"{head}.{body}.{mark}", "jwk": jwk}, {"token": f"{head}.{other}.{mark}", "jwk": jwk}
    )

    assert good["accepted"]
    assert good["header"]["typ"] == "vc+jwt"
    assert good["payload"]["credentialSubject"]["licenseNumber"] == "S000032000000"
    assert not bad["accepted"]
