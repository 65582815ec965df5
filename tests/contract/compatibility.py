"""What may change in a frozen schema: a new optional field, and nothing else.

Less strict would do for a reader or for a writer alone, but old and new run side by side and read each other: a value more in an
enum stops an old reader, one less stops a new one.
"""

from collections.abc import Iterator
from typing import Any

PROSE = ("title", "description")


def incompatibilities(old: Any, new: Any, where: str = "") -> Iterator[str]:
    """Each place where the new schema asks for or may write something else than the old, in words."""
    if isinstance(old, dict) and isinstance(new, dict):
        named = where.endswith(("/properties", "/$defs"))  # the keys are names, not keywords
        for key in old.keys() | new.keys():
            if key in PROSE and not named:
                continue
            place = f"{where}/{key}"
            if key not in new:
                yield f"{place} is gone"
            elif key in old:
                yield from incompatibilities(old[key], new[key], place)
            elif not named:
                yield f"{place} is new"
    elif isinstance(old, list) and isinstance(new, list):
        # Order means nothing in any keyword that holds a list here: required, enum, anyOf.
        yield from (f"{where}: {item!r} is gone" for item in old if item not in new)
        yield from (f"{where}: {item!r} is new" for item in new if item not in old)
    elif old != new or type(old) is not type(new):
        yield f"{where} was {old!r} and is {new!r}"
