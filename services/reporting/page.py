"""The plain page: the same table as the aggregates, as HTML that needs no script and nothing from another host."""

import base64
import hashlib
from collections.abc import Iterable
from html import escape

from services.reporting.domain import DIMENSIONS, MEASURES, NOT_APPLICABLE, UNKNOWN
from services.reporting.queries import Aggregates, Number, Question

BY = ("trade", "role", "sex")
"""What the table is by when nothing was asked."""
ROWS_SHOWN = 1000
"""More than this nobody reads on a page; the aggregates answer gives all."""

_WORDS = {
    ("sex", "F"): "women",
    ("sex", "M"): "men",
    ("sex", "U"): "not known",
    ("age_band", "Y_LT15"): "under 15",
    ("age_band", "Y15T24"): "15 to 24",
    ("age_band", "Y25T34"): "25 to 34",
    ("age_band", "Y35T44"): "35 to 44",
    ("age_band", "Y45T54"): "45 to 54",
    ("age_band", "Y55T64"): "55 to 64",
    ("age_band", "Y_GE65"): "65 and over",
    ("disability", "not-stated"): "not stated",
}

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
dt { font-weight: 600; } dd { margin: 0 0 0.4rem 1rem; }
a { color: var(--accent); }
@media (max-width: 40rem) { th, td { padding: 0.3rem 0.5rem; font-size: 0.85rem; white-space: normal; } }
"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""What goes with every page: nothing may be loaded, run, framed, cached or told to others."""


def sign_in(problem: str | None = None) -> str:
    """The form for who brings no token, or one that is not good (any more)."""
    return _document(
        "Sign in",
        f"""
<h1>Who is calling?</h1>
<p>The figures are for the programme's offices. Your token is on your hand-over sheet.</p>
{_problem(problem)}
<form method="post" action="/session">
<label class="field">Token<br><input type="password" name="token" autocomplete="current-password" required autofocus></label>
<button>Sign in</button>
</form>""",
        signed_in=False,
    )


def refusal(problem: str) -> str:
    """A question that cannot be asked."""
    return _document("Not understood", f'<h1>Not understood</h1>{_problem(problem)}<p><a href="/">Start over</a></p>')


def report(question: Question, answer: Aggregates, *, chosen: bool) -> str:
    """The table. Unless the measures were ``chosen``, those that are 0 throughout are left out."""
    measures = [name for name in answer.measures if chosen or answer.totals[name]]
    position = answer.position
    return _document(
        "Report",
        f"""
<h1>The programme's figures</h1>
<p class="note">True up to fact {position["ENROLMENT"]} of enrolment and fact {position["CERTIFICATION"]} of certification.
{_only(question)}</p>
{_choices(question, chosen=chosen)}
{_table(answer, measures) if measures else "<p>Nothing is counted here yet.</p>"}
<details><summary>What is counted</summary><dl>
{"".join(f"<dt>{_name(name)}</dt><dd>{escape(MEASURES[name].counts)}</dd>" for name in answer.measures)}
</dl></details>""",
    )


def _document(title: str, main: str, *, signed_in: bool = True) -> str:
    leave = '<form method="post" action="/session/end"><button>Sign out</button></form>' if signed_in else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - Sampan</title>
<style>{_STYLE}</style>
</head>
<body>
<header><strong>Sampan</strong>{leave}</header>
<main>{main}
</main>
</body>
</html>
"""


def _table(answer: Aggregates, measures: list[str]) -> str:
    shown = answer.rows[:ROWS_SHOWN]
    head = "".join(f'<th scope="col">{_name(name)}</th>' for name in answer.by)
    head += "".join(f'<th scope="col" class="figure">{_name(name)}</th>' for name in measures)
    body = "".join(
        "<tr>"
        + "".join(f'<th scope="row">{_value(name, str(row[name]))}</th>' for name in answer.by)
        + "".join(_figure(row[name]) for name in measures)
        + "</tr>\n"
        for row in shown
    )
    label = f'<th scope="row" colspan="{len(answer.by)}">All</th>' if answer.by else ""
    foot = label + "".join(_figure(answer.totals[name]) for name in measures)
    left_out = (
        f'<p class="note">The first {len(shown)} of {len(answer.rows)} rows. '
        "GET /v1/aggregates answers all of them; fewer dimensions or a shorter time give fewer.</p>"
        if len(shown) < len(answer.rows)
        else ""
    )
    return f"""
<div class="wide" role="region" aria-label="Figures" tabindex="0">
<table><thead><tr>{head}</tr></thead><tbody>
{body}</tbody>{f"<tfoot><tr>{foot}</tr></tfoot>" if answer.by else ""}</table></div>{left_out}"""


def _choices(question: Question, *, chosen: bool) -> str:
    kept = "".join(_hidden(name, value) for name, values in question.where for value in values)
    return f"""
<details><summary>Choose what is shown</summary>
<form method="get" action="/">{kept}
<fieldset><legend>Measures (all when none is chosen)</legend>
{_checkboxes("measure", MEASURES, question.measures if chosen else ())}</fieldset>
<fieldset><legend>By</legend>{_checkboxes("by", DIMENSIONS, question.by)}</fieldset>
<fieldset><legend>Months</legend>
<label>From <input name="from" type="month" placeholder="YYYY-MM" value="{escape(question.from_month or "")}"></label>
<label>to <input name="to" type="month" placeholder="YYYY-MM" value="{escape(question.to_month or "")}"></label></fieldset>
<button>Show</button> <a href="/">Start over</a>
</form></details>"""


def _only(question: Question) -> str:
    """What the figures are narrowed to, in words."""
    parts = [f"{_name(name)} {' or '.join(_value(name, value) for value in values)}" for name, values in question.where]
    if question.from_month:
        parts.append(f"from {escape(question.from_month)}")
    if question.to_month:
        parts.append(f"to {escape(question.to_month)}")
    return f'Only {", ".join(parts)}. <a href="/">Show all</a>' if parts else ""


def _checkboxes(parameter: str, names: Iterable[str], checked: Iterable[str]) -> str:
    on = set(checked)
    return "".join(
        f'<label><input type="checkbox" name="{parameter}" value="{name}"{" checked" if name in on else ""}>'
        f"{_name(name)}</label>\n"
        for name in names
    )


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{name}" value="{escape(value)}">'


def _problem(message: str | None) -> str:
    return f'<p class="problem" role="alert">{escape(message)}</p>' if message else ""


def _name(name: str) -> str:
    return escape(name.replace("_", " "))


def _value(dimension: str, value: str) -> str:
    if value == NOT_APPLICABLE:
        return '<span class="none">not applicable</span>'
    if value == UNKNOWN:
        return '<span class="none">not known</span>'
    return escape(_WORDS.get((dimension, value), value))


def _figure(value: str | Number) -> str:
    text = f"{value:,.2f}".removesuffix(".00") if isinstance(value, float) else f"{value:,}"
    return f"<td{' class=none' if not value else ''}>{text}</td>"
