"""The sheets and columns of a roster, as ``columns.toml`` lists them, and how a header is recognised."""

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

Kind = Literal["trainees", "attendance", "assessments", "awards"]
KINDS: Final[tuple[Kind, ...]] = ("trainees", "attendance", "assessments", "awards")
OF_ENROLMENT: Final[tuple[Kind, ...]] = ("trainees", "attendance")
OF_CERTIFICATION: Final[tuple[Kind, ...]] = ("assessments", "awards")
LANGUAGES: Final = ("en", "km", "lo", "my", "zh")
PARTS: Final = ("theory", "practice", "review")
"""The parts of an assessment that have columns of their own."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: how its cells are read, its header in each language, what else it is called, what it is for."""

    key: str
    kind: str
    of: str | None
    titles: Mapping[str, str]
    aliases: tuple[str, ...]
    help: Mapping[str, str]

    @property
    def is_text(self) -> bool:
        """Whether a spreadsheet must keep it as text, lest it lose digits."""
        return self.kind in ("identifier", "identifier_code")


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet: its name in each language, what else it is called, its columns and those that must be there."""

    kind: Kind
    titles: Mapping[str, str]
    names: frozenset[str]
    columns: tuple[Column, ...]
    required: tuple[str, ...]
    headers: Mapping[str, Column]
    """Columns by every header that is recognised, folded."""

    def find(self, header: str) -> Column | None:
        """The column that a header means, or None."""
        return self.headers.get(folded(header)) or self.headers.get(folded(re.sub(r"[(（\[].*", "", header)))


_LONGEST: Final = 300
"""Characters of what is compared: no header or word of ours is as long, and over some longer texts Python takes minutes."""


def folded(text: str) -> str:
    """A header, a sheet's name or a word as it is compared: without case, spaces and what people put around it."""
    if len(text) > _LONGEST:
        return text
    text = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[\s\u200b-\u200d\ufeff_.:*()\[\]'\"#、。,/\\-]+", "", text)


@cache
def sheets() -> Mapping[Kind, Sheet]:
    """Every sheet by its kind."""
    table = _table()
    columns = {**{key: _column(key, line) for key, line in table["column"].items()}, **_columns_of_parts(table)}
    return {kind: _sheet(kind, table["sheet"][kind], columns) for kind in KINDS}


@cache
def words(choice: str) -> Mapping[str, str]:
    """The code of every word that is understood in a choice, folded; the codes themselves among them."""
    lines: Mapping[str, Sequence[str]] = _table()["choice"][choice]
    return {folded(word): code for code, said in lines.items() for word in (code, *said)}


@cache
def codes(choice: str) -> tuple[str, ...]:
    """The codes of a choice, in the order of the table."""
    return tuple(_table()["choice"][choice])


def word(name: str, language: str) -> str:
    """A word of the sheet that explains the others."""
    said: str = _table()["word"][name][language]
    return said


def kind_named(name: str) -> Kind | None:
    """The kind of sheet that has this name in one of the languages, or by an alias."""
    return next((kind for kind, sheet in sheets().items() if folded(name) in sheet.names), None)


def recognised(kind: Kind, headers: Sequence[str]) -> int:
    """How many of these headers are columns of this kind of sheet; 0 when a required one is missing."""
    found = {column.key for header in headers if (column := sheets()[kind].find(header))}
    return len(found) if found >= set(sheets()[kind].required) else 0


def kind_of(headers: Sequence[str]) -> Kind | None:
    """The kind of sheet whose columns these are, or None when two fit equally well or none does."""
    fits = sorted(((recognised(kind, headers), kind) for kind in KINDS), reverse=True)
    return fits[0][1] if fits[0][0] > fits[1][0] else None


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files("shared.rosters").joinpath("columns.toml").read_text(encoding="utf-8"))


def _titles(line: Mapping[str, Any], part: Mapping[str, str] | None = None) -> dict[str, str]:
    return {language: line[language].format(part=part[language] if part else "") for language in LANGUAGES}


def _column(key: str, line: Mapping[str, Any], part: Mapping[str, str] | None = None) -> Column:
    aliases = [alias.format(part=name) for alias in line.get("aliases", ()) for name in (part or {"": ""}).values()]
    return Column(key, line["kind"], line.get("of"), _titles(line, part), tuple(aliases), dict(line["help"]))


def _columns_of_parts(table: Mapping[str, Any]) -> dict[str, Column]:
    return {
        f"{part}_{name}": _column(f"{part}_{name}", line, table["part"][part])
        for part in PARTS
        for name, line in table["of_part"].items()
    }


def _sheet(kind: Kind, line: Mapping[str, Any], columns: Mapping[str, Column]) -> Sheet:
    own = tuple(columns[key] for key in line["columns"])
    headers: dict[str, Column] = {}
    for column in own:
        for name in (column.key, *column.titles.values(), *column.aliases):
            other = headers.setdefault(folded(name), column)
            if other is not column:
                raise ValueError(f"{kind}: {name} means both {other.key} and {column.key}")
    names = frozenset(folded(name) for name in (kind, *_titles(line).values(), *line["aliases"]))
    return Sheet(kind, _titles(line), names, own, tuple(line["required"]), headers)
