"""Who sees what of certification's rows, as conditions of SQL on a row joined with its cohort.

They take the parameters of ``seer``. ``table`` is the one whose ``country`` is the trainee's: certificates or trainees.
"""

from typing import Any

from shared.offices import Caller

A_PARTY = """
(
    CAST(:everything AS boolean)
    OR jsonb_path_exists(
        cohorts.parties,
        '$[*] ? (@.office == $office && @.role != "reader")',
        jsonb_build_object('office', CAST(:office AS text))
    )
)
"""
"""A cohort's parties, but who only reads."""


def visible(table: str) -> str:
    """A cohort's parties see its certificates; who only sends trainees those of its own country, who only reads none."""
    return _seen(table, '@.role != "sending-office" && @.role != "reader"')


def named(table: str) -> str:
    """Whoever coordinates sees figures and no names: who sends somebody theirs, who hosts or assesses a cohort its trainees'."""
    return _seen(table, '(@.role == "host-centre" || @.role == "awarding-body")')


def named_to_who_hosts(table: str) -> str:
    """Of those to whom ``named`` says somebody's name: whether it does only since they host the cohort."""
    return "NOT" + _seen(table, '@.role == "awarding-body"')


def _seen(table: str, in_roles: str) -> str:
    return f"""
    (
        CAST(:everything AS boolean)
        OR jsonb_path_exists(
            cohorts.parties,
            '$[*] ? (@.office == $office && {in_roles})',
            jsonb_build_object('office', CAST(:office AS text))
        )
        OR {table}.country = :country AND cohorts.parties @> jsonb_build_array(
            jsonb_build_object('office', CAST(:office AS text), 'role', 'sending-office')
        )
    )
    """


def seer(caller: Caller) -> dict[str, Any]:
    """The parameters that say who looks."""
    return {
        "everything": caller.administrator,
        "office": caller.source or "",
        "country": (caller.country or "").upper(),
    }
