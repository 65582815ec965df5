"""Changes to a model that others could not live with are found; those they can are not."""

from collections.abc import Iterator
from typing import Annotated, Literal

import pytest
from pydantic import Field, create_model

from shared.events.codes import Code, Model
from tests.contract.compatibility import broken_promises, incompatibilities
from tests.contract.models import MODELS, frozen, schema


class Inner(Model):
    code: Code


class Frozen(Model):
    """As it was frozen."""

    kind: Literal["a", "b"]
    count: Annotated[int, Field(ge=0)]
    note: Code | None = None
    parts: list[Inner] = []


class Reworded(Model):
    """As it was frozen, in other words."""

    kind: Annotated[Literal["a", "b"], Field(title="What it is", description="One of two")]
    count: Annotated[int, Field(ge=0)]
    note: Annotated[Code, Field(description="What else")] | None = None
    parts: list[Inner] = []


class NewOptional(Frozen):
    remark: Code | None = None
    more: list[Reworded] = []


class InnerWithOptional(Inner):
    remark: Code | None = None


class NewRequired(Frozen):
    owner: Code


class NowRequired(Frozen):
    note: Code | None


class NoLongerRequired(Frozen):
    count: Annotated[int, Field(ge=0)] = 0


class Narrowed(Frozen):
    kind: Literal["a"]


class Widened(Frozen):
    kind: Literal["a", "b", "c"]


class Tightened(Frozen):
    count: Annotated[int, Field(ge=1)]


class Bounded(Frozen):
    count: Annotated[int, Field(ge=0, le=10)]


class OtherType(Frozen):
    count: str


class OtherDefault(Frozen):
    note: Code | None = "none"


class NoLongerNull(Frozen):
    note: Code = "none"


class Closed(Frozen, extra="forbid"):
    pass


class Removed(Model):
    kind: Literal["a", "b"]
    count: Annotated[int, Field(ge=0)]
    parts: list[Inner] = []


class Renamed(Removed):
    remark: Code | None = None


def inner(**fields: tuple[type, object]) -> type[Model]:
    """Frozen, with another model of the same name inside it."""
    other = create_model("Inner", __base__=Model, **fields)
    changed: type[Model] = create_model("Frozen", __base__=Frozen, parts=(list[other], []))
    return changed


def changes() -> Iterator[type[Model]]:
    yield from (NewRequired, NowRequired, NoLongerRequired, Narrowed, Widened, Tightened, Bounded, OtherType)
    yield from (OtherDefault, NoLongerNull, Closed, Removed, Renamed)
    yield inner(code=(Code, ...), owner=(Code, ...))
    yield inner(name=(Code, ...))


@pytest.mark.parametrize("changed", list(changes()))
def test_an_incompatible_change_is_found(changed: type[Model]) -> None:
    assert incompatibilities(schema(Frozen), schema(changed))


@pytest.mark.parametrize(
    "changed", [Frozen, Reworded, NewOptional, inner(code=(Code, ...), remark=(Code | None, None))]
)
def test_a_compatible_change_is_let_through(changed: type[Model]) -> None:
    assert incompatibilities(schema(Frozen), schema(changed)) == []


def test_what_had_no_headers_or_parameters_may_get_some_that_nobody_must_send() -> None:
    message = {"payload": {}, "headers": {"type": "object", "properties": {"A": {"type": "string"}}}}
    assert broken_promises({"payload": {}}, message) == []
    assert broken_promises({"payload": {}}, {**message, "headers": {**message["headers"], "required": ["A"]}})
    for required, told in ((False, False), (True, True)):
        operation = {"responses": {}, "parameters": [{"in": "header", "name": "A", "required": required}]}
        assert bool(broken_promises({"responses": {}}, operation)) == told


@pytest.mark.parametrize("name", MODELS)
def test_a_field_taken_from_any_message_is_found(name: str) -> None:
    whole = frozen(name)
    for field in whole["properties"]:
        changed = {**whole, "properties": {key: value for key, value in whole["properties"].items() if key != field}}
        assert incompatibilities(whole, changed)


@pytest.mark.parametrize("name", MODELS)
def test_a_new_required_field_in_any_message_is_found(name: str) -> None:
    whole = frozen(name)
    changed = {
        **whole,
        "properties": {**whole["properties"], "owner": {"type": "string"}},
        "required": [*whole.get("required", []), "owner"],
    }
    assert incompatibilities(whole, changed)
