"""Forms for events: made from the model of the event's data, and read back into it.

Nothing is decided here. What a form says is read by the model like any event's data; this maps the model's complaints to fields.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from pydantic import ValidationError

from shared.desk.wording import FIELDS, HINTS, WRONG
from shared.events.codes import FROM_OUTSIDE, Model
from shared.http import Problem
from shared.pages.languages import LANGUAGES

Values = Mapping[str, str]
"""What was typed, by the field's path, such as ``places.0.country``."""
LINES_SHOWN = 2
LINES_LIMIT = 200
"""Lines of one list in a form: as many are shown as are read, and longer ones come in a file."""
_LINE: Final = r"\.([0-9]{1,9})\."
_TAG: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
"""A language's tag, as events may have it."""
SKIPPED: Final = frozenset({"enrolment"})
"""Fields that no officer fills in: a trainee is named by cohort and number."""
SUGGESTED: Final = {
    "host_centre": "centre",
    "sending_centre": "centre",
    "trades": "trade",
    "schemes": "scheme",
    "countries": "country",
    "host_country": "country",
}
"""The list of suggestions of fields that have not the list's own name."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form, or a group or list of them."""

    name: str
    label: str
    kind: str
    required: bool
    choices: tuple[str, ...] = ()
    fields: tuple["Field", ...] = ()

    @property
    def hint(self) -> str | None:
        return HINTS.get(self.kind) if self.kind != "code" else None  # said once, above the form

    @property
    def suggestions(self) -> str:
        """The name of the list from which a browser may suggest values."""
        return SUGGESTED.get(self.name, self.name)


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as it was read: the data that it says, or what is wrong, by the field's path ("" for the whole form)."""

    data: dict[str, Any]
    values: dict[str, str]
    wrong: dict[str, str]


@cache
def fields_of(model: type[Model]) -> tuple[Field, ...]:
    """The fields of a model, in its order."""
    schema = model.model_json_schema()
    return _fields(schema, schema.get("$defs", {}), model.__name__)


def read(model: type[Model], typed: Values, before: Mapping[str, Any] | None = None) -> Filled:
    """The data that a form says, read by the model. Raises ``Problem`` 413 where a list is longer than a form's.

    ``before`` is what the corrected entry said: a list that it emptied looks in the form like one that it did not name.
    """
    fields = fields_of(model)
    values = _compact(fields, typed)
    _check_room(values)
    wrong: dict[str, str] = {}
    data = _group(fields, values, "", wrong) or {}
    data = {field.name: [] for field in fields if before and before.get(field.name) == []} | data
    if not wrong:
        try:
            model.model_validate(data, context=FROM_OUTSIDE)
        except ValidationError as error:
            for one in error.errors(include_url=False, include_input=False, include_context=False):
                path, field = _place(fields, one["loc"])
                wrong.setdefault(path, _complaint(one["type"], one["msg"], field))
    return Filled(data, values, wrong)


def typed(model: type[Model], data: Mapping[str, Any]) -> dict[str, str]:
    """The other way: what to type so that a form says this data. Raises ``Problem`` 413 where no form has room for it."""
    values: dict[str, str] = {}
    _type(fields_of(model), data, "", values)
    _check_room(values)
    return values


def lines_of(field: Field, values: Values, path: str) -> range:
    """The lines of a list that a form shows: those that are filled, and room for more."""
    return range(min(max(LINES_SHOWN, _last_line(values, path) + 2), LINES_LIMIT) if field.kind == "table" else 0)


def languages_of(values: Values, path: str) -> list[str]:
    """The languages of a text that a form has fields for: those of the pages, and others that it is in."""
    there = [name.removeprefix(f"{path}.") for name in values if name.startswith(f"{path}.")]
    return [*LANGUAGES, *(tag for tag in there if tag not in LANGUAGES and _TAG.fullmatch(tag))]


def one_more(model: type[Model], typed: Values, path: str) -> dict[str, str]:
    """What was typed, with room for one more line in the list at this path. Raises ``Problem`` 413 like ``read``."""
    values = _compact(fields_of(model), typed)
    _check_room(values)
    last = min(max(_last_line(values, path) + 1, LINES_SHOWN - 1), LINES_LIMIT - 1)
    return {**values, f"{path}.{last}.": " "}


def _last_line(values: Values, path: str) -> int:
    found = [re.match(re.escape(path) + _LINE, name) for name in values]
    return max((int(match[1]) for match in found if match), default=-1)


def _check_room(values: Values) -> None:
    """A line that is not shown would be gone with the next sending."""
    if any(int(line) >= LINES_LIMIT for name in values for line in re.findall(_LINE, name)):
        raise Problem(413, "body_too_large", "A list is longer than a form has lines. Send a long list as a file.")


# --- from the model ----------------------------------------------------------------------------------------------


def _fields(schema: Mapping[str, Any], models: Mapping[str, Any], owner: str) -> tuple[Field, ...]:
    required = schema.get("required", ())
    return tuple(
        _field(name, part, models, owner, required=name in required)
        for name, part in schema["properties"].items()
        if name not in SKIPPED
    )


def _field(name: str, part: Mapping[str, Any], models: Mapping[str, Any], owner: str, *, required: bool) -> Field:
    label = FIELDS.get(f"{owner}.{name}") or FIELDS.get(name) or name
    part, named = _unwrapped(part, models)
    if "properties" in part:
        return Field(name, label, "group", required, fields=_fields(part, models, named))
    if part.get("type") == "array":
        item, named = _unwrapped(part["items"], models)
        if "properties" in item:
            return Field(name, label, "table", required, fields=_fields(item, models, named))
        return Field(name, label, {"country": "countries", "text": "lines"}.get(_kind(item), "codes"), required)
    return Field(name, label, _kind(part), required, choices=tuple(part.get("enum", ())))


def _unwrapped(part: Mapping[str, Any], models: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """A part of a schema without "or null" and without the reference to a model; and the model's name."""
    said = part.get("description")
    for one in part.get("anyOf", ()):
        if one.get("type") != "null":
            part = one
    name = part.get("$ref", "").rpartition("/")[2]
    part = models[name] if name else part
    return ({"description": said, **part} if said else part), name


def _kind(part: Mapping[str, Any]) -> str:
    word = part.get("description", "").partition(":")[0]
    if "enum" in part:
        return "choice"
    if word in (
        "code",
        "reason",
        "office",
        "country",
        "time zone",
        "language",
        "date",
        "hours",
        "text",
        "texts",
        "address",
    ):
        return str(word)
    return {"integer": "whole", "number": "number", "boolean": "yes-no"}.get(part.get("type", ""), "text")


# --- from a form -------------------------------------------------------------------------------------------------


def _compact(fields: Iterable[Field], values: Values, prefix: str = "") -> dict[str, str]:
    """The values without empty lines, so that the model's count of lines is the form's."""
    kept = {name: value.strip() for name, value in values.items() if value.strip()}
    for field in fields:
        path = f"{prefix}{field.name}"
        if field.kind == "group":
            kept = _compact(field.fields, kept, f"{path}.")
        elif field.kind == "table":
            filled = sorted({int(match[1]) for name in kept if (match := _line(path, name))})
            places = {line: place for place, line in enumerate(filled)}
            kept = {
                f"{path}.{places[int(match[1])]}.{match[2]}" if (match := _line(path, name)) else name: value
                for name, value in kept.items()
            }
    return kept


def _line(path: str, name: str) -> re.Match[str] | None:
    return re.match(re.escape(path) + _LINE + "(.+)", name)


def _group(fields: Iterable[Field], values: Values, prefix: str, wrong: dict[str, str]) -> dict[str, Any] | None:
    """The data of a group of fields; None when nothing of it is filled in."""
    data = {
        field.name: value
        for field in fields
        if (value := _value(field, values, f"{prefix}{field.name}", wrong)) is not None
    }
    return data or None


def _value(field: Field, values: Values, path: str, wrong: dict[str, str]) -> Any:
    if field.kind == "group":
        return _group(field.fields, values, f"{path}.", wrong)
    if field.kind == "table":
        lines = [_group(field.fields, values, f"{path}.{line}.", wrong) for line in range(_last_line(values, path) + 1)]
        return [line for line in lines if line] or None
    if field.kind == "texts":
        tags = languages_of(values, path)
        return {tag: values[f"{path}.{tag}"] for tag in tags if f"{path}.{tag}" in values} or None
    text = values.get(path)
    if text is None:
        return None
    try:
        return _READ.get(field.kind, str)(text)
    except ValueError:
        wrong[path] = WRONG["whole" if field.kind == "whole" else "number"]
        return None


def _office(text: str) -> str:
    return text if text.startswith("/") else f"/offices/{text.lower()}"


_READ: Final[Mapping[str, Any]] = {
    "whole": int,  # reads the digits of every script
    "number": float,
    "hours": float,
    "yes-no": lambda text: text == "yes",
    "office": _office,
    "country": str.upper,
    "countries": lambda text: text.upper().replace(",", " ").split(),
    "codes": lambda text: text.replace(",", " ").split(),
    "lines": lambda text: [line.strip() for line in text.splitlines() if line.strip()],
}


def _place(fields: Iterable[Field], loc: tuple[int | str, ...]) -> tuple[str, Field | None]:
    """The path of the field in which the model found something, and the field."""
    path: list[str] = []
    here: Field | None = None
    for step in loc:
        if isinstance(step, int):
            if here is None or here.kind != "table":
                break
            path.append(str(step))
            continue
        if here is not None and here.kind == "texts":
            path.append(step)
            break
        found = next((field for field in fields if field.name == step), None)
        if found is None:
            break
        path.append(step)
        here, fields = found, found.fields
    if here is not None and here.kind == "texts" and path[-1] == here.name:
        path.append(next(iter(LANGUAGES)))
    return ".".join(path), here


_BY_TYPE: Final = {
    "string_too_long": "too_long",
    "too_long": "too_long",
    "string_too_short": "missing",
    "too_short": "too_short",
    "literal_error": "choice",
    "greater_than": "bounds",
    "greater_than_equal": "bounds",
    "less_than": "bounds",
    "less_than_equal": "bounds",
    "finite_number": "bounds",
}


def _complaint(kind: str, message: str, field: Field | None) -> str:
    if kind == "string_pattern_mismatch":
        by_field = field.name if field is not None and field.name in WRONG else field.kind if field is not None else ""
        return WRONG.get(by_field, WRONG["invalid_code"])
    if kind == "invalid_data" and "decimals" in message:
        return WRONG["decimals"]
    return WRONG.get(kind) or WRONG.get(_BY_TYPE.get(kind, message), WRONG["other"])


# --- and back ----------------------------------------------------------------------------------------------------


def _type(fields: Iterable[Field], data: Mapping[str, Any], prefix: str, values: dict[str, str]) -> None:
    for field in fields:
        value, path = data.get(field.name), f"{prefix}{field.name}"
        if value is None:
            continue
        if field.kind == "group":
            _type(field.fields, value, f"{path}.", values)
        elif field.kind == "table":
            for place, line in enumerate(value):
                _type(field.fields, line, f"{path}.{place}.", values)
        elif field.kind == "texts":
            values.update({f"{path}.{tag}": text for tag, text in value.items()})
        elif field.kind in ("codes", "countries"):
            values[path] = " ".join(value)
        elif field.kind == "lines":
            values[path] = "\n".join(value)
        elif field.kind == "yes-no":
            values[path] = "yes" if value else "no"
        elif field.kind == "office":
            values[path] = str(value).removeprefix("/offices/")
        else:
            values[path] = str(value)
