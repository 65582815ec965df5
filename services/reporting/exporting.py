"""A question answered in the form that was asked for: what each form needs besides, and what it cannot say."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from services.reporting import codes, registered
from services.reporting.formats import (
    FORMATS,
    NAMES,
    Figures,
    NotInThisFormat,
    Place,
    dhis2,
    iati,
    sdmx,
    tables,
    wanted,
    workbook,
)
from services.reporting.formats.iati import Publisher
from services.reporting.measures import MEASURES
from services.reporting.queries import Aggregates
from services.reporting.questions import Question
from services.reporting.rates import RATES
from shared.pages.languages import LANGUAGES

CONTENT: dict[str, Any] = {
    media: {"schema": {"type": "string"}} for media in dict.fromkeys(FORMATS.values()) if media != FORMATS["json"]
}
"""What a document of the addresses says of the forms beside JSON."""


PARAMETERS: list[dict[str, Any]] = [
    {"name": name, "in": "query", "required": False, "description": description, "schema": {"type": "string"}}
    for name, description in {
        "format": f"In which form; without it as Accept says. One of {', '.join(FORMATS)}.",
        "lang": f"For CSV and workbooks: titles beside the codes in this language. One of {', '.join(LANGUAGES)}.",
    }.items()
]


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where the figures go, as the administrator set it: a DHIS2's ids, and who publishes to IATI."""

    ids: dhis2.Ids | None = None
    publisher: Publisher | None = None


NONE = Outlets()


@dataclass(frozen=True, slots=True)
class Form:
    """How an answer is to look: its format, the language of titles beside the codes if any, and what two formats need."""

    name: str
    language: str | None = None
    outlets: Outlets = NONE

    @property
    def media_type(self) -> str:
        return FORMATS[self.name]

    @property
    def headers(self) -> dict[str, str]:
        """A browser keeps a file under its own name."""
        return {"Content-Disposition": f'attachment; filename="{NAMES[self.name]}"'} if self.name in NAMES else {}

    def tag(self, of_the_figures: str) -> str:
        """The entity tag of these figures in this form."""
        if self.name == "json":
            return of_the_figures
        digest = sha256(repr((of_the_figures, self)).encode()).hexdigest()
        return f'"{digest[:32]}"'


def read(parameters: Iterable[tuple[str, str]], accept: str, outlets: Outlets) -> tuple[Form, list[tuple[str, str]]]:
    """The form that an address's parameters and Accept ask for, and the parameters that are left. Raises NotInThisFormat."""
    given, left = {}, []
    for name, value in parameters:
        if name in ("format", "lang"):
            given[name] = value
        else:
            left.append((name, value))
    tag = given.get("lang")
    if tag is not None and tag not in LANGUAGES:
        raise NotInThisFormat(f"There is no such language here. There are: {', '.join(LANGUAGES)}.", "unknown_language")
    return Form(wanted(given.get("format"), accept), tag, outlets), left


def fitting(question: Question, form: Form) -> Question:
    """The question as the form needs it asked. Raises NotInThisFormat."""
    if form.name == "sdmx":
        several = [name for name, values in question.where if values]
        return replace(question, by=_with(question.by, *several, "month"), basis="event")
    if form.name == "iati":
        if form.outlets.publisher is None:
            raise NotInThisFormat(
                "Nobody said who publishes to IATI: the administrator sets SAMPAN_IATI_ORGANISATION to the organisation's "
                "reference, such as XM-DAC-41302."
            )
        if question.measures == tuple(MEASURES):  # nothing was chosen: all that can be added up
            question = replace(question, measures=tuple(name for name in MEASURES if name != "people"))
        _only_counts(question, "IATI")
        return replace(question, by=_with(question.by, "programme", "month"), basis="event")
    if form.name == "dhis2":
        if form.outlets.ids is None:
            raise NotInThisFormat(
                "DHIS2 needs a mapping of codes to its ids: send one (sampan report --format dhis2 --mapping FILE), or the "
                "administrator sets SAMPAN_DHIS2_MAPPING_FILE."
            )
        dhis2.bounded(form.outlets.ids, question.from_month, question.to_month)
        found = replace(question, by=form.outlets.ids.by, measures=form.outlets.ids.measures, basis="event")
        _only_counts(found, "DHIS2")
        return found
    return question


async def write(session: AsyncSession, question: Question, answer: Aggregates, form: Form) -> bytes:
    """The answer to a fitting question in its form. Raises NotInThisFormat."""
    if form.name == "json":
        return answer.model_dump_json().encode()
    # Seconds of work for many rows: beside the loop that answers everybody else.
    figures = await asyncio.to_thread(_figures, question, answer)
    if form.name == "sdmx":
        return await asyncio.to_thread(sdmx.write, figures)
    if form.name == "dhis2":
        assert form.outlets.ids is not None
        return await asyncio.to_thread(dhis2.write, form.outlets.ids, figures, question.from_month, question.to_month)
    if form.name == "iati":
        assert form.outlets.publisher is not None
        programmes = await registered.of_kind(session, "programme")
        return await asyncio.to_thread(iati.write, figures, programmes, form.outlets.publisher)
    if form.name == "csv" and form.language is None:
        return await asyncio.to_thread(tables.write, figures, {})
    if form.name != "csv" and len(figures.rows) > workbook.ROWS:
        raise NotInThisFormat("A sheet holds no more than a million rows: ask by fewer dimensions, or for CSV.")
    found = await codes.behind(session, figures.by)
    titles = codes.titles(found, figures.by, form.language) if form.language else {}
    if form.name == "csv":
        return await asyncio.to_thread(tables.write, figures, titles)
    called = {tag: codes.titles(found, figures.by, tag) for tag in LANGUAGES} if figures.by else {}
    what = [("What", "Counts by Sampan, GET /v1/aggregates")]
    return await asyncio.to_thread(workbook.write, figures, titles, called, what)


def _figures(question: Question, answer: Aggregates) -> Figures:
    """With each rate's two counts beside it; a rate of nobody is None."""
    measures = [
        column
        for name in answer.measures
        for column in ((name, f"{name}_numerator", f"{name}_denominator") if name in RATES else (name,))
    ]
    rows: list[dict[str, Place]] = [
        {**{name: row[name] for name in answer.by}, **{name: row.get(name) for name in measures}} for row in answer.rows
    ]
    return Figures(answer.by, measures, rows, answer.position, _asked(question))


def _only_counts(question: Question, what: str) -> None:
    for name in question.measures:
        if name in RATES or name == "people":
            raise NotInThisFormat(
                f"{name} cannot be added up over months and rows, as {what} needs: ask for other measures, such as "
                "enrolled, completed or certified."
            )


def _with(by: tuple[str, ...], *more: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*by, *more]))


def _asked(question: Question) -> dict[str, str]:
    asked = {name: ", ".join(values) for name, values in question.where}
    as_of = question.as_of.text if question.as_of else None
    months = {"from": question.from_month, "to": question.to_month, "basis": question.basis, "as of": as_of}
    return asked | {name: month for name, month in months.items() if month}
