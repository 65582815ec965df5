"""Given a file and what is known, then one word and a sentence, in bounded time."""

import base64
import json
import time
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.vc import jwt, proof
from shared.vc.document import CONTEXTS
from shared.vc.embedding import PHOTO, PNG
from shared.vc.keys import SigningKey, did_document, multikey
from shared.vc.reading import PART
from shared.vc.trust import NotTrusted, Trust
from shared.vc.verdict import judge
from tests.credentials import (
    DID,
    KEY,
    NOW,
    OTHER_KEY,
    PLACE,
    document,
    encoded,
    reasons,
    signed,
    status_list,
    token,
    trust,
)
from tests.properties import examples

FILE = encoded(signed())
TOKEN = token().encode()
BOTH = pytest.mark.parametrize("file", [FILE, TOKEN], ids=["json", "jwt"])


@BOTH
def test_given_a_fresh_list_without_its_bit_then_valid(file: bytes) -> None:
    verdict = judge(file, trust(status_list([PLACE + 1])), NOW)

    assert (verdict.word, verdict.key, verdict.known_at) == ("valid", KEY.id, NOW)
    assert verdict.document is not None
    assert verdict.document["credentialSubject"]["licenseNumber"] == "S000032000000"


@BOTH
@pytest.mark.parametrize(
    ("said", "word"),
    [("revoked", "revoked"), ("suspended", "suspended"), ("superseded", "superseded"), ("void", "revoked")],
)
def test_given_its_bit_and_a_reason_then_that_word(file: bytes, said: str, word: str) -> None:
    assert judge(file, trust(status_list([PLACE]), reasons({PLACE: said})), NOW).word == word


def test_given_its_bit_and_reasons_from_before_then_withdrawn_whatever_they_said() -> None:
    known = trust(status_list([PLACE]), reasons({PLACE: "suspended"}, NOW - timedelta(hours=1)))

    assert judge(FILE, known, NOW).word == "withdrawn"


@BOTH
def test_given_no_list_or_one_that_is_too_old_then_status_unknown_and_never_valid(file: bytes) -> None:
    old = trust(status_list(at=NOW - timedelta(hours=25)))

    assert judge(file, trust(), NOW).word == "status unknown"
    assert judge(file, old, NOW).word == "status unknown"
    assert "2026-03-31" in judge(file, old, NOW).sentence
    assert judge(file, old, NOW, fresh=timedelta(hours=26)).word == "valid"


def test_given_an_old_list_with_its_bit_then_it_is_withdrawn_all_the_same() -> None:
    assert judge(FILE, trust(status_list([PLACE], NOW - timedelta(days=300))), NOW).word == "withdrawn"


def test_given_two_lists_then_the_newer_one_counts_in_either_order() -> None:
    before, after = status_list([PLACE], NOW - timedelta(hours=2)), status_list([], NOW)

    assert judge(FILE, trust(before, after), NOW).word == judge(FILE, trust(after, before), NOW).word == "valid"


def test_given_its_last_day_is_over_then_expired_and_on_that_day_valid() -> None:
    file = encoded(signed(valid_until=date(2026, 4, 1)))

    assert judge(file, trust(status_list()), NOW).word == "valid"
    assert judge(file, trust(status_list()), NOW + timedelta(days=1)).word == "expired"


def test_given_a_day_to_come_then_not_yet_valid() -> None:
    assert judge(encoded(signed(awarded_on=date(2026, 4, 2))), trust(status_list()), NOW).word == "not yet valid"


@pytest.mark.parametrize(
    ("at", "word"),
    [("2026-04-01T09:00:00+00:00", "not yet valid"), ("2026-04-02T07:00:00+08:00", "valid")],
)
def test_given_an_award_of_today_in_the_east_then_valid_before_it_is_today_in_utc(at: str, word: str) -> None:
    now = datetime.fromisoformat(at)
    file = encoded(signed(awarded_on=date(2026, 4, 2)))

    assert judge(file, trust(status_list(at=now)), now).word == word


# --- forged, and from somebody else

CHANGES: list[tuple[str, Any]] = [
    ("name", "Vocational Skill Level Certification: Chief"),
    ("id", "https://skills.example.org/v1/credentials/another"),
    ("validUntil", "2090-01-01T00:00:00Z"),
    ("evidence", []),
    ("unheard", "of"),
]


@pytest.mark.parametrize(("field", "value"), CHANGES)
def test_given_a_changed_copy_then_forged(field: str, value: Any) -> None:
    assert judge(encoded(signed() | {field: value}), trust(status_list()), NOW).word == "forged"


@examples(40)
@given(data=st.data())
def test_given_any_one_text_changed_then_never_valid(data: st.DataObject) -> None:
    changed = json.loads(FILE)
    holder, key = data.draw(st.sampled_from(list(places(changed))))
    holder[key] += data.draw(st.text("abc1 ", min_size=1, max_size=3))

    assert judge(encoded(changed), trust(status_list()), NOW).word != "valid"


def places(value: Any) -> list[tuple[Any, Any]]:
    """Where texts are."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    return [found for key, one in inside for found in ([(value, key)] if isinstance(one, str) else places(one))]


def test_given_a_jwt_with_another_signature_or_payload_then_forged() -> None:
    head, body, _ = TOKEN.decode().split(".")
    _, other, mark = token(number="S1").split(".")

    for changed in (f"{head}.{body}.{mark}", f"{head}.{other}.{TOKEN.decode().split('.')[2]}"):
        assert judge(changed.encode(), trust(status_list()), NOW).word == "forged"


def test_given_another_issuer_then_unknown_issuer() -> None:
    assert judge(FILE, Trust(), NOW).word == "unknown issuer"


@BOTH
def test_given_a_key_that_was_given_up_then_nothing_it_signed_is_believed(file: bytes) -> None:
    known = trust(status_list(key=OTHER_KEY), good=[OTHER_KEY])

    assert judge(file, known, NOW).word == "unknown issuer"
    assert judge(encoded(signed(OTHER_KEY)), known, NOW).word == "valid"


def test_given_a_key_that_was_declared_compromised_then_it_says_when_and_what_to_do() -> None:
    known = did_document(DID, {"key-2": OTHER_KEY.public}, {"key-1": NOW})
    told = Trust().with_issuer(encoded(known)).with_list(encoded(status_list(key=OTHER_KEY)))

    for file in (FILE, TOKEN):
        found = judge(file, told, NOW)

        assert (found.word, found.given_up, found.document) == ("unknown issuer", NOW, None)
        assert "key-1, a key that its issuer declared compromised on 2026-04-01" in found.sentence
        assert "ask for the file again" in found.sentence
    assert judge(encoded(signed(OTHER_KEY)), told, NOW).word == "valid"
    assert multikey(KEY.public) not in json.dumps(known), "nobody else takes it for a key either"


def test_given_a_rotated_key_that_is_still_named_then_what_it_signed_stays_good() -> None:
    assert judge(FILE, trust(status_list(key=OTHER_KEY), good=[KEY, OTHER_KEY]), NOW).word == "valid"


def test_given_a_stranger_who_signs_in_the_issuers_name_then_not_believed() -> None:
    stranger = SigningKey(KEY.id, bytes(32))

    assert judge(encoded(signed(stranger)), trust(status_list()), NOW).word == "forged"
    assert judge(token(stranger).encode(), trust(status_list()), NOW).word == "forged"


@pytest.mark.parametrize(
    "change",
    [
        {"type": "Ed25519Signature2020"},
        {"cryptosuite": "eddsa-jcs-2022"},
        {"proofPurpose": "authentication"},
        {"domain": "elsewhere.example"},
    ],
    ids=str,
)
def test_given_a_proof_of_another_kind_then_that_verdict(change: dict[str, str]) -> None:
    file = signed()

    assert (
        judge(encoded(file | {"proof": [file["proof"][0] | change]}), trust(status_list()), NOW).word
        == "another kind of proof"
    )


def test_given_no_proof_or_two_then_another_kind_of_proof() -> None:
    file = signed()

    assert judge(encoded(document()), trust(status_list()), NOW).word == "another kind of proof"
    for proofs in ([], file["proof"] * 2, [file["proof"]], "signed"):
        assert judge(encoded(file | {"proof": proofs}), trust(status_list()), NOW).word == "another kind of proof"


def test_given_its_one_proof_by_itself_and_not_in_a_list_then_valid() -> None:
    file = signed()

    assert judge(encoded(file | {"proof": file["proof"][0]}), trust(status_list()), NOW).word == "valid"


@pytest.mark.parametrize("header", [b'{"alg":"none","typ":"vc+jwt"}', b'{"alg":"HS256","typ":"vc+jwt","kid":"k"}'])
def test_given_a_jwt_of_another_kind_then_that_verdict(header: bytes) -> None:
    head = base64.urlsafe_b64encode(header).rstrip(b"=")
    file = head + TOKEN[TOKEN.index(b".") :]

    assert judge(file, trust(status_list()), NOW).word == "another kind of proof"


# --- status lists from elsewhere


def test_given_a_list_that_its_issuer_did_not_sign_then_it_is_not_trusted() -> None:
    changed = status_list([PLACE])
    changed["credentialSubject"]["encodedList"] = status_list()["credentialSubject"]["encodedList"]

    for content in (encoded(changed), encoded(signed()), b"{}", b"[" * 100, b""):
        with pytest.raises(NotTrusted):
            trust().with_list(content)


def test_given_a_list_of_another_issuer_then_status_unknown() -> None:
    other = SigningKey("did:web:other.example#key-1", bytes(32))
    theirs = {**status_list(), "issuer": "did:web:other.example"}
    del theirs["proof"]
    known = trust().with_issuer(
        encoded(
            {
                "id": "did:web:other.example",
                "assertionMethod": [other.id],
                "verificationMethod": [
                    {
                        "id": other.id,
                        "controller": "did:web:other.example",
                        "publicKeyMultibase": __import__("shared.vc.keys", fromlist=["multikey"]).multikey(
                            other.public
                        ),
                    }
                ],
            }
        )
    )

    verdict = judge(FILE, known.with_list(encoded(proof.sign(theirs, other, NOW))), NOW)

    assert verdict.word == "status unknown"


def test_given_two_status_entries_or_one_of_another_kind_then_status_unknown() -> None:
    for entry in ([], [document()["credentialStatus"]] * 2, {"type": "StatusList2021Entry"}, None):
        file = {field: value for field, value in document().items() if field != "credentialStatus"}
        said = file if entry is None else file | {"credentialStatus": entry}
        assert judge(jwt.sign(said, KEY).encode(), trust(status_list()), NOW).word == "status unknown"


# --- what is no credential

NOTHING = {
    "empty": b"",
    "an object": b"{}",
    "not JSON": b"hello",
    "a part": FILE[: len(FILE) // 2],
    "a part of a JWT": TOKEN[: len(TOKEN) // 2],
    "a list": b"[]",
    "a number": b"1",
    "ten megabytes of brackets": b"[" * 10_000_000,
    "ten megabytes of objects": b'{"a":' * 2_000_000,
    "brackets": b"[" * 150_000,
    "objects": b'{"a":' * 30_000,
    "many": b"[" + b"1," * 90_000 + b"1]",
    "no text": b"\xff\xfe\xfd",
    "half a character": b'{"a":"\\ud800"}',
    "twice": b'{"type":1,' + FILE[1:],
    "another context": FILE.replace(b"credentials/v2", b"credentials/v1"),
    "another type": FILE.replace(b"OpenBadgeCredential", b"UniversityDegree"),
    "a PDF": b"%PDF-1.7\n%%EOF",
    "a PDF of promises": b"%PDF-1.7\n" + b"1 0 obj <</Type /EmbeddedFile>> stream\n" * 100_000,
    "a PNG": PNG,
    "a PNG of nothing": PNG + b"\0\0\0\0abcdefgh" * 800_000,
    "a large file": b"x" * 17_000_000,
}


@pytest.mark.parametrize("file", NOTHING.values(), ids=NOTHING)
def test_given_no_credential_then_a_plain_verdict_at_once(file: bytes) -> None:
    known = trust(status_list())
    began = time.process_time()

    verdict = judge(file, known, NOW)

    assert (verdict.word, verdict.document) == ("not a credential", None)
    assert verdict.sentence.endswith(".")
    assert time.process_time() - began < 2


def many_contexts() -> dict[str, Any]:
    contexts = [one for place in range(400) for one in ({f"t{place}": "urn:t:1"}, *CONTEXTS)]
    subject = {**signed()["credentialSubject"], "@context": contexts}
    return signed() | {"credentialSubject": subject}


def many_names(number: int) -> dict[str, Any]:
    names = [{**IDENTITY, "identityHash": f"name {place}"} for place in range(number)]
    return signed() | {"credentialSubject": {**signed()["credentialSubject"], "identifier": names}}


IDENTITY = signed()["credentialSubject"]["identifier"][0]
COSTLY = {
    "contexts": many_contexts(),
    "names": many_names(250),
    "more names": many_names(2_000),
    "parts": signed() | {"evidence": signed()["evidence"] * 200},
}


@pytest.mark.parametrize("file", COSTLY.values(), ids=COSTLY)
def test_given_what_is_dear_to_understand_then_a_verdict_in_bounded_time(file: dict[str, Any]) -> None:
    known = trust(status_list())
    began = time.process_time()

    assert judge(encoded(file), known, NOW).word in {"forged", "not a credential"}
    assert time.process_time() - began < 1.5


CUT = {
    "JSON": FILE[: len(FILE) // 2],
    "a JWT's payload": TOKEN[: len(TOKEN) // 2],
    "a JWT's signature": TOKEN[:-20],
    "a PDF": b"%PDF-1.7\n1 0 obj\n" + b"x" * 5_000,
    "a PNG": PNG + b"\0\0\0\rIHDR" + b"x" * 5_000,
}


@pytest.mark.parametrize("file", CUT.values(), ids=CUT)
def test_given_a_part_of_a_file_then_it_says_so(file: bytes) -> None:
    found = judge(file, trust(status_list()), NOW)

    assert (found.word, found.sentence) == ("not a credential", PART)


@pytest.mark.parametrize("file", [b"\xff\xd8\xff\xe0..JFIF", b"RIFF....WEBPVP8 ", b"\0\0\0\x18ftypheic"], ids=str)
def test_given_a_photo_then_it_says_what_to_do_instead(file: bytes) -> None:
    assert judge(file, trust(status_list()), NOW).sentence == PHOTO


@examples(100)
@given(file=st.binary(max_size=300) | st.binary(max_size=60).map(lambda end: b"eyJ" + end))
def test_given_any_bytes_then_a_verdict(file: bytes) -> None:
    assert judge(file, trust(), NOW).word in {"not a credential", "another kind of proof"}


@examples(50)
@given(place=st.integers(0, len(FILE) - 1), value=st.integers(0, 255))
def test_given_any_byte_changed_then_never_another_meaning(place: int, value: int) -> None:
    changed = bytearray(FILE)
    changed[place] = value

    verdict = judge(bytes(changed), trust(status_list()), NOW)

    assert verdict.word != "valid" or json.loads(bytes(changed)) == json.loads(FILE)


def test_given_the_issuer_then_it_is_the_operator_and_never_the_awarding_body() -> None:
    said = document()

    assert said["issuer"]["id"] == DID
    assert said["credentialSubject"]["source"]["name"] == "Wuxi Institute of Technicians"
    assert "did not sign" in said["description"]
