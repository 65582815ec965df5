"""The form of what is issued: which fields stand where, and what is a text, an object or a list of them.

A signature covers what a document means as RDF, and JSON can say one meaning in many ways: a field under another of its names,
in an object with the same address elsewhere, in a list, or through a stranger's context. Whoever reads a field by its place would
miss it, and take a document for one without a last day. So what is read is of this form, and of no other. It is learnt from what
``document`` and ``status`` write. A JWT's signature covers every byte, and asks for none of this.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, Final

from shared.vc import status
from shared.vc.document import Attested, Body, Course, Issuer, Mark, credential, isco
from shared.vc.reading import MOST_VALUES

_WORDS: Final = {"@context", "type"}
"""Fields whose values are the contexts' own words, and the same in every document."""
MOST_UNNAMED: Final = 8
"""Names, or classifications: there are two of a holder, and four of an award."""
_ELSEWHERE: Final = (
    "Its fields do not stand where those of such a document do ({}), which no signature covers: something may be hidden. Ask "
    "for the file again, or get a newer program if its issuer has one."
)


class OtherForm(ValueError):
    """Not laid out as what is issued; the message is for a person."""


@dataclass(frozen=True, slots=True)
class _Object:
    fields: Mapping[str, Any]
    always: frozenset[str]


@dataclass(frozen=True, slots=True)
class _ListOf:
    """At least one of them."""

    each: Any

    @property
    def most(self) -> int:
        """Of what has no address few are issued: telling them apart is what takes long."""
        return MOST_UNNAMED if isinstance(self.each, _Object) and "id" not in self.each.fields else MOST_VALUES


@dataclass(frozen=True, slots=True)
class _Word:
    value: Any


def check(document: Mapping[str, Any]) -> None:
    """Whether a document, beside its proof, has the form of what is issued under its types. Raises OtherForm."""
    said = {field: value for field, value in document.items() if field != "proof"}
    form = _forms().get(_kind(said))
    if form is None:
        raise OtherForm(_ELSEWHERE.format("type"))
    _compare(said, form, "")
    seen: dict[str, tuple[str, Any]] = {}
    for place, one in _named(said, ""):
        before, same = seen.setdefault(one["id"], (place, one))
        if place != before and one != same:
            raise OtherForm(_ELSEWHERE.format(place))


def _kind(document: Mapping[str, Any]) -> str:
    return repr(document.get("type"))


@cache
def _forms() -> dict[str, Any]:
    samples: dict[str, list[Any]] = {}
    for one in _samples():
        samples.setdefault(_kind(one), []).append(one)
    return {kind: _learnt(those) for kind, those in samples.items()}


def _learnt(samples: Sequence[Any], field: str = "") -> Any:
    first = samples[0]
    if field in _WORDS or isinstance(first, bool):
        return _Word(first)
    if isinstance(first, str):
        return str
    if isinstance(first, list):
        return _ListOf(_learnt([one for sample in samples for one in sample]))
    names = dict.fromkeys(name for sample in samples for name in sample)
    return _Object(
        {name: _learnt([sample[name] for sample in samples if name in sample], name) for name in names},
        frozenset(name for name in names if all(name in sample for sample in samples)),
    )


def _compare(value: Any, form: Any, place: str) -> None:
    fits = True
    if isinstance(form, _Word):
        fits = type(value) is type(form.value) and value == form.value
    elif isinstance(form, _ListOf):
        fits = isinstance(value, list) and 0 < len(value) <= form.most
        for one in value if fits else ():
            _compare(one, form.each, place)
    elif isinstance(form, _Object):
        fits = isinstance(value, dict) and form.always <= value.keys() <= form.fields.keys()
        for name, one in value.items() if fits else ():
            _compare(one, form.fields[name], f"{place}.{name}" if place else name)
    else:
        fits = isinstance(value, str)
    if not fits:
        raise OtherForm(_ELSEWHERE.format(place or "at the top"))


def _named(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Objects with an address of their own, and their places; those of one list have one place."""
    if isinstance(value, list):
        for one in value:
            yield from _named(one, place)
    elif isinstance(value, dict):
        if "id" in value:
            yield place or "at the top", value
        for name, one in value.items():
            yield from _named(one, f"{place}.{name}" if place else name)


def _samples() -> list[dict[str, Any]]:
    """With everything that may be said, and with nothing that may be left out."""
    day, at = date(2025, 1, 1), datetime(2025, 1, 1, tzinfo=UTC)
    issuer = Issuer("did:web:a.example", "a", "https://a.example")
    bare = Attested(
        id="https://a.example/c",
        certificate="a",
        edition=1,
        scheme="a",
        scheme_title="a",
        body=Body("a"),
        occupation="a",
        occupation_title="a",
        level="a",
        level_title="a",
        printed=None,
        number=None,
        awarded_on=day,
        valid_until=None,
        course=Course("a", "a", "a", "CN"),
        status_list="https://a.example/l",
        status_place=1,
        page="https://a.example/p",
    )
    full = replace(
        bare,
        body=Body("a", "https://b.example"),
        number="1",
        valid_until=day,
        course=Course("a", "a", "a", "CN", day, day),
        names=("a", "b"),
        marks=(Mark("a", "1", "2", passed=True),),
        codes=(isco("7411"),),
    )
    return [
        credential(bare, issuer),
        credential(full, issuer),
        status.status_credential("https://a.example/l", issuer.did, (), at, timedelta(1)),
        status.reasons_credential("https://a.example/l", issuer.did, {}, at, timedelta(1)),
    ]
