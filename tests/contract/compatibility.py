"""What may change in a frozen schema: a new optional field, and nothing else. In a frozen document: also what is new beside
what there was, such as an address, an optional parameter, a channel or a type of event.

Less strict would do for a reader or for a writer alone, but old and new run side by side and read each other: a value more in an
enum stops an old reader, one less stops a new one.
"""

from collections.abc import Iterator, Sequence
from typing import Any

PROSE = ("title", "description", "summary")
NAMED = ("properties", "$defs")
"""Keywords whose keys are names of ours."""
NAMED_IN_DOCUMENTS = (
    *NAMED,
    *("paths", "parameters", "responses", "content", "schemas", "securitySchemes"),
    *("channels", "operations", "messages", "oneOf", "mapping"),
)


def incompatibilities(old: Any, new: Any) -> list[str]:
    """Each place where the new schema asks for or may write something else than the old, in words."""
    return sorted(_differences(_without_prose(old), _without_prose(new), ""))


def broken_promises(old: Any, new: Any) -> list[str]:
    """Each place where the new OpenAPI or AsyncAPI document takes away or changes what the old one says."""
    before, after = (_without_prose(_by_name(document), NAMED_IN_DOCUMENTS) for document in (old, new))
    return sorted(_differences(before, after, "", NAMED_IN_DOCUMENTS))


def _by_name(part: Any, key: str = "") -> Any:
    """The document with a name for each thing that stands in a list or in a map of maps."""
    if isinstance(part, list):
        if key == "parameters":
            return {f"{one['in']} {one['name']}": one for one in part}
        if key in ("oneOf", "messages"):
            return {str(one): True for one in part}
        return [_by_name(one) for one in part]
    if not isinstance(part, dict):
        return part
    if "responses" in part:  # an operation that has no parameters yet may get optional ones
        part = {"parameters": [], **part}
    if "payload" in part:  # and a message headers
        part = {"headers": {"type": "object", "properties": {}}, **part}
    if key == "paths":
        part = {f"{method} {path}": one for path, methods in part.items() for method, one in methods.items()}
    found = {name: _by_name(one, name) for name, one in part.items()}
    if isinstance(part.get("parameters"), list):
        found["required parameters"] = [one["name"] for one in part["parameters"] if one.get("required")]
    return found


def _differences(old: Any, new: Any, where: str, names: Sequence[str] = NAMED, *, named: bool = False) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            place = f"{where}/{key}"
            if key not in new:
                yield f"{place} is gone"
            elif key in old:
                yield from _differences(old[key], new[key], place, names, named=not named and key in names)
            elif not named:
                yield f"{place} is new"
    elif isinstance(old, list) and isinstance(new, list):
        # Order means nothing in any keyword that holds a list here: required, enum, anyOf.
        yield from (f"{where}: {item!r} is gone" for item in old if item not in new)
        yield from (f"{where}: {item!r} is new" for item in new if item not in old)
    elif old != new or type(old) is not type(new):
        yield f"{where} was {old!r} and is {new!r}"


def _without_prose(part: Any, names: Sequence[str] = NAMED, *, named: bool = False) -> Any:
    if isinstance(part, list):
        return [_without_prose(item, names) for item in part]
    if not isinstance(part, dict):
        return part
    kept = {
        key: _without_prose(value, names, named=not named and key in names)
        for key, value in part.items()
        if named or key not in PROSE
    }
    if not named and kept.get("propertyNames") == {}:
        del kept["propertyNames"]  # it asks for nothing
    return kept
