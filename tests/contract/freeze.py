"""Write the JSON Schema of every message of the contract: ``python -m tests.contract.freeze`` (``make schemas``).

Refuses a change that others could not live with: give such a type a new version beside the old. What was never
released may be frozen anew by deleting its file first, which a reviewer sees.
"""

import json
import sys

from tests.contract.compatibility import incompatibilities
from tests.contract.models import MODELS, SCHEMAS, frozen, schema


def main() -> int:
    refused = False
    for name, model in MODELS.items():
        path = SCHEMAS / f"{name}.json"
        problems = incompatibilities(frozen(name), schema(model)) if path.exists() else []
        for problem in problems:
            refused = True
            print(f"{name}: {problem}", file=sys.stderr)  # noqa: T201 - a command
        if not problems:
            text = json.dumps(schema(model), indent=2, ensure_ascii=False, sort_keys=True)
            path.write_text(text + "\n", encoding="utf-8")
    return int(refused)


if __name__ == "__main__":
    sys.exit(main())
