"""Verifiers that were not written here accept what is issued and refuse what is changed, withdrawn or not covered; offline."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.vc.keys import did_document
from tests.credentials import DID, KEY, LIST, OTHER_KEY, PLACE, keys, signed, status_list, token
from tests.outsiders import asked, jwk

pytestmark = [pytest.mark.xdist_group("verifiers"), pytest.mark.timeout(240)]


def with_list(credential: dict[str, Any], *set_places: int, good: Any = (KEY,)) -> dict[str, Any]:
    return {
        "credential": credential,
        "documents": {DID: keys(*good), LIST: status_list(set_places, at=datetime.now(UTC))},
    }


def test_given_an_issued_credential_then_accepted_and_withdrawn_or_changed_ones_are_not() -> None:
    changed = signed()
    changed["credentialSubject"]["identifier"][0]["identityHash"] = "Somebody Else"

    named = did_document(
        DID, {"key-1": KEY.public}, {"key-2": datetime.now(UTC)}
    )  # says of key-2 only that it is given up

    issued, tampered, withdrawn, added, given_up, beside, compromised = asked(
        with_list(signed(), PLACE + 1),
        with_list(changed),
        with_list(signed(), PLACE),  # the bit is the same whether it is revoked, suspended or superseded
        with_list(signed() | {"unheard": "of"}),
        with_list(signed(OTHER_KEY)),
        *(
            one | {"documents": one["documents"] | {DID: named}}
            for one in map(with_list, (signed(), signed(OTHER_KEY)))
        ),
    )

    assert issued == {"accepted": True, "verified": True, "set": False}
    assert (tampered["accepted"], tampered["error"]) == (False, "Invalid signature.")
    assert (withdrawn["accepted"], withdrawn["set"]) == (False, True)
    assert not added["accepted"]
    assert not given_up["accepted"]
    assert (beside["accepted"], compromised["accepted"]) == (True, False)


def test_given_a_name_in_every_script_and_odd_texts_then_accepted() -> None:
    names = [("សុខ ដារា", "Sok Dara"), ("ສົມພອນ",), ("မောင်မောင်",), ("王小明", 'O"Neill \\ \t\n')]

    answers = asked(*(with_list(signed(names=one, printed=None, number=None, marks=())) for one in names))

    assert [one["accepted"] for one in answers] == [True] * len(names)


def test_given_the_jwt_then_jose_accepts_it_and_refuses_a_changed_one() -> None:
    head, body, mark = token().split(".")
    other = token(number="S1").split(".")[1]

    good, bad = asked(
        {"token": f"{head}.{body}.{mark}", "jwk": jwk(KEY.public)},
        {"token": f"{head}.{other}.{mark}", "jwk": jwk(KEY.public)},
    )

    assert good["accepted"]
    assert good["header"]["typ"] == "vc+jwt"
    assert good["payload"]["credentialSubject"]["licenseNumber"] == "S000032000000"
    assert (good["payload"]["iss"], good["payload"]["jti"]) == (DID, good["payload"]["id"])
    assert not bad["accepted"]
