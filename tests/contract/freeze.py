"""Write the JSON Schema of every message of the contract, and the OpenAPI and AsyncAPI document of every service:
``python -m tests.contract.freeze`` (``make schemas``).

Refuses a change that others could not live with: give such a type a new version beside the old. What was never
released may be frozen anew by deleting its file first, which a reviewer sees.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.contract import documents
from tests.contract.compatibility import broken_promises, incompatibilities
from tests.contract.models import MODELS, SCHEMAS, frozen, schema


def main() -> int:
    refused = False
    for name, model in MODELS.items():
        path = SCHEMAS / f"{name}.json"
        problems = incompatibilities(frozen(name), schema(model)) if path.exists() else []
        refused |= _write(path, schema(model), problems)
    for kind, service in documents.DOCUMENTS:
        path, today = documents.path(kind, service), documents.today(kind, service)
        problems = broken_promises(documents.frozen(kind, service), today) if path.exists() else []
        refused |= _write(path, today, problems)
    return int(refused)


def _write(path: Path, whole: dict[str, Any], problems: Sequence[str]) -> bool:
    """Write it unless there are problems; whether there are."""
    for problem in problems:
        print(f"{path.parent.name}/{path.stem}: {problem}", file=sys.stderr)  # noqa: T201 - a command
    if not problems:
        path.write_text(json.dumps(whole, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
