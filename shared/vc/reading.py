"""JSON from strangers: small, not deep, and with one meaning."""

import json
from typing import Any, Final

DEEPEST: Final = 24
MOST_VALUES: Final = 1_500
"""A credential with twenty parts of an assessment has some four hundred."""
PART: Final = "Only a part of this file is there. Get it anew."


class NotReadable(ValueError):
    """Not JSON of the kind that is read here; the message is for a person."""


def read(content: bytes, largest: int) -> Any:
    """The value that is written there. Raises NotReadable."""
    if len(content) > largest:
        raise NotReadable("It is far larger than a credential.")
    try:
        value = json.loads(
            content.decode("utf-8-sig"),
            object_pairs_hook=_object,
            parse_constant=_refused,
            parse_float=_refused,
        )
    except RecursionError:
        raise NotReadable("It is nested deeper than a credential.") from None
    except NotReadable:
        raise
    except ValueError:
        begun = content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and not content.rstrip().endswith(b"}")
        raise NotReadable(PART if begun else "It is not JSON, or only a part of it is there.") from None
    _measured(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise NotReadable("It says something twice, so it could be read in two ways.")
    return fields


def _refused(_: str) -> Any:
    raise NotReadable("It holds a number that no credential has.")


def _measured(value: Any) -> None:
    seen, level = 0, [value]
    for _ in range(DEEPEST):
        inside: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inside.extend(one.values())
            elif isinstance(one, list):
                inside.extend(one)
            elif isinstance(one, str) and not _is_text(one):
                raise NotReadable("It holds something that is no text.")
        seen += len(inside)
        if seen > MOST_VALUES:
            raise NotReadable("It has more parts than a credential.")
        if not inside:
            return
        level = inside
    raise NotReadable("It is nested deeper than a credential.")


def _is_text(text: str) -> bool:
    """No halves of characters, which cannot be written as UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
