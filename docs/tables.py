"""Write the pages that are made from the code: ``python -m docs.tables`` (``make docs``).

Rules stand once, beside what holds to them; ``tests/architecture/test_docs.py`` finds a page that is stale.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from docs import faults, roster_columns
from services.certification import recognising
from services.certification import rules as certification
from services.certification import sentences as certification_sentences
from services.enrolment import rules as enrolment
from services.enrolment import sentences
from services.reporting import domain as reporting
from services.reporting.ledger import HOW_TO_ASK
from services.reporting.rates import BASES, RATES
from shared.desk.guide import GUIDE, TITLE
from shared.events import offices_to_certification, offices_to_enrolment
from shared.events.codes import Model
from shared.events.envelope import REFUSALS, Envelope
from shared.events.wire import BATCH, BODY_LIMIT, DEPTH_LIMIT, EVENTS_LIMIT, NDJSON, ONE, BodyRefused, Flaw, read_body
from shared.http import STATUS_OF_BODY
from shared.pages.languages import LANGUAGES, language

PAGES = Path(__file__).parent
EXAMPLES = PAGES.parent / "tests" / "contract" / "examples"
NOTE = "<!-- Written by `make docs` from the code. Change it there. -->"
BAD_BODIES: tuple[tuple[str, bytes], ...] = (
    ("text/plain", b""),
    (ONE, b" " * (BODY_LIMIT + 1)),
    (NDJSON, b"{}\n" * (EVENTS_LIMIT + 1)),
    (ONE, b"\xef\xbb\xbf{}"),
    (ONE, b"\xff"),
    (ONE, b"["),
    (ONE, b"[" * 100_000),
    (BATCH, b"{}"),
)
"""One body for each way to be refused as a whole."""

STATUSES = {
    "applied": "accepted",
    "voided": "accepted",
    "replaced": "accepted",
    "passed_not_issued": "accepted",
    "details_forgotten": "accepted",
    "duplicate": "duplicate",
    **dict.fromkeys(enrolment.OF_REPLACEMENTS + certification.OF_REPLACEMENTS, "conflict"),
}
"""Statuses of the codes that stand in no table of guards."""


@dataclass(frozen=True)
class Rules:
    """What is decided about one type of event."""

    rank: int
    roles: tuple[str, ...]
    guards: tuple[tuple[str, str], ...]
    """(status, code), in the order in which they are asked."""

    def codes(self, status: str) -> str:
        """The codes of one status, in a line."""
        return _codes(code for kind, code in self.guards if kind == status) or "-"


def enrolments_rules() -> dict[str, Rules]:
    return {
        name: Rules(rule.rank, _in_order(rule.roles), tuple((check.status, check.code) for check in rule.checks))
        for name, rule in enrolment.GUARDS.items()
    }


def certifications_rules() -> dict[str, Rules]:
    # Decided beside the table, since they are not about an award.
    others = {
        "scheme.registered.v1": (("conflict", "scheme_already_registered"),),
        "event.voided.v1": (
            ("waiting", "event_unknown"),
            *(("conflict", code) for code in ("type_differs", "already_voided", "voids_itself")),
        ),
        **{name: tuple((guard.status, guard.code) for guard in guards) for name, guards in recognising.GUARDS.items()},
    }
    return {
        name: Rules(
            rank,
            _in_order(certification.ROLES.get(name, ())),
            others.get(name) or tuple((guard.status, guard.code) for guard in certification.GUARDS[name]),
        )
        for name, rank in certification.RANKS.items()
    }


def events_page() -> str:
    lines = [
        "# Events",
        NOTE,
        "What offices post. An event is a CloudEvent (1.0, JSON): the fields below, and the type's own in `data`. "
        "Fields that are not known are passed over; nothing is coerced. An event that cannot be read is `rejected`; what "
        "each code means is in [receipts.md](receipts.md).",
        *fields_of(Envelope),
        "`replaces` is the id of an event of the same office and type that this one corrects: the two changes are one step. "
        "`event.voided` takes back what should never have been said; the void of a void lets it stand again.",
        "## How events are decided",
        "The record of a cohort (in certification: of a person) is made from the *set* of its events, in the order of time, "
        "rank, source and id, whatever the order in which they arrive. An event is *waiting* while something it needs has not "
        "come, and a *conflict* while it contradicts another; both are tried again whenever another event applies. If several "
        "hold, the first in the type's own list below is named. Who may say an event is decided by the roles that the office "
        "is registered in and, where there is a cohort, by its roles in the cohort's `parties`. An event with `replaces` may "
        f"besides meet {_codes(certification.OF_REPLACEMENTS)}, in enrolment also "
        f"{_codes(code for code in enrolment.OF_REPLACEMENTS if code not in certification.OF_REPLACEMENTS)}; one that was "
        "voided or replaced is `accepted` and says so.",
    ]
    services = (
        ("Enrolment", enrolments_rules(), offices_to_enrolment.TYPES, sentences.SENTENCES.__getitem__),
        ("Certification", certifications_rules(), offices_to_certification.TYPES, certification.sentence),
    )
    for title, rules, _, _ in services:
        lines += [f"### Ranks and guards: {title.lower()}", *rules_table(rules)]
    for title, rules, types, sentence in services:
        lines.append(f"## What {title.lower()} takes")
        for name, model in types.items():
            twice = title == "Certification" and name in offices_to_enrolment.TYPES
            lines.append(f"### {name} (certification)" if twice else f"### {name}")
            lines += [f"The same event [at enrolment](#{_anchor(name)})."] if twice else _docstring(model)
            lines += [] if twice else [*fields_of(model), *example(name)]
            lines += guards_table(rules[name], sentence)
    lines += ["## Words for fields", *table(("word", "what it is"), sorted(_words()))]
    return "\n\n".join(lines) + "\n"


def receipts_page() -> str:
    guards = {guard.code: guard.sentence for rules in certification.GUARDS.values() for guard in rules}
    lines = [
        "# Receipts",
        NOTE,
        "The answer to one event. Everything but a rejection depends on other events too, so it may change: each change has "
        "the next `number` and is told on `receipts.<country>.<office>`. An event that is sent again is a `duplicate`, and its "
        "receipt shows how the first stands now.",
        *table(
            ("status", "means"),
            [
                ("accepted", "The event is part of the record, or was until its office voided or replaced it."),
                ("duplicate", "The same event was taken before: nothing happens. `current` is how it stands."),
                ("waiting", "Something it needs has not come yet. It is taken up by itself."),
                ("conflict", "It contradicts another event. A person must decide; it is kept, and tried again."),
                ("rejected", "It cannot be taken, whatever else comes. It is not part of anything."),
            ],
        ),
        "## Enrolment",
        *codes_table(sentences.SENTENCES, enrolments_rules()),
        "## Certification",
        *codes_table(certification_sentences.SENTENCES | guards, certifications_rules()),
        "## Rejected events",
        "Decided from the event and its credential:",
        *table(
            ("code", "enrolment", "certification"),
            [
                (f"`{code}`", sentences.REFUSALS.get(code, "-"), certification_sentences.REFUSALS.get(code, "-"))
                for code in sentences.REFUSALS | certification_sentences.REFUSALS
            ],
        ),
        "Decided while reading, by either service. A sentence names the place and what is asked for, and never repeats what was "
        "written there:",
        *table(
            ("code", "means"),
            [(f"`{flaw.value[0]}`", flaw.value[1]) for flaw in Flaw]
            + [(f"`{code}`", text) for code, text in REFUSALS.items() if code not in {flaw.value[0] for flaw in Flaw}],
        ),
        "## Bodies that are refused as a whole",
        f"A body holds at most {BODY_LIMIT:,} bytes and {EVENTS_LIMIT:,} events, each nested at most {DEPTH_LIMIT} levels "
        "deep. Of a body that cannot be read, nothing is taken.",
        *table(
            ("code", "HTTP status", "sentence"),
            [
                (f"`{refused.code}`", str(STATUS_OF_BODY.get(refused.code, 400)), refused.sentence)
                for refused in bad_bodies()
            ],
        ),
    ]
    return "\n\n".join(lines) + "\n"


def reports_page() -> str:
    names = list(reporting.DIMENSIONS)
    lines = [
        "# Reports",
        NOTE,
        "`GET /v1/aggregates?measure=...&by=...&<dimension>=...&from=YYYY-MM&to=YYYY-MM` answers counts of any measures, by any "
        "dimensions, for any values of others, and the `position` in both streams up to which they are true. A dimension that "
        f"does not apply to a measure is `{reporting.NOT_APPLICABLE}`; a value that is not known is `{reporting.UNKNOWN}`. "
        "What is asked by a measure, a dimension, a value or a month that there is not is a 400 that names those that there are. "
        "A value is there once it was counted or registered, or a trade was announced with a cohort; it stays so when what was "
        "counted is taken back, and the answer is then 0. Two questions are answered with 0 also for a value that there is not: "
        "one with `as_of`, as what there was then may be gone by now; and a partner's by cohort, sending centre or host centre, "
        "which would otherwise tell what others have.",
        "## As of",
        "`as_of=` answers what was known then, from the cube's changes, which are kept by position: "
        f"{HOW_TO_ASK}. The answer's `position` is then that of the last change up to there, and `as_of` says when the newest "
        "fact in it was recorded. What several facts changed together is one change.",
        "## Why a figure is what it is",
        "`GET /v1/explain?` with the same parameters, for one measure and without `by`: the enrolments behind the figure "
        "(pseudonymous), the facts that put each there (stream, position, revision, time, the office's event), the rule and its "
        "version, and a digest of the set: while the same figure has the same one, it is made of the same enrolments. It is "
        "keyed with the service's secret, so nobody finds out by trying which they are, and those of two figures never match. "
        "`compare=` with a position or a date adds what came and went since then, and why, in "
        "a sentence; of a rate, into and out of either of its two counts. An office sees the lines of its own country and of "
        "cohorts there, a coordinator all; the others are counted as `withheld`. So does a comparison name sending centres and "
        "cohorts: the others are counted together. "
        "It is answered from reporting's own tables, also while the broker is away.",
        "## Periods",
        "`GET /v1/periods` lists the reporting periods of each programme, `<programme>.<period>`, with what it meant to reach "
        "and what it reached; a period's months are those from its first day to its last. `POST /v1/periods/{period}/close` "
        "(the administrator, or an office that is a coordinator of a cohort of the programme) publishes the next version of its "
        "report: the first closes it, a later one restates it, with the totals that differ and, for the main counts, what came "
        "and went and why, without sending centres and cohorts, since every partner reads it (`/v1/explain?compare=` has yours). "
        "A count of which more came and went than is explained at once is told by its totals alone. "
        "A version is never changed, not by a rebuild either; its `digest` is the SHA-256 of `id`, `version`, "
        "`position`, `rules`, `figures` and, if there is one, `restated`, as JSON with sorted keys and no spaces. "
        "`GET /v1/periods/{period}` says how the figures of now differ from the last version, and "
        "`/v1/periods/{period}/versions/{number}` answers one as it was.",
        "## Measures",
        *table(
            ("measure", "counts"),
            [
                (f"`{name}`", measure.counts + (" With two decimals." if measure.parts == 100 else ""))
                for name, measure in reporting.MEASURES.items()
            ],
        ),
        "People are distinct persons. They are counted anew for each row and for the total, so rows are not to be added "
        "(the answer's `distinct` says so); without `measure=` they are left out where counting them takes long.",
        "## Rates",
        "A rate is asked for like a measure, and stands with its two counts: `completion_rate`, `completion_rate_numerator`, "
        "`completion_rate_denominator`. What `from` and `to` mean is said by `basis`, which the answer repeats for each measure; "
        "without it, rates follow cohorts, so that none passes 100 %, and counts follow events.",
        *table(("basis", "from and to"), [(f"`{name}`", meaning) for name, meaning in BASES.items()]),
        *table(("rate", "says"), [(f"`{name}`", rate.says) for name, rate in RATES.items()]),
        "What would make a rate pass 100 % is left out of it and counted by itself:",
        *table(("measure", "counts"), [(f"`{name}`", one.counts) for name, one in reporting.EXCEPTIONS.items()]),
        "## Dimensions",
        *table(("dimension", "its values"), [(f"`{name}`", text) for name, text in reporting.DIMENSIONS.items()]),
        "## Which dimensions apply to which measure",
        *table(
            ("dimension", "does not apply to"),
            [
                (
                    f"`{name}`",
                    ", ".join(
                        f"`{measure}`" for measure, rule in reporting.MEASURES.items() if name not in rule.dimensions
                    )
                    or "-",
                )
                for name in names
            ],
        ),
    ]
    return "\n\n".join(lines) + "\n"


def rules_table(rules: Mapping[str, Rules]) -> list[str]:
    return table(
        ("type", "rank", "who may say it", "waiting", "conflict"),
        [
            (
                f"[{name}](#{_anchor(name)})",
                str(rule.rank),
                ", ".join(rule.roles) or "whoever said it",
                rule.codes("waiting"),
                rule.codes("conflict"),
            )
            for name, rule in sorted(rules.items(), key=lambda line: line[1].rank)
        ],
    )


def codes_table(meanings: Mapping[str, str], rules: Mapping[str, Rules]) -> list[str]:
    statuses = STATUSES | {code: status for rule in rules.values() for status, code in rule.guards}
    return table(
        ("code", "status", "sentence"), [(f"`{code}`", statuses[code], text) for code, text in meanings.items()]
    )


def guards_table(rules: Rules, sentence: Callable[[str], str]) -> list[str]:
    return table(
        ("code", "status", "sentence"), [(f"`{code}`", status, sentence(code)) for status, code in rules.guards]
    )


def fields_of(model: type[Model]) -> list[str]:
    """A table of the model's fields, and one of each object inside it."""
    schema = model.model_json_schema()
    lines = _field_table(schema)
    for name, part in schema.get("$defs", {}).items():
        lines += [f"`{name}`", *_field_table(part)]
    return lines


def _field_table(schema: Mapping[str, Any]) -> list[str]:
    needed = schema.get("required", [])
    return table(
        ("field", "kind", ""),
        [
            (f"`{name}`", _kind(part), "required" if name in needed else _default(part))
            for name, part in schema["properties"].items()
        ],
    )


def _kind(part: Mapping[str, Any]) -> str:
    if "anyOf" in part:
        return " or ".join(_kind(option) for option in part["anyOf"] if option.get("type") != "null")
    if "$ref" in part:
        return f"`{part['$ref'].rpartition('/')[2]}`"
    if "description" in part:
        word = str(part["description"]).partition(":")[0]
        return f"{word}, at most {part['maxLength']}" if word == "text" and part["maxLength"] < 300 else word
    if "const" in part or "enum" in part:
        return ", ".join(f"`{value}`" for value in part.get("enum", [part.get("const")]))
    if part["type"] == "array":
        return f"list: {_kind(part['items'])}"
    if part["type"] in ("integer", "number"):
        word = "whole number" if part["type"] == "integer" else "number"
        low = part.get("minimum", f"above {part.get('exclusiveMinimum', 0)}")
        return f"{word}, {low} to {part['maximum']:,}" if "maximum" in part else word
    return {"boolean": "true or false", "object": "object", "string": "string"}[part["type"]]


def _default(part: Mapping[str, Any]) -> str:
    value = part.get("default")
    return "" if value in (None, [], {}) or isinstance(value, dict) else f"else `{json.dumps(value)}`".replace('"', "")


def example(name: str) -> list[str]:
    data = json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))["data"]
    return ["```json\n" + json.dumps(data, ensure_ascii=False, indent=2) + "\n```"]


def bad_bodies() -> list[BodyRefused]:
    refused = []
    for content_type, body in BAD_BODIES:
        try:
            read_body(content_type, body)
        except BodyRefused as error:
            refused.append(error)
    return refused


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    lines = [_row(heads), _row("---" for _ in heads), *(_row(row) for row in rows)]
    return ["\n".join(lines)]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _words() -> list[tuple[str, str]]:
    """Every word that stands for a kind of field."""
    found: dict[str, str] = {}

    def collect(part: Any) -> None:
        if isinstance(part, dict):
            if isinstance(part.get("description"), str) and ":" in part["description"] and "properties" not in part:
                word, _, text = part["description"].partition(": ")
                found[word] = text
            for value in part.values():
                collect(value)
        elif isinstance(part, list):
            for value in part:
                collect(value)

    for model in (Envelope, *offices_to_enrolment.TYPES.values(), *offices_to_certification.TYPES.values()):
        collect(model.model_json_schema())
    return list(found.items())


def _docstring(model: type[Model]) -> list[str]:
    text = model.__doc__
    return [" ".join(text.replace("``", "`").split())] if text and text != Model.__doc__ else []


def _codes(codes: Iterable[str]) -> str:
    return ", ".join(f"`{code}`" for code in codes)


def _in_order(roles: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(roles))


def _anchor(heading: str) -> str:
    return heading.replace(".", "")


def guide_page(tag: str) -> str:
    """The guide for officers in one language, as the page at /guide has it."""
    say = language(tag).say
    others = " · ".join(f"**{name}**" if other == tag else f"[{name}]({other}.md)" for other, name in LANGUAGES.items())
    sections = "".join(
        f"\n## {say(heading)}\n\n" + "".join(f"- {say(one).replace('*', '&#42;')}\n" for one in paragraphs)
        for heading, paragraphs in GUIDE
    )
    return f"# {say(TITLE)}\n\n{others}\n{sections}"


WRITTEN: Mapping[str, Callable[[], str]] = {
    "events.md": events_page,
    "receipts.md": receipts_page,
    "reports.md": reports_page,
    "faults.md": lambda: faults.page(NOTE),
    "roster-columns.md": lambda: roster_columns.page(NOTE),
    **{f"guide/{tag}.md": partial(guide_page, tag) for tag in LANGUAGES},
}


def main() -> None:
    for name, page in WRITTEN.items():
        (PAGES / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
