"""`sampan report`: the aggregates."""

import csv
import json
import sys
from enum import StrEnum
from typing import Annotated

import typer

from services.client import ClientError
from services.commands.options import DATA, HERE, Data, Server, Token, connected
from services.printing import print_table

app = typer.Typer()


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@app.command(epilog="Example: `sampan report --measure enrolled --by sex --where country=KH --from 2025-01`")
def report(
    measure: Annotated[list[str] | None, typer.Option(help="What to count; all measures without it.")] = None,
    by: Annotated[list[str] | None, typer.Option(help="Dimensions to break it down by.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="Only these, as dimension=value.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="First month, YYYY-MM.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last month, YYYY-MM.")] = None,
    form: Annotated[Format, typer.Option("--format")] = Format.TABLE,
    server: Server = HERE,
    token: Token = None,
    data: Data = DATA,
) -> None:
    """The aggregates, as a table, JSON or CSV."""
    parameters = [("measure", name) for name in measure or []] + [("by", name) for name in by or []]
    for condition in where or []:
        name, equals, value = condition.partition("=")
        if not equals:
            raise ClientError(f"--where {condition}: write it as dimension=value, such as country=KH.")
        parameters.append((name, value))
    parameters += [(name, month) for name, month in (("from", first), ("to", last)) if month]
    with connected(server, token, data) as client:
        answer = client.get("reporting", "/v1/aggregates", parameters)
    if form is Format.JSON:
        print(json.dumps(answer, ensure_ascii=False, indent=2))
    elif form is Format.CSV:
        writer = csv.DictWriter(sys.stdout, [*answer["by"], *answer["measures"]])
        writer.writeheader()
        writer.writerows(answer["rows"])
    else:
        print_table(answer, answer["measures"])
