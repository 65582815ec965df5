"""The page of a roster's columns, written from ``shared/rosters/columns.toml`` by ``docs.tables``."""

from shared.rosters.columns import KINDS, LANGUAGES, Sheet, codes, sheets

LANGUAGE_NAMES = {"en": "English", "km": "Khmer", "lo": "Lao", "my": "Burmese", "zh": "Chinese"}


def page(note: str) -> str:
    """Every sheet's columns with their headers in each language."""
    parts = [note, "", "# A roster's columns", "", _ABOUT]
    for kind in KINDS:
        parts += ["", f"## {sheets()[kind].titles['en']}", "", *_table(sheets()[kind])]
    return "\n".join(parts) + "\n"


_ABOUT = """What becomes of them: [rosters.md](rosters.md). A header is recognised in any of the five languages, by its key and
by its other names, whatever its case, spaces, hyphens, underscores, dots, colons, stars and brackets. Columns marked * must be
there; the order is free, and columns that are not listed are left alone. All names and aliases: `shared/rosters/columns.toml`."""


def _table(sheet: Sheet) -> list[str]:
    called = ", ".join(f"{sheet.titles[language]}" for language in LANGUAGES)
    head = [LANGUAGE_NAMES[language] for language in LANGUAGES]
    lines = [
        f"The sheet is called {called}.",
        "",
        f"| key | {' | '.join(head)} | cells |",
        "|" + "---|" * (len(head) + 2),
    ]
    for column in sheet.columns:
        star = " *" if column.key in sheet.required else ""
        cells = column.help["en"].replace("|", "/") + (f" One of: {', '.join(codes(column.of))}." if column.of else "")
        titles = " | ".join(column.titles[language] for language in LANGUAGES)
        lines.append(f"| `{column.key}`{star} | {titles} | {cells} |")
    return lines
