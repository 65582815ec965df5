"""OpenAPI and AsyncAPI documents as pages to read: every operation, then every schema, each with an address of its own.

No bundle of scripts from elsewhere: nothing to keep up to date, and nothing that the pages' strict policy would have to let in.
"""

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from shared.pages import page

Part = Mapping[str, Any]


def openapi_page(document: Part) -> str:
    """The page of an OpenAPI document."""
    operations = [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    shown = "".join(_http_operation(document, address, operation) for address, operation in operations)
    contents = _contents((operation["operationId"], address) for address, operation in operations)
    return _page(document, "/docs", "HTTP", "/openapi.json", contents + shown)


def asyncapi_page(document: Part) -> str:
    """The page of an AsyncAPI document."""
    operations = document["operations"]
    shown = "".join(_message_operation(document, name, operation) for name, operation in operations.items())
    contents = _contents(
        (name, f"{operation['action']} {_found(document, operation['channel'])['address']}")
        for name, operation in operations.items()
    )
    return _page(document, "/asyncapi", "NATS", "/asyncapi.json", contents + shown)


def _page(document: Part, path: str, over: str, whole: str, main: str) -> str:
    info = document["info"]
    title = f"{info['title']} over {over}"
    schemas = "".join(_schema_section(name, schema) for name, schema in document["components"]["schemas"].items())
    return page(
        title,
        f"""
<h1>{escape(title)}</h1>
<p>{_prose(info.get("description"))}</p>
<p><a href="{whole}">The whole document as JSON</a> · <a href="/docs">HTTP</a> · <a href="/asyncapi">NATS</a></p>
{main}
<h2>Schemas</h2>
{schemas}""",
        path=path,
    )


def _contents(entries: Iterable[tuple[str, str]]) -> str:
    lines = "".join(f'<li><a href="#{escape(name)}"><code>{escape(text)}</code></a></li>\n' for name, text in entries)
    return f"<ul>{lines}</ul>"


def _http_operation(document: Part, address: str, operation: Part) -> str:
    parameters = _table(
        ("parameter", "in", "kind", "meaning"),
        [
            (
                f"<code>{escape(one['name'])}</code>",
                escape(one["in"] + (", required" if one.get("required") else "")),
                _kind(one["schema"]),
                _prose(one.get("description", one["schema"].get("description"))),
            )
            for one in operation.get("parameters", ())
        ],
    )
    body = operation.get("requestBody", {})
    responses = [(status, _found(document, answer)) for status, answer in operation["responses"].items()]
    answers = [(status, _prose(answer["description"]), _content(answer)) for status, answer in responses]
    token = '<p class="note">Asks for no token.</p>' if operation.get("security") == [] else ""
    return f"""<section id="{escape(operation["operationId"])}">
<h3><code>{escape(address)}</code></h3>
<p>{_prose(operation.get("description"))}</p>{token}
{parameters}
{f"<h4>Body</h4><p>{_prose(body.get('description'))}</p><p>{_content(body)}</p>" if body else ""}
{_table(("status", "means", "body"), answers)}
</section>
"""


def _message_operation(document: Part, name: str, operation: Part) -> str:
    channel = _found(document, operation["channel"])
    messages = [_found(document, message) for message in operation["messages"]]
    rows = [
        (
            f"<code>{escape(message['name'])}</code>",
            f"{_kind(message['payload'])}<br><code>{escape(message['contentType'])}</code>",
            _prose(message.get("description")),
        )
        for message in messages
    ]
    parameters = [
        (f"<code>{escape(part)}</code>", _prose(about["description"]))
        for part, about in channel.get("parameters", {}).items()
    ]
    return f"""<section id="{escape(name)}">
<h3>{escape(operation["action"])} <code>{escape(channel["address"])}</code></h3>
<p>{_prose(operation["summary"])} {_prose(channel["description"])}</p>
{_table(("in the subject", "means"), parameters)}
{_table(("message", "payload", "meaning"), rows)}
</section>
"""


def _schema_section(name: str, schema: Part) -> str:
    required = schema.get("required", ())
    fields = [
        (
            f"<code>{escape(field)}</code>",
            _kind(part),
            "required" if field in required else _default(part),
            _prose(part.get("description")),
        )
        for field, part in schema.get("properties", {}).items()
    ]
    return f"""<section id="schema-{escape(name)}">
<h3>{escape(name)}</h3>
<p>{_prose(schema.get("description"))}</p>
{_table(("field", "kind", "", "meaning"), fields) if fields else f"<p>{_kind(schema)}</p>"}
</section>
"""


def _content(part: Part) -> str:
    """The kinds of body that a request or an answer may have."""
    return "<br>".join(
        f"<code>{escape(media)}</code>: {_kind(content['schema'])}"
        for media, content in part.get("content", {}).items()
    )


def _kind(schema: Part) -> str:
    """What may stand here, with links to the schemas that it names."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{escape(name)}">{escape(name)}</a>'
    for either in ("anyOf", "oneOf"):
        if either in schema:
            return " or ".join(_kind(option) for option in schema[either])
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " or ".join(f"<code>{escape(json.dumps(value))}</code>" for value in values)
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}{_bounds(schema)}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {_kind(schema['additionalProperties'])} by name{_bounds(schema)}"
    return f"{escape(schema.get('format', kind))}{_bounds(schema)}"


_BOUNDS = {
    "minimum": "from {}",
    "exclusiveMinimum": "above {}",
    "maximum": "to {}",
    "minLength": "at least {} long",
    "maxLength": "at most {} long",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "minProperties": "at least {}",
    "maxProperties": "at most {}",
    "pattern": "matching {}",
}


def _bounds(schema: Part) -> str:
    said = [text.format(escape(str(schema[bound]))) for bound, text in _BOUNDS.items() if bound in schema]
    return f", {', '.join(said)}" if said else ""


def _default(schema: Part) -> str:
    value = schema.get("default")
    return "" if value in (None, [], {}) else f"else <code>{escape(json.dumps(value))}</code>"


def _found(document: Part, part: Part) -> Part:
    """The part itself, where there is a reference to it."""
    if "$ref" not in part:
        return part
    there: Any = document
    for step in part["$ref"].removeprefix("#/").split("/"):
        there = there[step]
    return _found(document, there)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are HTML already; nothing for no rows."""
    body = "".join("<tr>" + "".join(f'<td class="text">{cell}</td>' for cell in row) + "</tr>\n" for row in rows)
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    return (
        f'<div class="wide"><table class="figures"><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'
        if body
        else ""
    )


def _prose(text: str | None) -> str:
    """A description: what stands between backticks is code."""
    pieces = escape((text or "").replace("``", "`")).split("`")
    return "".join(f"<code>{piece}</code>" if place % 2 else piece for place, piece in enumerate(pieces))
