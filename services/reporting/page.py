"""The plain page: the same table as the aggregates, as HTML that needs no script and nothing from another host."""

from collections.abc import Iterable
from html import escape

from services.reporting.domain import DIMENSIONS, MEASURES, NOT_APPLICABLE, UNKNOWN
from services.reporting.queries import Aggregates, Number, Question
from shared.pages import page, problem

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


def refusal(message: str) -> str:
    """A question that cannot be asked."""
    return page(
        "Not understood", f'<h1>Not understood</h1>{problem(message)}<p><a href="/">Start over</a></p>', path="/"
    )


def report(question: Question, answer: Aggregates, *, chosen: bool) -> str:
    """The table. Unless the measures were ``chosen``, those that are 0 throughout are left out."""
    measures = [name for name in answer.measures if chosen or answer.totals.get(name)]
    position = answer.position
    return page(
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
        path="/",
    )


def _table(answer: Aggregates, measures: list[str]) -> str:
    shown = answer.rows[:ROWS_SHOWN]
    head = "".join(f'<th scope="col">{_name(name)}</th>' for name in answer.by)
    head += "".join(f'<th scope="col" class="figure">{_name(name)}</th>' for name in measures)
    body = "".join(
        "<tr>"
        + "".join(f'<th scope="row">{_value(name, str(row[name]))}</th>' for name in answer.by)
        + "".join(_figure(row.get(name)) for name in measures)
        + "</tr>\n"
        for row in shown
    )
    label = f'<th scope="row" colspan="{len(answer.by)}">All</th>' if answer.by else ""
    foot = label + "".join(_figure(answer.totals.get(name)) for name in measures)
    left_out = (
        f'<p class="note">The first {len(shown)} of {len(answer.rows)} rows. '
        "GET /v1/aggregates answers all of them; fewer dimensions or a shorter time give fewer.</p>"
        if len(shown) < len(answer.rows)
        else ""
    )
    return f"""
<div class="wide" role="region" aria-label="Figures" tabindex="0">
<table class="figures"><thead><tr>{head}</tr></thead><tbody>
{body}</tbody>{f"<tfoot><tr>{foot}</tr></tfoot>" if answer.by else ""}</table></div>{left_out}"""


def _choices(question: Question, *, chosen: bool) -> str:
    kept = "".join(_hidden(name, value) for name, values in question.where for value in values)
    return f"""
<details><summary>Choose what is shown</summary>
<form class="figures-form" method="get" action="/">{kept}
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


def _name(name: str) -> str:
    return escape(name.replace("_", " "))


def _value(dimension: str, value: str) -> str:
    if value == NOT_APPLICABLE:
        return '<span class="none">not applicable</span>'
    if value == UNKNOWN:
        return '<span class="none">not known</span>'
    return escape(_WORDS.get((dimension, value), value))


def _figure(value: str | Number | None) -> str:
    if value is None:
        return "<td class=none>-</td>"
    text = f"{value:,.2f}".removesuffix(".00") if isinstance(value, float) else f"{value:,}"
    return f"<td{' class=none' if not value else ''}>{text}</td>"
