"""The short way to canonical N-Quads says what pyld says, and covers everything or refuses."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyld import jsonld

from shared.vc.document import CONTEXTS, Mark
from shared.vc.loading import loader
from shared.vc.quads import NotCanonical, canonical
from tests.credentials import document, reasons, signed, status_list

TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff", include_characters="\t\n\r"),
    min_size=1,
    max_size=40,
)
MARKS = st.builds(Mark, TEXTS, TEXTS, TEXTS, st.booleans())


def by_pyld(said: Any) -> bytes:
    return jsonld.normalize(
        said, {"documentLoader": loader, "algorithm": "URDNA2015", "format": "application/n-quads"}
    ).encode()


@settings(max_examples=60)
@given(
    names=st.lists(TEXTS, max_size=2).map(tuple),
    scheme_title=TEXTS,
    level_title=TEXTS,
    number=TEXTS | st.none(),
    marks=st.lists(MARKS, max_size=3, unique_by=lambda mark: mark.part).map(tuple),
)
def test_given_any_texts_when_canonical_then_as_pyld_would_have_it(**changes: Any) -> None:
    said = document(**changes)

    assert canonical(said) == by_pyld(said)


@pytest.mark.parametrize("said", [status_list([1, 5]), reasons({1: "revoked"})], ids=["list", "reasons"])
def test_given_a_list_when_canonical_then_as_pyld_would_have_it(said: dict[str, Any]) -> None:
    plain = {field: value for field, value in said.items() if field != "proof"}

    assert canonical(plain) == by_pyld(plain)


def test_given_a_text_that_looks_like_a_slot_when_canonical_then_it_is_a_text() -> None:
    said = document(number="urn:sampan:slot:0:", names=("urn:sampan:slot:1:",))

    assert canonical(said) == by_pyld(said)


@pytest.mark.parametrize("times", [2, 3])
def test_given_parts_that_look_alike_when_canonical_then_as_pyld_would_have_it(times: int) -> None:
    said = document() | {"evidence": [{"type": ["Evidence"], "name": "n", "narrative": "m"}] * times}

    assert canonical(said) == by_pyld(said)


@pytest.mark.parametrize(
    "change",
    [
        {"unheard": "of"},
        {"unheard": 1},
        {"type": ["VerifiableCredential", "OpenBadgeCredential", "Unheard"]},
        {"@context": ["https://www.w3.org/ns/credentials/v2", "https://elsewhere.example/context"]},
        {"@context": ["https://www.w3.org/ns/credentials/v2"]},
        {"id": "_:b0"},
        {"id": "relative"},
        {"id": "https://[half.example"},
        {"@graph": []},
        {"@context": [*CONTEXTS, {"last": "https://www.w3.org/2018/credentials#validUntil"}]},
        {"@context": {"inc": "@included"}},
        {"@context": [*CONTEXTS, *CONTEXTS]},
        {"evidence": [{"@context": list(CONTEXTS), "type": ["Evidence"], "name": "n"}]},
        {"evidence": [{"type": [{"id": "urn:a:b"}], "name": "n"}]},
        {"evidence": [{"type": ["Evidence"], "name": "n"}] * 20},
        {"type": ["urn:sampan:slot:0:"]},
        {"name": "a bell \x07"},
    ],
    ids=str,
)
def test_given_what_no_signature_would_cover_when_canonical_then_refused(change: dict[str, Any]) -> None:
    with pytest.raises(NotCanonical):
        canonical(document() | change)


def test_given_another_place_for_a_text_when_canonical_then_other_quads() -> None:
    assert canonical(document(names=("a", "b"), number="c")) != canonical(document(names=("a", "c"), number="b"))
    assert signed() == signed()
