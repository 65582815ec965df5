"""What is issued has the form that Open Badges 3.0 and VC 2.0 ask for, and stays as it is for whoever reads it."""

from datetime import date
from typing import Any

import pytest

from shared.vc.document import Body, Course
from tests.credentials import misshapen, signed

SHAPES: list[dict[str, Any]] = [
    {},
    {"names": (), "marks": (), "codes": (), "number": None, "printed": None, "passed_on": None},
    {"valid_until": date(2030, 4, 29), "edition": 2, "local": True, "names": ("王小明", "王小明")},
    {
        "body": Body("A body without an address"),
        "course": Course("ke-2025-wuxi", "A course without days", "wuxi-it", "CN"),
    },
]


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_issued_has_its_form(shape: dict[str, Any]) -> None:
    assert misshapen(signed(**shape)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"proof": {}},
        {"unheard": "of"},
        {"type": ["VerifiableCredential"]},
        {"credentialStatus": [signed()["credentialStatus"]] * 2},
        {"credentialSubject": {**signed()["credentialSubject"], "source": {"id": "urn:uuid:1"}}},
    ],
    ids=str,
)
def test_another_form_is_found(change: dict[str, Any]) -> None:
    assert misshapen(signed() | change)
