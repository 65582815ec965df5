"""Credentials for tests: what one may say, and an issuer who signs it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from jsonschema_rs import Draft202012Validator

from shared.vc import jwt, proof, status
from shared.vc.document import Attested, Body, Course, Issuer, Mark, credential, isced, isco
from shared.vc.keys import SigningKey, did_document
from shared.vc.trust import Trust

NOW = datetime(2026, 4, 1, 8, 0, tzinfo=UTC)
URL = "https://skills.example.org"
DID = "did:web:skills.example.org"
ISSUER = Issuer(DID, "Skills Partnership", URL)
KEY = SigningKey(f"{DID}#key-1", bytes(range(32)))
OTHER_KEY = SigningKey(f"{DID}#key-2", bytes(range(1, 33)))
LIST = f"{URL}/v1/status/1"
PLACE = 77
ATTESTED = Attested(
    id=f"{URL}/v1/credentials/mfrggzdfmztwq2lknnwg23tpoa",
    certificate="5b6d2c1e-0c1a-5a52-9a53-0c0f7a1c9e11",
    edition=1,
    scheme="cn-vslc",
    scheme_title="Vocational Skill Level Certification",
    body=Body("Wuxi Institute of Technicians", "https://body.example/ask"),
    occupation="electrical-installation",
    occupation_title="Electrical Installation",
    level="intermediate",
    level_title="Intermediate",
    printed="4",
    number="S000032000000",
    awarded_on=date(2025, 4, 30),
    valid_until=None,
    course=Course("ke-2025-wuxi", "Two trades in Wuxi", "wuxi-it", "CN", date(2025, 4, 14), date(2025, 4, 27)),
    status_list=LIST,
    status_place=PLACE,
    page=f"{URL}/c/mfrggzdfmztwq2lknnwg23tpoa",
    names=("សុខ ដារា", "Sok Dara"),
    marks=(Mark("theory", "81", "100", passed=True), Mark("practice", "86", "100", passed=True)),
    codes=(isco("7411"), isced("0713")),
    passed_on=date(2025, 4, 28),
)


def document(**changes: Any) -> dict[str, Any]:
    """A credential without a proof."""
    return credential(replace(ATTESTED, **changes), ISSUER)


def signed(key: SigningKey = KEY, **changes: Any) -> dict[str, Any]:
    """A credential with its proof."""
    return proof.sign(document(**changes), key, NOW)


def token(key: SigningKey = KEY, **changes: Any) -> str:
    """A credential as a JWT."""
    return jwt.sign(document(**changes), key)


def keys(*good: SigningKey) -> dict[str, Any]:
    """The issuer's DID document with these keys."""
    return did_document(DID, {key.id.partition("#")[2]: key.public for key in good or (KEY,)})


def status_list(set_places: Iterable[int] = (), at: datetime = NOW, key: SigningKey = KEY) -> dict[str, Any]:
    """The issuer's status list as it stood then."""
    return proof.sign(status.status_credential(LIST, DID, set_places, at, timedelta(days=7)), key, at)


def reasons(words: Mapping[int, str], at: datetime = NOW) -> dict[str, Any]:
    """The list of reasons beside it."""
    return proof.sign(status.reasons_credential(f"{LIST}/reasons", DID, words, at, timedelta(days=7)), KEY, at)


def trust(*lists: Mapping[str, Any], good: Iterable[SigningKey] = (KEY,)) -> Trust:
    """What somebody knows who asked the issuer."""
    return Trust().with_issuer(encoded(keys(*good))).with_lists(encoded(one) for one in lists)


def encoded(said: Mapping[str, Any]) -> bytes:
    """As a file."""
    return json.dumps(said, ensure_ascii=False).encode()


FORM = Draft202012Validator(json.loads((Path(__file__).parent / "contract" / "credential.json").read_text()))


def misshapen(said: Mapping[str, Any]) -> list[str]:
    """Where a credential has not the form of those that are issued, and why."""
    return [f"{error.instance_path}: {error.message}" for error in FORM.iter_errors(said)]
