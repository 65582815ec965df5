"""HTML pages for people in browsers: their frame, their style and the sign-in form.

They need no script and nothing from another host: a ministry's network may reach none.
"""

import base64
import hashlib
from html import escape
from typing import Final

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #5a6776; --line: #d5dce4; --paper: #fff; --shade: #f3f6f9;
  --accent: #0b5c7a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4eaf0; --soft: #9fadbb; --line: #34424f; --paper: #12191f;
  --shade: #1b252e; --accent: #7cc4e0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
header, main, footer { max-width: 80rem; margin: 0 auto; padding: 0.75rem 1rem; }
header { display: flex; flex-wrap: wrap; gap: 1rem; align-items: center; justify-content: space-between; }
header strong { font-size: 1.25rem; color: var(--accent); }
h1 { font-size: 1.5rem; margin: 0.5rem 0; }
.note, footer { color: var(--soft); font-size: 0.9rem; }
.problem { border-left: 0.25rem solid #b3261e; padding: 0.5rem 0.75rem; background: var(--shade); }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 0.5rem; margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 0.4rem 0.75rem; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--line);
  font-weight: normal; }
thead th { background: var(--shade); font-weight: 600; vertical-align: bottom; }
thead th:first-letter { text-transform: uppercase; }
td, th.figure { text-align: right; }
th.figure { white-space: normal; }
tfoot th, tfoot td { font-weight: 600; border: 0; background: var(--shade); }
tbody tr:hover > * { background: var(--shade); }
.none { color: var(--soft); }
details { margin: 1rem 0; }
summary { cursor: pointer; color: var(--accent); font-weight: 600; }
fieldset { border: 1px solid var(--line); border-radius: 0.5rem; margin: 0.75rem 0; padding: 0.5rem 0.75rem;
  display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; }
label { display: inline-flex; gap: 0.4rem; align-items: center; min-height: 1.75rem; }
label.field { display: block; margin: 0.75rem 0; }
input[type=password] { width: min(36rem, 100%); }
input, button { font: inherit; padding: 0.35rem 0.6rem; border: 1px solid var(--soft); border-radius: 0.35rem;
  background: var(--paper); color: inherit; }
button { background: var(--accent); border-color: var(--accent); color: var(--paper); cursor: pointer; }
header button { background: none; color: var(--accent); }
:focus-visible { outline: 0.2rem solid var(--accent); outline-offset: 0.1rem; }
section { margin: 1.5rem 0; padding-top: 0.5rem; border-top: 1px solid var(--line); }
h2 { font-size: 1.25rem; margin: 2rem 0 0.5rem; } h3 { font-size: 1.05rem; margin: 0.5rem 0; overflow-wrap: anywhere; }
h4 { font-size: 1rem; margin: 0.75rem 0 0.25rem; }
td.text { text-align: left; white-space: normal; }
dt { font-weight: 600; } dd { margin: 0 0 0.4rem 1rem; }
a { color: var(--accent); }
@media (max-width: 40rem) { th, td { padding: 0.3rem 0.5rem; font-size: 0.85rem; white-space: normal; } }
"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""What goes with every page: nothing may be loaded, run, framed, cached or told to others."""


def page(title: str, main: str, *, path: str, signed_in: bool = True) -> str:
    """A whole page at ``path`` (one of ours), around ``main`` (HTML)."""
    leave = f'<form method="post" action="/session/end?to={path}"><button>Sign out</button></form>' if signed_in else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} - Sampan</title>
<style>{_STYLE}</style>
</head>
<body>
<header><strong>Sampan</strong>{leave}</header>
<main>{main}
</main>
</body>
</html>
"""


def sign_in(path: str, message: str | None = None) -> str:
    """The form for who brings no token, or one that is not good (any more); it leads to the page at ``path``."""
    return page(
        "Sign in",
        f"""
<h1>Who is calling?</h1>
<p>This page is for the programme's offices. Your token is on your hand-over sheet.</p>
{problem(message)}
<form method="post" action="/session?to={path}">
<label class="field">Token<br><input type="password" name="token" autocomplete="current-password" required autofocus></label>
<button>Sign in</button>
</form>""",
        path=path,
        signed_in=False,
    )


def problem(message: str | None) -> str:
    """A paragraph that says what is wrong; nothing when nothing is."""
    return f'<p class="problem" role="alert">{escape(message)}</p>' if message else ""
