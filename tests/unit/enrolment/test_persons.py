"""Who is one person, what is left of somebody who is forgotten, and who may be a duplicate: without any database."""

import random
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.enrolment.details import Details
from services.enrolment.domain import Faded, Identifier, Known, Particulars
from services.enrolment.duplicates import likely
from services.enrolment.facts import MERGED, components
from services.enrolment.fold import fold
from services.enrolment.register import FIRST_MASTER, Fading, MasterUnknown, Register
from tests.unit.enrolment.story import SENDER, decided, entry, place, voided

ENROLMENTS = ("a", "b", "c", "d")
two = st.tuples(st.sampled_from(ENROLMENTS), st.sampled_from(ENROLMENTS)).filter(lambda pair: pair[0] < pair[1])
links = st.lists(st.tuples(st.sampled_from(ENROLMENTS), st.sampled_from(("x", "y", "z"))), max_size=8)


def merged(pairs: Any) -> list[tuple[str, str]]:
    return [(enrolment, f"{MERGED}{'/'.join(pair)}") for pair in pairs for enrolment in pair]


@given(shared=links, pairs=st.sets(two), apart=st.sets(two), data=st.data())
def test_persons_are_what_their_edges_connect(shared: Any, pairs: Any, apart: Any, data: st.DataObject) -> None:
    given_links = [*shared, *merged(pairs)]
    found = components(data.draw(st.permutations(given_links)), apart)
    edges = {
        (one, other)
        for one in ENROLMENTS
        for other in ENROLMENTS
        if one < other and ((one, other) in pairs or ((one, other) not in apart and _share(shared, one, other)))
    }
    for one in found:
        assert found[one] == min(_reach(one, edges))


def _share(shared: Any, one: str, other: str) -> bool:
    return bool({link for key, link in shared if key == one} & {link for key, link in shared if key == other})


def _reach(start: str, edges: set[tuple[str, str]]) -> set[str]:
    reached, ask = {start}, [start]
    while ask:
        node = ask.pop()
        near = {b for a, b in edges if a == node} | {a for a, b in edges if b == node}
        ask += near - reached
        reached |= near
    return reached


SEEN = Known(seen_by={place("01"): {SENDER: None}, place("02"): {SENDER: None}})


@pytest.mark.parametrize(
    ("kinds", "is_merged", "is_apart"),
    [
        ("m", True, False),
        ("p", False, True),
        ("mp", False, False),
        ("mmp", False, False),
        ("pm", True, True),
        ("pmp", False, True),
        ("mpp", False, True),
    ],
)
def test_a_part_takes_back_a_merge_and_else_sets_apart(kinds: str, is_merged: bool, is_apart: bool) -> None:
    kind = {"m": "merged", "p": "parted"}
    events = [entry(decided(kind[letter], "01", "02", day)) for day, letter in enumerate(kinds, 20)]
    pair = fold(reversed(events), SEEN).state.pair
    assert (pair.merged, pair.apart) == (is_merged, is_apart)


def test_a_voided_merge_was_never_said() -> None:
    said = decided("merged", "01", "02", 20)
    pair = fold([entry(voided(said)), entry(said), entry(decided("parted", "01", "02", 21))], SEEN).state.pair
    assert (pair.merged, pair.apart) == (False, True)


# --- forgetting


def test_what_fades_still_tells_same_from_different_and_matches_nothing_else() -> None:
    def fades(fading: Fading, born: date, number: str) -> Particulars:
        said = Particulars("F", born, "no", (Identifier("passport", "KH", number),), ("training",))
        return fading.of(said, lambda _: "Y15T24")

    one, other = Fading(), Fading()
    first, again, differs = (fades(one, date(2001, 1, day), f"h{day}") for day in (1, 1, 2))
    assert first == again
    assert first.birth_date != differs.birth_date
    assert first.identifiers != differs.identifiers
    assert fades(other, date(2001, 1, 1), "h1").identifiers != first.identifiers
    assert isinstance(first.birth_date, Faded)
    assert first.birth_date.band == "Y15T24"
    assert (first.sex, first.disability, first.purposes) == ("F", "no", ("training",))
    assert "h1" not in repr(first.identifiers)


# --- keys


def test_a_key_under_another_master_opens_the_same() -> None:
    register, elsewhere = Register(b"\x01" * 32), Register(b"\x01" * 32)
    old = register.new_key("e", FIRST_MASTER)
    sealed = register.seal(old, "e", b"Dara", "place")
    master = register.new_master(2)
    with pytest.raises(MasterUnknown):
        register.wrap_anew(old, "e", 2)
    register.learn({2: master})
    new = register.wrap_anew(old, "e", 2)
    assert register.unseal(new, "e", sealed, "place") == register.unseal(old, "e", sealed, "place") == b"Dara"
    with pytest.raises(MasterUnknown):
        elsewhere.unseal(new, "e", sealed, "place")
    elsewhere.learn({2: master})
    assert elsewhere.unseal(new, "e", sealed, "place") == b"Dara"


# --- likely duplicates


def named(romanised: str, born: str | None, original: str = "") -> Details:
    return Details(names={"romanised": romanised, "original": original or romanised}, birth_date=born)


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (named("Sok Dara", "2005-04-01"), named("DARA SOK", "2005-04-01"), "same"),
        (named("Sok Dara", "2005-04-01"), named("Sok-Dara", "2005-01-04"), "day and month exchanged"),
        (named("Phonesavanh", "2005-04-01"), named("Phonsavanh", "2005-04-07"), "one digit differs"),
        (named("Đặng Thị Hoà", "2005-04-01"), named("Dang Thi Hoa", "2005-04-01"), "same"),
        (named("A", "2005-04-01", "ສົມສັກ ແກ້ວ"), named("B", "2005-04-01", "ສົມສັກ\u200bແກ້ວ"), "same"),
        (named("Sok Dara", None), named("Sok Dara", "2005-04-01"), "unknown"),
        (named("Sok Dara", None), named("Sok Daro", "2005-04-01"), None),
        (named("Sok Dara", "2005-04-01"), named("Sok Dara", "1989-12-30"), None),
        (named("Sok Dara", "2005-04-01"), named("Chan Bopha", "2005-04-01"), None),
        (Details(), Details(), None),
    ],
)
def test_what_is_close_enough_to_ask_somebody(one: Details, other: Details, found: str | None) -> None:
    pairs = likely({"a": one, "b": other}, lambda *_: False)
    assert [pair.birth_dates for pair in pairs] == ([found] if found else [])
    assert likely({"a": one, "b": other}, lambda *_: True) == []


@pytest.mark.long
def test_a_whole_country_is_compared_in_a_moment() -> None:
    chosen = random.Random(4)
    parts = ["".join(chosen.choices("abdehiklmnoprstuv", k=5)) for _ in range(2000)]
    everyone = {
        f"{n:05}": named(
            " ".join(chosen.choices(parts, k=2)),
            f"{chosen.randint(1985, 2007)}-{chosen.randint(1, 12):02}-{chosen.randint(1, 28):02}",
        )
        for n in range(20_000)
    }
    everyone["again"] = everyone["00007"]
    found = likely(everyone, lambda *_: False)
    assert ("00007", "again", 100) in [(pair.one, pair.other, pair.names) for pair in found]
