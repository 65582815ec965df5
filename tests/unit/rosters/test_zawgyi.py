"""Zawgyi: found where it can be, and turned into what Unicode has for it. The pairs are common words in both layouts."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rosters.cells import Around, Wrong, read_cell
from shared.rosters.columns import sheets
from shared.rosters.zawgyi import is_zawgyi, to_unicode

PAIRS = [
    ("မဂၤလာပါ", "မင်္ဂလာပါ"),  # kinzi behind its letter
    ("ေအာင္", "အောင်"),  # E first, and the asat
    ("ျမန္မာ", "မြန်မာ"),  # RA first, and a virama that is an asat
    ("မ္း", "မ်း"),
    ("ေက်ာ္", "ကျော်"),
    ("ေမာင္ေမာင္", "မောင်မောင်"),
    ("ခ်စ္", "ချစ်"),
    ("ႏွင္း", "နှင်း"),
    ("သႏၲာ", "သန္တာ"),  # a stacked letter
    ("စႏၵာ", "စန္ဒာ"),
    ("ၿဖိဳး", "ဖြိုး"),  # a wide RA, and a tall U
    ("လွ", "လှ"),
    ("ညြန္႔", "ညွန့်"),
    ("ဦး", "ဦး"),
]


@pytest.mark.parametrize(("zawgyi", "text"), PAIRS)
def test_words_become_unicode(zawgyi: str, text: str) -> None:
    assert to_unicode(zawgyi) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("zawgyi", [zawgyi for zawgyi, text in PAIRS if zawgyi not in (text, "လွ")])
def test_zawgyi_is_found(zawgyi: str) -> None:
    assert is_zawgyi(zawgyi)


@pytest.mark.parametrize(
    "text",
    [text for _, text in PAIRS] + ["ယောက်ျား", "အောင်ဆန်းစုကြည်", "ကျွန်ုပ်", "သီတာ", "လူ့အခွင့်အရေး", "ၸၢႆးသႅင်ႇ", "Aung", "ចាន់"],
)
def test_unicode_is_not_taken_for_zawgyi(text: str) -> None:
    assert not is_zawgyi(text)


@given(st.text(st.characters(min_codepoint=0x1000, max_codepoint=0x109F), max_size=30))
def test_anything_can_be_asked(text: str) -> None:
    is_zawgyi(text)
    assert unicodedata.is_normalized("NFC", to_unicode(text))


def test_a_name_in_zawgyi_is_offered_in_unicode() -> None:
    (column,) = (column for column in sheets()["trainees"].columns if column.key == "name")
    with pytest.raises(Wrong) as wrong:
        read_cell("ေအာင္ေက်ာ္", column, Around())
    assert wrong.value.flaw.code == "zawgyi"
    assert wrong.value.flaw.offer
    assert wrong.value.flaw.offer.value == "အောင်ကျော်"
    assert read_cell("ေအာင္ေက်ာ္", column, Around(frozenset({"zawgyi"}))) == "အောင်ကျော်"
