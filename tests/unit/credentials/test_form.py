"""A signature covers what a document means, and not where in the JSON it stands: what is moved or hidden is found."""

import copy
import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyld import jsonld

from shared.vc.loading import CREDENTIALS, OPEN_BADGES, context, loader
from shared.vc.status import PURPOSE
from shared.vc.trust import NotTrusted
from shared.vc.verdict import judge
from tests.credentials import LIST, NOW, PLACE, encoded, reasons, signed, status_list, trust

ISSUED = json.loads((Path(__file__).parent / "issued.json").read_text("utf-8"))
"""Documents of versions before this one, as they were signed."""
Way = tuple[str | int, ...]

EXPIRED = signed(valid_until=date(2026, 3, 1))
LATER = status_list(at=NOW)


def word(file: Any) -> str:
    return judge(encoded(file), trust(LATER), NOW).word


def meaning(file: Any) -> str:
    said = {field: value for field, value in file.items() if field != "proof"}
    return str(jsonld.normalize(said, {"documentLoader": loader, "format": "application/n-quads"}))


def ways(value: Any, way: Way = ()) -> Iterator[Way]:
    """Where fields are, at any depth, but for what its proof says and its contexts."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        if key in {"proof", "@context"} and not way:
            continue
        if isinstance(key, str):
            yield (*way, key)
        yield from ways(one, (*way, key))


def at(value: Any, way: Way) -> Any:
    for step in way:
        value = value[step]
    return value


# --- what a stranger can do to one field without touching what is meant


def gone(holder: Any, field: str) -> None:
    del holder[field]


def nested(holder: Any, field: str) -> None:
    holder["n"] = {field: holder.pop(field)}
    holder["@context"] = {"n": "@nest"}


def included(holder: Any, field: str) -> None:
    holder["inc"] = [{"id": holder.get("id"), field: holder.pop(field)}]
    holder["@context"] = {"inc": "@included"}


def by_its_keyword(holder: Any, field: str) -> None:
    holder["@nest"] = {field: holder.pop(field)}


def by_its_whole_name(holder: Any, field: str) -> None:
    holder[WHOLE_NAMES.get(field, f"https://schema.org/{field}")] = holder.pop(field)


def by_another_name(holder: Any, field: str) -> None:
    holder["other"] = holder.pop(field)
    holder["@context"] = {"other": WHOLE_NAMES.get(field, f"@{field}")}


def in_a_list(holder: Any, field: str) -> None:
    holder[field] = [holder[field]]


def nothing_beside(holder: Any, field: str) -> None:
    holder[field] = [holder[field], None]


def as_an_address(holder: Any, field: str) -> None:
    value = holder[field]
    first = value[0] if isinstance(value, list) else value
    holder[field] = first["id"] if isinstance(first, dict) and "id" in first else {"id": value}


def names_of(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, one in value.items():
            address = one.get("@id") if isinstance(one, dict) else one
            if isinstance(address, str) and address.startswith("https://"):
                yield name, address
            yield from names_of(one)


WHOLE_NAMES = {name: address for one in (OPEN_BADGES, CREDENTIALS) for name, address in names_of(context(one))}
TRICKS: list[Callable[[Any, str], None]] = [
    gone,
    nested,
    included,
    by_its_keyword,
    by_its_whole_name,
    by_another_name,
    in_a_list,
    nothing_beside,
    as_an_address,
]


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.__name__)
@pytest.mark.parametrize("way", list(ways(EXPIRED)), ids=lambda way: ".".join(map(str, way)))
def test_given_any_field_moved_or_removed_then_it_is_not_genuine(way: Way, trick: Callable[[Any, str], None]) -> None:
    changed = copy.deepcopy(EXPIRED)
    trick(at(changed, way[:-1]), str(way[-1]))

    # With another context or type it is no credential at all, and without its issuer nobody's.
    assert word(changed) in {"forged", "not a credential", "unknown issuer"}


def test_given_its_last_day_said_of_the_same_address_elsewhere_then_forged_though_it_means_the_same() -> None:
    changed = copy.deepcopy(EXPIRED)
    subject = changed["credentialSubject"]
    subject["@context"] = {"inc": "@included"}
    subject["inc"] = [{"id": changed["id"], "type": changed["type"], "validUntil": changed.pop("validUntil")}]

    assert meaning(changed) == meaning(EXPIRED)
    assert (word(EXPIRED), word(changed)) == ("expired", "forged")


@pytest.mark.parametrize("kept", [("id",), ("id", "type", "name"), ("id", "type", "url")], ids=str)
@pytest.mark.parametrize("place", [("source",), ("achievement", "creator")], ids=str)
def test_given_an_awarding_body_that_says_less_in_one_of_its_two_places_then_forged(
    place: tuple[str, ...], kept: tuple[str, ...]
) -> None:
    changed = signed()
    holder = at(changed["credentialSubject"], place[:-1])
    holder[place[-1]] = {field: holder[place[-1]][field] for field in kept}

    assert meaning(changed) == meaning(signed())
    assert word(changed) == "forged"


@pytest.mark.parametrize("field", ["validUntil", "identifier", "licenseNumber", "result"])
@pytest.mark.parametrize("value", [None, []], ids=str)
def test_given_an_empty_field_that_means_nothing_then_forged(field: str, value: Any) -> None:
    changed = signed(names=(), number=None, marks=())
    holder = changed if field == "validUntil" else changed["credentialSubject"]
    holder[field] = value

    assert word(changed) == "forged"


@pytest.mark.parametrize("way", list(ways(LATER)), ids=lambda way: ".".join(map(str, way)))
@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.__name__)
def test_given_a_list_with_a_field_moved_or_removed_then_it_is_not_trusted(
    way: Way, trick: Callable[[Any, str], None]
) -> None:
    changed = copy.deepcopy(LATER)
    trick(at(changed, way[:-1]), str(way[-1]))

    with pytest.raises(NotTrusted):
        trust(changed)


# --- what was issued stays good


@pytest.mark.parametrize("name", [name for name in ISSUED if "list" not in name and name != "reasons"])
def test_given_what_was_issued_before_then_it_is_valid_as_ever(name: str) -> None:
    assert judge(encoded(ISSUED[name]), trust(ISSUED["list"], ISSUED["reasons"]), NOW).word == "valid"


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"names": (), "marks": (), "codes": (), "number": None, "printed": None, "passed_on": None},
        {"valid_until": date(2030, 4, 29), "edition": 2, "local": True, "names": ("王小明", "王小明")},
    ],
)
def test_given_what_is_issued_then_valid(shape: dict[str, Any]) -> None:
    known = trust(status_list([PLACE + 1]), reasons({}))

    assert judge(encoded(signed(**shape)), known, NOW).word == "valid"
    assert (LIST, PURPOSE) in known.lists
