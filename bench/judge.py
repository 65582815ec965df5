"""The judge: DuckDB recomputes from the raw events what must be held of them, and every row is compared.

It knows none of the program's code and none of its peers'. A run with one differing row is void, however fast it was.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

Row = tuple[str | None, ...]

MEASURES = ("enrolled", "completed", "passed", "certified")
UNKNOWN = "_U"
"""The country of a trainee of whom nobody has said it."""

_TAKEN = """
CREATE TEMP TABLE taken AS
SELECT DISTINCT ON (source, id) type, source, id, time::timestamptz AS moment, replaces, data, line
FROM (
    SELECT line, line->>'type' AS type, line->>'source' AS source, line->>'id' AS id, line->>'time' AS time,
           line->>'replaces' AS replaces, line->'data' AS data
    FROM read_csv($file, columns = {'line': 'JSON'}, delim = '\\x01', quote = '', escape = '', header = false)
)
WHERE type IN (
    'centre.registered.v1', 'certificate.awarded.v1', 'certificate.numbered.v1', 'certificate.replaced.v1',
    'cohort.announced.v1', 'cohort.changed.v1', 'cohort.closed.v1', 'cohort.started.v1', 'competitor.nominated.v1',
    'competitor.placed.v1', 'event.voided.v1', 'outcome.reported.v1', 'person.corrected.v1', 'programme.registered.v1',
    'scheme.registered.v1', 'session.held.v1', 'trainee.assessed.v1', 'trainee.completed.v1', 'trainee.declined.v1',
    'trainee.enrolled.v1', 'trainee.proposed.v1', 'trainee.withdrawn.v1')
  AND regexp_matches(time, '(Z|[+-][0-9]{2}:[0-9]{2})$') AND try_cast(time AS timestamptz) IS NOT NULL
  AND (data->>'date' IS NULL OR try_cast(data->>'date' AS date) IS NOT NULL);

CREATE TEMP TABLE event AS
SELECT type, moment, data, data->>'cohort' AS cohort, data->>'number' AS number, data->>'date' AS day,
       data->>'scheme' AS scheme, data->>'occupation' AS occupation, data->>'level' AS level
FROM taken
WHERE (source, id) NOT IN (
    SELECT (source, data->>'event') FROM taken WHERE type = 'event.voided.v1'
    UNION ALL SELECT (source, replaces) FROM taken WHERE replaces IS NOT NULL
);

CREATE TEMP TABLE trainee AS
SELECT cohort, number,
       coalesce(max(data->>'country') FILTER (WHERE type IN ('trainee.proposed.v1', 'trainee.enrolled.v1')), '_U') AS country,
       min(day) FILTER (WHERE type = 'trainee.enrolled.v1') AS enrolled,
       min(day) FILTER (WHERE type = 'trainee.completed.v1') AS completed
FROM event WHERE number IS NOT NULL GROUP BY cohort, number;

CREATE TEMP TABLE award AS
WITH said_of AS (
    SELECT cohort, number, scheme, occupation, level,
           min(day) FILTER (WHERE type = 'trainee.assessed.v1' AND data->>'result' = 'pass') AS passed,
           min(day) FILTER (WHERE type = 'certificate.awarded.v1') AS awarded,
           max_by(data->>'certificate_number', moment)
               FILTER (WHERE type IN ('certificate.numbered.v1', 'certificate.replaced.v1')) AS printed
    FROM event WHERE scheme IS NOT NULL AND number IS NOT NULL GROUP BY ALL
), rule AS (SELECT scheme, data->>'rule' AS rule FROM event WHERE type = 'scheme.registered.v1')
SELECT said_of.*, country,
       coalesce(awarded, CASE WHEN rule = 'on_pass' AND passed IS NOT NULL AND completed IS NOT NULL
                              THEN greatest(passed, completed) END) AS certified
FROM said_of JOIN trainee USING (cohort, number) LEFT JOIN rule USING (scheme);
"""
_AGGREGATES = " UNION ALL ".join(
    f"SELECT '{measure}', {measure}[1:7] AS month, country, cohort, count(*) "  # noqa: S608
    f"FROM {'trainee' if measure in ('enrolled', 'completed') else 'award'} WHERE {measure} IS NOT NULL GROUP BY ALL"
    for measure in MEASURES
)
_CERTIFICATES = (
    "SELECT cohort, number, scheme, occupation, level, certified, printed FROM award WHERE certified IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class Held:
    """What somebody holds after a run, and how often each row is there."""

    journal: Counter[Row] = field(default_factory=Counter)
    """(source, id) of every event that was taken in."""
    certificates: Counter[Row] = field(default_factory=Counter)
    """(cohort, trainee's number, scheme, occupation, level, day of the award, the awarding body's number)."""
    aggregates: Counter[Row] = field(default_factory=Counter)
    """Counts by (measure, month, country, cohort), as they are served."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge found: rows that differ, and what of it is lost or there more often than it should be."""

    differing: list[str]
    lost: int
    doubled: int
    """Events, and awards."""

    @property
    def void(self) -> bool:
        """Whether the run does not count."""
        return bool(self.differing or self.lost or self.doubled)


def recomputed(bodies: Iterable[bytes], taken: Path | None = None) -> Held:
    """What must be held of these raw events. With ``taken``, those that can be taken are written there, each once."""
    with tempfile.TemporaryDirectory(prefix="sampan-judge-") as folder, duckdb.connect() as database:
        file = Path(folder) / "events.ndjson"
        with file.open("wb") as lines:
            lines.writelines(body + b"\n" for body in bodies)
        database.execute("SET TimeZone = 'UTC'")
        database.execute(_TAKEN.replace("$file", f"'{file}'"))
        if taken is not None:
            taken.write_text("".join(f"{line}\n" for (line,) in database.execute("SELECT line FROM taken").fetchall()))
        return Held(
            Counter(database.execute("SELECT source, id FROM taken").fetchall()),
            Counter(database.execute(_CERTIFICATES).fetchall()),
            Counter({tuple(place): count for *place, count in database.execute(_AGGREGATES).fetchall()}),
        )


def judge(must: Held, held: Held) -> Verdict:
    """Compare every row."""
    differing = [
        f"{what}: {row} is there {there[row]} times, and must be {wanted[row]}"
        for what, wanted, there in (
            ("events", must.journal, held.journal),
            ("certificates", must.certificates, held.certificates),
            ("aggregates", must.aggregates, held.aggregates),
        )
        for row in sorted({*wanted, *there}, key=str)
        if wanted[row] != there[row]
    ]
    wanted, there = _things(must), _things(held)
    return Verdict(differing, (wanted - there).total(), (there - wanted).total())


def _things(held: Held) -> Counter[Row]:
    """Events and awards, whatever is said of them: one with a wrong day is wrong, and neither lost nor doubled."""
    things = Counter(held.journal)
    for row, count in held.certificates.items():
        things[row[:5]] += count
    return things
