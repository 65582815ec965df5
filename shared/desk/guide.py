"""The guide for an officer: one page, in the languages of the catalogue. ``docs/guide`` is written from it."""

from typing import Final

from shared.pages.languages import noted as _

TITLE: Final = _("A guide for officers")
GUIDE: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        _("Sign in"),
        (
            _(
                "Open the address on your hand-over sheet and type the token that stands there. It is yours "
                "alone: give it to nobody."
            ),
            _("At the top of every page is who is signed in. Sign out when you leave, above all on a shared computer."),
            _("At the foot of every page you choose your language."),
        ),
    ),
    (
        _("Say what happened"),
        (
            _("Choose Record, then what happened: a trainee is enrolled, a session was held, a trainee has completed."),
            _(
                "Fill in the form and send it. Fields with * are needed. If something is wrong, it is said "
                "beside the field, and what you typed stays."
            ),
            _(
                "For many trainees at once, fill in a roster: download the template under Rosters, upload the "
                "file, look at the preview, and confirm."
            ),
        ),
    ),
    (
        _("See what became of it"),
        (
            _("Taken: it is part of the record. There is nothing to do."),
            _(
                "Waiting: something else has to come first, perhaps from another office. It is taken by itself "
                "then. Look whether a code is misspelt."
            ),
            _(
                "Please decide: it contradicts something on record. Read what is said there, then correct the "
                "entry or withdraw it."
            ),
            _("Sending the same thing twice is harmless. If the line breaks, send it again."),
        ),
    ),
    (
        _("Correct a mistake"),
        (
            _(
                "Open the entry under What we said and choose Correct. The new entry takes the place of the old"
                " one; enrolments, marks and certificates stand."
            ),
            _("Withdraw is for what should never have been said."),
            _("For a misspelt name or a wrong date of birth, record Correct personal details."),
        ),
    ),
    (
        _("Names are protected"),
        (
            _("Write names only in the fields for names, never in a code, a reason or a file name."),
            _(
                "Names and identity numbers are kept encrypted. Only the office that sends a trainee, the "
                "centre that hosts and the body that assesses see them."
            ),
        ),
    ),
)
"""Sections: a heading and its paragraphs."""
