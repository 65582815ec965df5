"""`sampan simulate`: invented programmes."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from services.errors import ClientError
from services.simulate import simulate as simulated

app = typer.Typer()


@app.command(epilog="Example: `sampan simulate --trainees 200 --seed 7 --output events.ndjson`")
def simulate(
    trainees: Annotated[int, typer.Option(min=1, max=1_000_000, help="Enrolments in all; about nine events each.")],
    seed: Annotated[int, typer.Option(help="The same seed makes the same events.")] = 1,
    output: Annotated[Path | None, typer.Option(help="The file to write; standard output without it.")] = None,
) -> None:
    """Make invented programmes, one event to a line, for load and for trying things out.

    Show them with `sampan demo --events FILE`, or take them up with `sampan post FILE`.
    """
    try:
        with open(output, "w", encoding="utf-8") if output else nullcontext(sys.stdout) as file:
            for event in simulated(trainees, seed):
                file.write(json.dumps(event, ensure_ascii=False) + "\n")
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ClientError(f"{output} cannot be written: {error.strerror or error}.") from None
