"""The catalogue of the pages' texts, gathered from the code and the templates: ``make catalogue``.

What is new has an empty translation in each language's file, and a test asks for it; what nothing says any more is dropped.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import write_po

from shared.pages.languages import FOLDER, LANGUAGES, catalogue

ROOT = Path(__file__).parents[1]
KEYWORDS = {"_": None}


def gathered() -> Catalog:
    """Every text that pages may show, in the order of the files."""
    found = Catalog(project="Sampan", charset="utf-8")
    for path in _sources():
        method = "python" if path.suffix == ".py" else "jinja2"
        for _, text, comments, _ in extract_from_file(method, path, keywords=KEYWORDS, options={"trimmed": "true"}):
            found.add(text, locations=[(str(path.relative_to(ROOT)), 0)], auto_comments=comments)
    return found


def _sources() -> Iterator[Path]:
    for folder in ("shared", "services"):
        yield from sorted(
            path
            for path in (ROOT / folder).rglob("*")
            if path.suffix == ".html" or (path.suffix == ".py" and " as _\n" in path.read_text(encoding="utf-8"))
        )


def main() -> None:
    """Bring every language's file up to the code."""
    template = gathered()
    for tag in LANGUAGES:
        if tag == "en":
            continue
        held = catalogue(tag)
        held.project, held.version = "Sampan", "texts of the pages"
        held.update(template, no_fuzzy_matching=True)
        held.obsolete.clear()
        with (FOLDER / f"{tag}.po").open("wb") as file:
            write_po(file, held, width=0, omit_header=True, no_location=True)
        lacking = sum(1 for message in held if message.id and not message.string)
        print(f"{tag}: {len(held)} texts, {lacking} not translated", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main()
