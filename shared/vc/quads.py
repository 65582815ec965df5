"""What a document says as sorted N-Quads (RDF Dataset Canonicalization 1.0): the same for everybody who reads it as JSON-LD.

Expanding JSON-LD costs pyld some ten milliseconds, and the documents of a programme have one shape. So pyld expands a shape once,
with an address of its own in the place of every text; the texts are then put where their places came out. What cannot be done so
without doubt goes through pyld itself, and a property test holds the two ways equal. On the way it is found out whether
anything in the document means nothing in its contexts: nobody signs that, so nobody should believe it.
"""

import json
import re
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, Literal

import pyoxigraph as rdf

from shared.vc.lines import Lines, Quad, TooMuchAlike, lines
from shared.vc.loading import UnknownContext, loader

SHAPES: Final = 64
"""Shapes that are remembered."""

_SLOT: Final = "urn:sampan:slot:"
_AS_THEY_ARE: Final = {"type", "proofPurpose"}
"""What is a word of the contexts themselves."""
_ADDRESS: Final = re.compile(r"(?:https?://|did:|urn:)[^\s<>\"{}|\\^`\x00-\x20]+")
_WRITTEN_DIFFERENTLY: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
"""What RDFC-1.0 escapes and implementations of its drafts, pyld among them, do not."""
_BASE: Final = "https://base.invalid/"
"""Where a word that is no whole address ends up, and is found."""
_OPTIONS: Final = {"documentLoader": loader, "processingMode": "json-ld-1.1", "base": _BASE}

Term = rdf.NamedNode | rdf.BlankNode | rdf.Literal


class NotCanonical(ValueError):
    """A document that has no meaning in RDF that could be signed; the message says why, for a person."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What every document of this shape says; a slot stands for the text at its place in the document."""

    addresses: frozenset[int]
    """Slots that came out as nodes, so whose text must be an address."""
    lines: Lines | None
    """None when texts cannot just be put in."""


_shapes: OrderedDict[str, _Shape] = OrderedDict()
_shapes_lock: Final = Lock()


def canonical(document: Mapping[str, Any]) -> bytes:
    """The document as canonical N-Quads, in UTF-8. Raises NotCanonical."""
    texts: list[str] = []
    _refuse_other_contexts(document)
    said = {name: value for name, value in document.items() if name != "@context"}
    slotted = json.dumps({"@context": document["@context"], **_slotted(said, texts)}, sort_keys=True)
    if slotted.count(_SLOT) != len(texts):
        raise NotCanonical("it plays with how it is read")
    shape = _shape(slotted)
    for slot in shape.addresses:
        if not _ADDRESS.fullmatch(texts[slot]):
            raise NotCanonical("an identifier in it is not a whole address")
        _node(texts[slot])
    try:
        if shape.lines is not None:
            return shape.lines.ordered(texts)
        return lines(_expanded(document), 0, _no_slot).ordered([])
    except TooMuchAlike:
        raise NotCanonical("it holds more parts that look alike than a credential has") from None


def _refuse_other_contexts(document: Mapping[str, Any]) -> None:
    """Contexts stand at the top, by their addresses and each once: one of a stranger's would move fields to other places."""
    named = document.get("@context")
    addresses = [named] if isinstance(named, str) else named
    if not isinstance(addresses, list) or not all(isinstance(one, str) for one in addresses):
        raise NotCanonical("it says in its own words how it is to be read")
    if len(set(addresses)) < len(addresses):
        raise NotCanonical("it names a context twice")


def _slotted(value: Any, texts: list[str], key: str = "") -> Any:
    if key in _AS_THEY_ARE:
        if not isinstance(value, str) and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
            raise NotCanonical("a type in it is no word")
        return value
    if isinstance(value, dict):
        if any(name.startswith("@") for name in value):
            raise NotCanonical("it says in its own words how it is to be read")
        return {name: _slotted(value[name], texts, name) for name in sorted(value)}
    if isinstance(value, list):
        return [_slotted(one, texts) for one in value]
    if isinstance(value, str):
        if _WRITTEN_DIFFERENTLY.search(value):
            raise NotCanonical("it holds a control character, which not everybody writes in one way")
        texts.append(value)
        return f"{_SLOT}{len(texts) - 1}:"
    return value


def _shape(slotted: str) -> _Shape:
    with _shapes_lock:
        if slotted in _shapes:
            _shapes.move_to_end(slotted)
            return _shapes[slotted]
    shape = _learned(json.loads(slotted), slotted.count(_SLOT))
    with _shapes_lock:
        _shapes[slotted] = shape
        while len(_shapes) > SHAPES:
            _shapes.popitem(last=False)
    return shape


def _learned(slotted: Any, texts: int) -> _Shape:
    _refuse_what_means_nothing(slotted)
    quads = list(_expanded(slotted))
    seen = Counter(slot for quad in quads for term in quad for slot in _slots(term))
    whole = Counter(slot for quad in quads for term in quad if (slot := _slot(term)) is not None)
    nodes = frozenset(
        slot for quad in quads for term in quad if isinstance(term, rdf.NamedNode) and (slot := _slot(term)) is not None
    )
    return _Shape(nodes, lines(quads, texts, _slot) if seen == whole else None)


def _refuse_what_means_nothing(slotted: Any) -> None:
    """Every leaf must come out somewhere, numbers and truths too, for which texts stand in; and every type must be known."""
    texts: list[str] = []
    marked = _marked(slotted, texts)
    found = {slot for quad in _expanded(marked) for term in quad for slot in _slots(term)}
    if len(found) < len(texts):
        raise NotCanonical("something in it means nothing in its contexts, so no signature covers it")
    if any(":" not in kind or kind.startswith(_BASE) for kind in _types(_as_json_ld("expand", marked))):
        raise NotCanonical("a type in it is not known in its contexts, so no signature covers it")


def _types(expanded: Any) -> Iterator[str]:
    if isinstance(expanded, list):
        for one in expanded:
            yield from _types(one)
    elif isinstance(expanded, dict):
        kinds = expanded.get("@type", [])
        yield from [kinds] if isinstance(kinds, str) else kinds
        for one in expanded.values():
            yield from _types(one)


def _marked(value: Any, texts: list[str], key: str = "") -> Any:
    if key in _AS_THEY_ARE or key == "@context":
        return value
    if isinstance(value, dict):
        return {name: _marked(one, texts, name) for name, one in value.items()}
    if isinstance(value, list):
        return [_marked(one, texts) for one in value]
    if value is None:
        return None
    texts.append("")
    return f"{_SLOT}{len(texts) - 1}:"


def _expanded(document: Any) -> Iterator[Quad]:
    dataset = _as_json_ld("to_rdf", document)
    for graph, quads in dataset.items():
        name = rdf.DefaultGraph() if graph == "@default" else _term({"type": "IRI", "value": graph})
        for quad in quads:
            yield (_term(quad["subject"]), _node(quad["predicate"]["value"]), _term(quad["object"]), name)


def _as_json_ld(what: Literal["expand", "to_rdf"], document: Any) -> Any:
    # With it come an HTML parser and an HTTP client: a third of what `sampan` would load for commands that verify nothing.
    from pyld import jsonld  # noqa: PLC0415

    try:
        return getattr(jsonld, what)(document, _OPTIONS)
    except (
        jsonld.JsonLdError,
        UnknownContext,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ) as error:
        raise NotCanonical(_reason(error)) from None


def _term(term: Mapping[str, Any]) -> Term:
    value = term["value"]
    if term["type"] == "literal":
        if language := term.get("language"):
            return rdf.Literal(value, language=language)
        return rdf.Literal(value, datatype=rdf.NamedNode(term["datatype"]))
    if term["type"] == "blank node" or value.startswith("_:"):
        return rdf.BlankNode(value[2:])
    return _node(value)


def _node(address: str) -> rdf.NamedNode:
    try:
        return rdf.NamedNode(address)
    except ValueError:
        raise NotCanonical("an identifier in it is not an address") from None


def _reason(error: BaseException) -> str:
    if isinstance(error, UnknownContext) or isinstance(error.__cause__, UnknownContext):
        return "it uses a context that is not known here"
    return "it cannot be read as JSON-LD"


def _slot(term: Any) -> int | None:
    """The slot that a term is, all of it."""
    match = re.fullmatch(rf"{_SLOT}(\d+):", term.value) if isinstance(term, rdf.NamedNode | rdf.Literal) else None
    return int(match[1]) if match else None


def _slots(term: Any) -> list[int]:
    """The slots anywhere in a term."""
    if not isinstance(term, rdf.NamedNode | rdf.Literal):
        return []
    return [int(one) for one in re.findall(rf"{_SLOT}(\d+):", term.value)]


def _no_slot(_: Any) -> None:
    return None
