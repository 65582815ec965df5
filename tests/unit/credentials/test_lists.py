"""Status lists: small when few bits are set, and read within limits."""

import gzip
import random
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.vc import keys
from shared.vc.status import LEAST_PLACES, NotAList, decode, encode, encode_reasons, is_set, reason
from tests.credentials import KEY, encoded, status_list

PLACES = st.sets(st.integers(0, LEAST_PLACES - 1), max_size=20)


@given(places=PLACES)
def test_given_places_when_encoded_then_those_are_set_and_no_other(places: set[int]) -> None:
    bits = decode(encode(places))

    assert len(bits) * 8 == LEAST_PLACES
    assert all(is_set(bits, place) for place in places)
    assert sum(byte.bit_count() for byte in bits) == len(places)


@given(places=st.dictionaries(st.integers(0, LEAST_PLACES - 1), st.sampled_from(["revoked", "suspended", "void"])))
def test_given_reasons_when_encoded_then_each_place_has_its_own(places: dict[int, str]) -> None:
    bits = decode(encode_reasons(places))

    assert {place: reason(bits, place) for place in places} == places
    assert all(
        reason(bits, place + 1) == "valid" for place in places if place + 1 not in places and place + 1 < LEAST_PLACES
    )


def test_given_a_million_entries_and_a_thousand_set_then_the_list_is_small() -> None:
    places = random.Random(1).sample(range(1_000_000), 1_000)
    listed = status_list()
    listed["credentialSubject"]["encodedList"] = encode(places, 2**20)

    assert len(encoded(listed)) < 20_000


@pytest.mark.parametrize(
    "bits",
    [b"", bytes(100), bytes(2**23)],
    ids=["nothing", "too short", "a bomb"],
)
def test_given_a_list_of_another_size_then_refused(bits: bytes) -> None:
    with pytest.raises(NotAList):
        decode("u" + urlsafe_b64encode(gzip.compress(bits)).decode().rstrip("="))


@pytest.mark.parametrize("encoded_list", [None, 1, "", "z123", "u!!!", "uAAAA", "u\u0664"])
def test_given_something_else_then_refused(encoded_list: object) -> None:
    with pytest.raises(NotAList):
        decode(encoded_list)


def test_given_no_such_place_then_refused() -> None:
    with pytest.raises(NotAList):
        is_set(decode(encode([])), LEAST_PLACES)


@given(data=st.binary(max_size=64))
def test_given_bytes_when_in_base58_then_they_come_back(data: bytes) -> None:
    assert keys.from_base58(keys.base58(data)) == data


def test_given_a_public_key_then_it_is_a_multikey_and_back() -> None:
    # The first letters are the format's: every Ed25519 Multikey begins with them.
    assert keys.multikey(KEY.public).startswith("z6Mk")
    assert keys.from_multikey(keys.multikey(KEY.public)) == KEY.public
    for text in ("", "z", "z6Mk", "z" + "1" * 300, "z0OIl", keys.base58(bytes(34))):
        with pytest.raises(keys.NotAKey):
            keys.from_multikey(text)
