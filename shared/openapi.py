"""What FastAPI cannot know of a service's HTTP: the bodies that are read by hand, the answers in case of trouble, the token.

Everything else in an OpenAPI document is FastAPI's own work from the routes and their models.
"""

from collections.abc import Mapping
from typing import Any, Final

from shared.correlation import HEADER
from shared.events.codes import Model
from shared.events.wire import BATCH, BODY_LIMIT, EVENTS_LIMIT, NDJSON, ONE
from shared.schemas import Schema, events, one_of, ref

OPEN: Final[dict[str, Any]] = {"security": []}
"""For the route of an address that asks for no token."""

EVENTS_BODY: Final[Schema] = {
    "required": True,
    "description": f"At most {BODY_LIMIT:,} bytes and {EVENTS_LIMIT:,} events, without Content-Encoding. An event that fits "
    "its schema can still be rejected by what no schema says (two fields that contradict each other): its receipt says so.",
    "content": {
        ONE: {"schema": ref("Event")},
        BATCH: {"schema": {"type": "array", "maxItems": EVENTS_LIMIT, "items": ref("Event")}},
        NDJSON: {
            "schema": {
                "type": "string",
                "description": "One event to a line, each as in a body of one.",
                "contentMediaType": NDJSON,
                "contentSchema": {"type": "array", "maxItems": EVENTS_LIMIT, "items": ref("Event")},
            }
        },
    },
}
"""The body of POST /v1/events; ``Event`` is whatever the service takes."""

BUNDLE_BODY: Final[Schema] = {
    "required": True,
    "description": f"At most {BODY_LIMIT:,} bytes and {EVENTS_LIMIT:,} lines, each as `sampan post --offline` writes it: "
    "see docs/offline.md.",
    "content": {NDJSON: {"schema": {"type": "string", "contentMediaType": NDJSON}}},
}
"""The body of POST /v1/bundles."""

CORRELATION: Final[Schema] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "An id that follows the events through every log and all that they cause; it must name nobody. Without one, "
    "or with one of another form, a new one is made. The answer has it in the same header.",
    "schema": {"type": "string"},
}
"""The header of a POST of events."""

_RETRY: Final[Schema] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_CHALLENGE: Final[Schema] = {"WWW-Authenticate": {"description": "Bearer.", "schema": {"type": "string"}}}
_ANSWERS: Final[Mapping[int, tuple[str, Schema]]] = {
    400: ("It cannot be read: `code` and `message` say what is wrong. Nothing was taken.", {}),
    401: ("There is no token, or it is not good (any more).", _CHALLENGE),
    403: ("This caller may not do this.", {}),
    404: ("There is no such thing, or none that this caller may see.", {}),
    409: ("It cannot be done as things are.", {}),
    410: ("It was here, and is gone for good: its person is forgotten.", {}),
    413: ("The body is too large. Nothing was taken.", {}),
    415: ("The body is of another type, or encoded. Nothing was taken.", {}),
    429: ("This office sends too much at a time, or too many bad tokens were tried. Nothing was taken; wait.", _RETRY),
    500: ("A mistake in the service. Nothing was taken.", {}),
    503: ("The service cannot do its work just now. Nothing was taken; try again.", _RETRY),
}
_ALWAYS: Final = (401, 429, 500, 503)
_PROBLEM: Final[Schema] = {
    "title": "Problem",
    "type": "object",
    "description": "Any answer but success: a stable code for programs, and for people what happened and what to do next.",
    "required": ["code", "message"],
    "properties": {"code": {"type": "string", "pattern": "^[a-z0-9_]+$"}, "message": {"type": "string"}},
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's ``responses``: the statuses that it alone may answer with a problem.

    Every route may besides answer 401, 429, 500 and 503, one with a parameter 400, and one with a name in its path 404.
    """
    return {status: {} for status in statuses}


def complete(document: Schema, takes: Mapping[str, type[Model]]) -> Schema:
    """FastAPI's document with the token, the problems and the events that the service takes.

    Raises ``ValueError`` when two different models have one name.
    """
    schemas: dict[str, Schema] = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):  # our own answer to a bad parameter is a 400
        schemas.pop(unused, None)
    added = {"Problem": _PROBLEM}
    if takes:
        mapping = {name: ref(name)["$ref"] for name in takes}
        one = {"title": "Event", **one_of(takes), "discriminator": {"propertyName": "type", "mapping": mapping}}
        added |= {"Event": one, **events(takes)}
    for name, schema in added.items():
        # FastAPI writes the same model a little otherwise (no null as a default), so its text is no measure.
        if name in schemas and schemas[name].get("properties", {}).keys() != schema.get("properties", {}).keys():
            raise ValueError(f"two models are called {name}")
        schemas[name] = schema
    document["components"] = {
        "schemas": dict(sorted(schemas.items())),
        "responses": {str(status): _answer(*about) for status, about in _ANSWERS.items()},
        "securitySchemes": {
            "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "The token of an officer of an office, as on the hand-over sheet, or the administrator's. In its "
                "last 30 days every answer says in the header Sampan-Token-Expires when it ends.",
            }
        },
    }
    document["security"] = [{"token": []}]
    for path, methods in document["paths"].items():
        for operation in methods.values():
            _answers(path, operation)
    return document


def _answers(path: str, operation: Schema) -> None:
    """Put our problems where FastAPI has its own, or none."""
    responses: dict[str, Schema] = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    statuses = [
        int(status) for status, about in responses.items() if int(status) in _ANSWERS and "content" not in about
    ]
    if operation.get("security") != []:
        statuses += _ALWAYS
    if operation.get("parameters"):
        statuses.append(400)
    if "{" in path:
        statuses.append(404)
    for status in statuses:
        responses[str(status)] = {"$ref": f"#/components/responses/{status}"}
    operation["responses"] = dict(sorted(responses.items()))


def _answer(description: str, headers: Schema) -> Schema:
    return {
        "description": description,
        **({"headers": headers} if headers else {}),
        "content": {"application/json": {"schema": ref("Problem")}},
    }
