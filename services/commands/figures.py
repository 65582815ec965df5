"""`sampan report`: the aggregates."""

import json
import sys
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from services.commands.options import DATA, HERE, Data, Server, Token, connected
from services.errors import ClientError
from services.printing import print_table

app = typer.Typer()


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"
    SDMX = "sdmx"
    DHIS2 = "dhis2"
    IATI = "iati"


@app.command(epilog="Example: `sampan report --measure enrolled --by sex --where country=KH --from 2025-01`")
def report(
    measure: Annotated[list[str] | None, typer.Option(help="What to count; all measures without it.")] = None,
    by: Annotated[list[str] | None, typer.Option(help="Dimensions to break it down by.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="Only these, as dimension=value.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First month, YYYY-MM.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last month, YYYY-MM.")] = None,
    form: Annotated[Format, typer.Option("--format")] = Format.TABLE,
    lang: Annotated[
        str | None, typer.Option(help="For csv and xlsx: titles beside the codes, in this language.")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="For dhis2: which ids our codes are there, as TOML.")] = None,
    output: Annotated[Path | None, typer.Option(help="The file to write; standard output without it.")] = None,
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
) -> None:
    """The aggregates, as a table, or in a form that others read: JSON, CSV, a workbook, SDMX-CSV, DHIS2, IATI."""
    parameters = [("measure", name) for name in measure or []] + [("by", name) for name in by or []]
    for condition in where or []:
        name, equals, value = condition.partition("=")
        if not equals:
            raise ClientError(f"--where {condition}: write it as dimension=value, such as country=KH.")
        parameters.append((name, value))
    parameters += [(name, month) for name, month in (("from", first), ("to", last)) if month]
    if form is Format.XLSX and output is None and sys.stdout.isatty():
        raise ClientError("A workbook is nothing for a terminal: name a file with --output figures.xlsx.")
    if mapping is not None and form is not Format.DHIS2:
        raise ClientError("--mapping goes with --format dhis2.")
    if lang is not None and form not in (Format.CSV, Format.XLSX):
        raise ClientError("--lang goes with --format csv or xlsx.")
    if output is not None and form is Format.TABLE:
        raise ClientError(f"A table is for the terminal: say --format csv or xlsx to write {output}.")
    if form in (Format.TABLE, Format.JSON):
        with connected(server, token, data) as client:
            answer = client.get("reporting", "/v1/aggregates", parameters)
        if form is Format.JSON:
            _put(json.dumps(answer, ensure_ascii=False, indent=2).encode() + b"\n", output)
        else:
            print_table(answer, answer["measures"], bars=sys.stdout.isatty())
        return
    with connected(server, token, data) as client:
        if mapping is not None:
            document = client.document("reporting", "/v1/dhis2", parameters, _ids(mapping))
        else:
            parameters += [("format", form.value), *([("lang", lang)] if lang else [])]
            document = client.document("reporting", "/v1/aggregates", parameters)
    _put(document, output)


def _ids(mapping: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(mapping.read_text(encoding="utf-8"))
    except OSError as error:
        raise ClientError(f"{mapping} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ClientError(f"{mapping} is not TOML: {error}.") from None


def _put(document: bytes, output: Path | None) -> None:
    if output is None:
        sys.stdout.buffer.write(document)
        sys.stdout.flush()
        return
    try:
        output.write_bytes(document)
    except OSError as error:
        raise ClientError(f"{output} cannot be written: {error.strerror}.") from None
