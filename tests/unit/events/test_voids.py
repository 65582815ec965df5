"""Which voids hold, whatever the number of voids of voids."""

import random
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from shared.events.voids import Ref, Said, voids

SOURCE = "/offices/kh/ntti"
VOID = "event.voided.v1"


def ref(name: str) -> Ref:
    return SOURCE, name


def event(name: str, kind: str = "cohort.started.v1") -> Said:
    return Said(ref(name), kind)


def void(name: str, target: str, named: str = VOID) -> Said:
    return Said(ref(name), VOID, ref(target), named)


def first(name: str, target: str = "e") -> Said:
    """A void of an event that is no void."""
    return void(name, target, "cohort.started.v1")


def decided(*said: Said) -> tuple[set[str], dict[str, str]]:
    """What is out, and how the voids stand."""
    found = voids(said)
    assert {code for one, code in found.codes.items() if one in found.out} <= {"voided"}
    return {name for _, name in found.out}, {name: code for (_, name), code in found.codes.items()}


def test_a_void_takes_out_and_its_void_brings_back() -> None:
    assert decided(event("e"), first("v")) == ({"e"}, {"v": "applied"})
    assert decided(event("e"), first("v"), void("w", "v")) == ({"v"}, {"v": "voided", "w": "applied"})
    assert decided(event("e"), first("v"), void("w", "v"), void("x", "w")) == (
        {"e", "w"},
        {"v": "applied", "w": "voided", "x": "applied"},
    )


def test_a_second_void_takes_the_place_of_one_that_is_taken_out() -> None:
    assert decided(event("e"), first("v"), first("u")) == ({"e"}, {"v": "applied", "u": "already_voided"})
    assert decided(event("e"), first("v"), first("u"), void("w", "v"))[1]["u"] == "applied"


def test_what_has_not_come_and_what_is_of_another_type() -> None:
    assert decided(first("v")) == (set(), {"v": "event_unknown"})
    assert decided(void("w", "v")) == (set(), {"w": "event_unknown"})
    assert decided(event("e"), void("v", "e", "cohort.closed.v1")) == (set(), {"v": "type_differs"})
    assert decided(event("e"), first("v"), first("w", "v"))[1] == {"v": "applied", "w": "type_differs"}
    assert decided(first("v"), void("w", "v")) == ({"v"}, {"v": "voided", "w": "applied"})


def test_voids_in_a_circle_take_out_nothing() -> None:
    circle = [void("a", "b"), void("b", "a")]
    assert decided(*circle) == (set(), {"a": "voids_itself", "b": "voids_itself"})
    assert decided(*circle, void("c", "a")) == ({"a"}, {"a": "voided", "b": "voids_itself", "c": "applied"})
    assert decided(void("a", "a")) == (set(), {"a": "voids_itself"})


def test_thousands_of_voids_in_a_row_are_decided_at_once() -> None:
    row = [event("e"), first("v0"), *(void(f"v{n}", f"v{n - 1}") for n in range(1, 5000))]
    out, codes = decided(*row)
    assert "e" not in out
    assert codes["v4999"] == "applied"


NAMES = st.sampled_from("abcdefg")
KINDS: st.SearchStrategy[Literal["cohort.started.v1", "cohort.closed.v1"]] = st.sampled_from(
    ("cohort.started.v1", "cohort.closed.v1")
)


@st.composite
def sets(draw: st.DrawFn) -> list[Said]:
    """Events with voids of them and of each other, in the order of the fold."""
    said = {name: event(name, draw(KINDS)) for name in "xyz"}
    for name in draw(st.lists(NAMES, unique=True)):
        said[name] = void(
            name, draw(st.sampled_from("abcdefgxyz")), draw(st.sampled_from((VOID, VOID, VOID, "cohort.started.v1")))
        )
    return draw(st.permutations(list(said.values())))


@given(sets())
def test_nothing_that_is_taken_out_takes_anything_out(said: list[Said]) -> None:
    found = voids(said)
    known = {one.ref: one for one in said}
    assert found.codes.keys() == {one.ref for one in said if one.target}
    for target, by in found.out.items():
        assert by not in found.out
        assert found.codes[by] == "applied"
        assert known[by].target == target
        assert known[target].type == known[by].named
    assert {by for by, code in found.codes.items() if code == "applied"} == set(found.out.values())
    assert {one for one, code in found.codes.items() if code == "voided"} == found.out.keys() & found.codes.keys()
    for one, code in found.codes.items():
        if code == "already_voided":
            assert known[one].target in found.out


@given(sets(), st.randoms(use_true_random=False))
def test_one_more_void_of_the_last_and_its_void_change_nothing_else(said: list[Said], chance: random.Random) -> None:
    before = voids(said)
    target = chance.choice(said)
    more = [void("new", target.ref[1], target.type), void("newer", "new")]
    after = voids([*said, *more])
    assert {one: by for one, by in after.out.items() if one != ref("new")} == before.out
    assert {one: code for one, code in after.codes.items() if one not in {ref("new"), ref("newer")}} == before.codes
