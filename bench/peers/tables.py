"""Where the two queues' workers keep what they take: one transaction for each event, on asyncpg."""

import json
from collections import Counter
from typing import Any

from bench.judge import Held
from bench.peers.job import Record, awards, difference, evolved, read

SCHEMA = """
    DROP SCHEMA IF EXISTS {schema} CASCADE;
    CREATE SCHEMA {schema};
    SET search_path TO {schema};
    CREATE TABLE journal (source text, id text, body jsonb NOT NULL, PRIMARY KEY (source, id));
    CREATE TABLE rules (scheme text PRIMARY KEY, rule text NOT NULL);
    CREATE TABLE records (cohort text, number text, body jsonb NOT NULL DEFAULT '{{}}', PRIMARY KEY (cohort, number));
    CREATE TABLE certificates (cohort text, number text, scheme text, occupation text, level text, day text NOT NULL,
        printed text, PRIMARY KEY (cohort, number, scheme, occupation, level));
    CREATE TABLE aggregates (measure text, month text, country text, cohort text, value bigint NOT NULL,
        PRIMARY KEY (measure, month, country, cohort));
"""
_CERTIFICATES = """
    INSERT INTO certificates
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
    ON CONFLICT (cohort, number, scheme, occupation, level) DO UPDATE SET day = excluded.day, printed = excluded.printed
"""
_AGGREGATES = """
    INSERT INTO aggregates SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])
    ON CONFLICT (measure, month, country, cohort) DO UPDATE SET value = aggregates.value + excluded.value
"""


async def take(database: Any, body: bytes, rules: dict[str, str]) -> None:
    """Take one event in: journal, record, certificates and aggregates together. A duplicate and what is invalid change nothing.

    ``rules`` are those of the schemes; the worker keeps them for the next event.
    """
    said = read(body)
    if said is None:
        return
    async with database.transaction():
        journal = "INSERT INTO journal VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING true"
        if not await database.fetchval(journal, said.source, said.id, body.decode()):
            return
        if said.type == "scheme.registered.v1":
            rules[said.data["scheme"]] = said.data["rule"]
            await database.execute("INSERT INTO rules VALUES ($1, $2)", said.data["scheme"], said.data["rule"])
        if said.trainee is None:
            return
        cohort, number = said.trainee
        await database.execute(
            "INSERT INTO records (cohort, number) VALUES ($1, $2) ON CONFLICT DO NOTHING", cohort, number
        )
        kept = "SELECT body FROM records WHERE cohort = $1 AND number = $2 FOR UPDATE"
        old: Record = json.loads(await database.fetchval(kept, cohort, number))
        new = evolved(old, said)
        if new == old:
            return
        await database.execute(
            "UPDATE records SET body = $3 WHERE cohort = $1 AND number = $2", cohort, number, json.dumps(new)
        )
        if rows := awards(cohort, number, new, rules):
            await database.execute(_CERTIFICATES, *map(list, zip(*rows, strict=True)))
        if changes := difference(cohort, old, new, rules):
            cells = zip(*(cell for cell, _ in changes), strict=True)
            await database.execute(_AGGREGATES, *map(list, cells), [by for _, by in changes])


async def held(database: Any) -> Held:
    """What is there after a run."""
    certificates = "SELECT cohort, number, scheme, occupation, level, day, printed FROM certificates"
    aggregates = "SELECT measure, month, country, cohort, value FROM aggregates WHERE value <> 0"
    return Held(
        Counter([tuple(row) for row in await database.fetch("SELECT source, id FROM journal")]),
        Counter([tuple(row) for row in await database.fetch(certificates)]),
        Counter({tuple(place): value for *place, value in await database.fetch(aggregates)}),
    )
