"""What may change in a frozen schema: a new optional field, and nothing else.

Less strict would do for a reader or for a writer alone, but old and new run side by side and read each other: a value more in an
enum stops an old reader, one less stops a new one.
"""

from collections.abc import Iterator
from typing import Any

PROSE = ("title", "description")
NAMED = ("properties", "$defs")
"""Keywords whose keys are names of ours."""


def incompatibilities(old: Any, new: Any) -> list[str]:
    """Each place where the new schema asks for or may write something else than the old, in words."""
    return sorted(_differences(_without_prose(old), _without_prose(new), "", named=False))


def _differences(old: Any, new: Any, where: str, *, named: bool) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            place = f"{where}/{key}"
            if key not in new:
                yield f"{place} is gone"
            elif key in old:
                yield from _differences(old[key], new[key], place, named=not named and key in NAMED)
            elif not named:
                yield f"{place} is new"
    elif isinstance(old, list) and isinstance(new, list):
        # Order means nothing in any keyword that holds a list here: required, enum, anyOf.
        yield from (f"{where}: {item!r} is gone" for item in old if item not in new)
        yield from (f"{where}: {item!r} is new" for item in new if item not in old)
    elif old != new or type(old) is not type(new):
        yield f"{where} was {old!r} and is {new!r}"


def _without_prose(part: Any, *, named: bool = False) -> Any:
    if isinstance(part, list):
        return [_without_prose(item) for item in part]
    if not isinstance(part, dict):
        return part
    kept = {
        key: _without_prose(value, named=not named and key in NAMED)
        for key, value in part.items()
        if named or key not in PROSE
    }
    if not named and kept.get("propertyNames") == {}:
        del kept["propertyNames"]  # it asks for nothing
    return kept
