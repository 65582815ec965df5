"""HTML pages for people in browsers: their frame, their look, their languages and the sign-in form.

They need no script and nothing from another host: a ministry's network may reach none.
"""

import base64
import hashlib
from html import escape
from pathlib import Path
from typing import Final

_FOLDER = Path(__file__).parent
STYLE: Final = (_FOLDER / "style.css").read_text(encoding="utf-8")
SCRIPT: Final = (_FOLDER / "script.js").read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def headers(style: str = "", script: str = "", *, asks: bool = False) -> dict[str, str]:
    """What goes with a page: but for its own styles and scripts nothing may be loaded, run, framed, cached or told.

    ``style`` and ``script`` are what it has besides those of every page; with ``asks`` its script may ask this service.
    """
    styles = " ".join(f"'sha256-{_hash(text)}'" for text in (STYLE, style) if text)
    scripts = " ".join(f"'sha256-{_hash(text)}'" for text in (SCRIPT, script) if text)
    connect = " connect-src 'self';" if asks else ""
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src {styles}; script-src {scripts};{connect} "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Vary": "Cookie, Accept-Language",
    }


HEADERS: Final = headers()
"""What goes with a page that has no more than every page."""


def page(title: str, main: str, *, path: str) -> str:
    """A whole page for who knows the system's own words, in English: ``main`` (HTML) at ``path`` (one of ours)."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} - Sampan</title>
<style>{STYLE}</style>
</head>
<body>
<header><a class="brand" href="/">Sampan</a>
<form class="who" method="post" action="/session/end?to={path}"><button class="plain">Sign out</button></form></header>
<main>{main}
</main>
</body>
</html>
"""


def problem(message: str | None) -> str:
    """A paragraph that says what is wrong; nothing when nothing is."""
    return f'<p class="problem" role="alert">{escape(message)}</p>' if message else ""
