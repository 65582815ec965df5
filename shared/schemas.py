"""Events and facts as JSON Schemas under the names by which OpenAPI and AsyncAPI documents refer to them.

They come from the models that read and write the messages, so a document cannot say anything else.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shared.events.codes import Model
from shared.events.envelope import Envelope
from shared.events.facts import FactEnvelope

Schema = dict[str, Any]

_PLACE: Final = "#/components/schemas/"


def ref(name: str) -> Schema:
    """A reference to the schema of this name."""
    return {"$ref": f"{_PLACE}{name}"}


def schemas_of(models: Iterable[type[BaseModel]]) -> dict[str, Schema]:
    """Each model, and each model inside it, by its name, as it is read."""
    _, whole = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)], ref_template=f"{_PLACE}{{model}}"
    )
    found: dict[str, Schema] = whole.get("$defs", {})
    return found


def events(types: Mapping[str, type[Model]]) -> dict[str, Schema]:
    """Every event type by its own name, whole: the envelope around the type's data; and the data's schemas."""
    return schemas_of(types.values()) | {name: _whole(Envelope, name, model) for name, model in types.items()}


def facts(types: Mapping[str, type[Model]], service: str) -> dict[str, Schema]:
    """Every fact type of a service by its own name, whole; and the data's schemas."""
    source = {"source": {"const": f"/services/{service}", "type": "string"}}
    return schemas_of(types.values()) | {
        name: _whole(FactEnvelope, name, model, source) for name, model in types.items()
    }


def one_of(types: Iterable[str]) -> Schema:
    """Any event of these types: which one it is stands in its ``type``."""
    return {"oneOf": [ref(name) for name in types]}


def _whole(envelope: type[Model], name: str, data: type[Model], more: Mapping[str, Schema] | None = None) -> Schema:
    """The envelope's schema with this type and its data in it."""
    schema = envelope.model_json_schema()
    fields = {"type": {"const": name, "type": "string"}, "data": ref(data.__name__), **(more or {})}
    about = {"description": schema_description(data)} if schema_description(data) else {}
    rest = {key: value for key, value in schema.items() if key not in {"title", "description"}}
    return {"title": name, **about, **rest, "properties": {**schema["properties"], **fields}}


def schema_description(model: type[BaseModel]) -> str:
    """The model's own docstring in one line; a model that has none says nothing."""
    return " ".join((model.__doc__ or "").replace("``", "`").split())
