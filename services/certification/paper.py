"""The paper: an A4 page that attests to a certificate, in English and the country's own language, with the credential inside.

Set by Typst from ``templates/paper.typ`` with the fonts that are beside it: no font or library of the machine is needed. What the
page says comes as data, never as markup. PDF/A-3: the file holds all that it needs, and the signed credential besides.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Literal

import segno
import typst

from services.certification.showing import Course
from shared.pages.languages import Language, language
from shared.pages.languages import noted as _
from shared.vc.embedding import write_png

TEMPLATE: Final = Path(__file__).parent / "templates" / "paper.typ"
FONTS: Final = Path(__file__).parent / "fonts"
LANGUAGE_OF: Final[Mapping[str, str]] = {"KH": "km", "LA": "lo", "MM": "my", "CN": "zh-Hans"}
"""The language that a paper is in besides English, by the holder's country."""
PIXELS_PER_INCH: Final = 150
_BOX: Final = "\u25a1"
_AS_IT_IS: Final = {"credential", "address", "qr"}
_STANDARD: Final = "a-3a"

Titles = Mapping[str, str]
Standing = Literal["valid", "suspended", "revoked", "superseded", "expired", "void"]
STANDINGS: Final[Mapping[str, str]] = {
    "suspended": _("SUSPENDED since %(day)s: this certificate is not valid now."),
    "revoked": _("REVOKED on %(day)s: this certificate is not valid."),
    "superseded": _("REPLACED on %(day)s: a newer certificate stands in its place."),
    "void": _("VOID: this certificate should never have been issued."),
    "expired": _("EXPIRED on %(day)s: this certificate is not valid any more."),
}
"""What is printed across a paper that is no good any more."""


@dataclass(frozen=True, slots=True)
class Name:
    """A holder's name in one script; the language is a guess of nobody's: as enrolment has it."""

    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Tier:
    """A level by its names, and the number that is printed for it."""

    titles: Titles
    printed: str | None = None


@dataclass(frozen=True, slots=True)
class Paper:
    """Everything that one page says."""

    country: str
    """The holder's, as ISO 3166-1 has it: decides the second language."""
    names: tuple[Name, ...]
    """As its owner writes it, then romanised; none without consent."""
    scheme: Titles
    occupation: Titles
    tier: Tier
    awarding_body: Titles
    number: str | None
    awarded_on: date | None
    valid_until: date | None
    address: str
    """The public page, which the QR code leads to."""
    operator: str
    made: datetime
    standing: Standing = "valid"
    since: date | None = None
    course: Course | None = None
    look_up: str | None = None
    """Where the awarding body itself can be asked."""
    credential: str = ""
    """The signed credential, which goes into the file."""
    demonstration: bool = False

    @property
    def second(self) -> Language:
        """The language besides English; English where it has none of ours."""
        return language(LANGUAGE_OF.get(self.country, "en"))


def pdf(paper: Paper) -> bytes:
    """The page as PDF/A-3. Takes a tenth of a second of one core: call it in a thread."""
    found = typst.compile(
        TEMPLATE,
        root=TEMPLATE.parent,
        font_paths=_fonts(),
        sys_inputs={"said": json.dumps(_said(paper))},
        format="pdf",
        pdf_standards=_STANDARD,
        timestamp=paper.made.replace(microsecond=0),
    )
    assert isinstance(found, bytes)
    return found


def png(paper: Paper) -> bytes:
    """The page as a picture, with the credential in it as Open Badges 3.0 says (section 5.3): an iTXt chunk."""
    found = typst.compile(
        TEMPLATE,
        root=TEMPLATE.parent,
        font_paths=_fonts(),
        sys_inputs={"said": json.dumps(_said(paper) | {"credential": ""})},
        format="png",
        ppi=PIXELS_PER_INCH,
    )
    assert isinstance(found, bytes)
    return write_png(found, paper.credential) if paper.credential else found


def covered(texts: Iterable[str]) -> bool:
    """Whether the fonts beside us have every character of these texts."""
    return not any(_missing(text) for text in texts)


def _missing(text: str) -> set[str]:
    firsts, lasts = _coverage()
    return {one for one in set(text) if (not (place := bisect_right(firsts, ord(one))) or lasts[place - 1] < ord(one))}


@cache
def _coverage() -> tuple[list[int], list[int]]:
    lines = (FONTS / "coverage.txt").read_text().split()
    runs = [(int(first, 16), int(last, 16)) for first, _, last in (line.partition("-") for line in lines)]
    return [first for first, _ in runs], [last for _, last in runs]


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[FONTS])


def _texts(paper: Paper) -> Iterator[str]:
    yield from (name.text for name in paper.names)
    course = (paper.course.titles, paper.course.host) if paper.course else ()
    for titles in (paper.scheme, paper.occupation, paper.tier.titles, paper.awarding_body, *course):
        yield from (text for tag, text in titles.items() if tag in _shown(paper))
    yield paper.operator


def _shown(paper: Paper) -> tuple[str, ...]:
    """The languages of titles that a paper shows: English, the country's, and the body's own (Chinese, where it is one)."""
    return tuple(dict.fromkeys(("en", paper.second.tag, "zh-Hans", "zh")))


def _said(paper: Paper) -> dict[str, Any]:
    """What the template is given, with a box for each character that no font of ours has: PDF/A allows none without a picture."""
    said = _everything(paper, whole=covered(_texts(paper)))
    return {name: one if name in _AS_IT_IS else _boxed(one) for name, one in said.items()}


def _boxed(value: Any) -> Any:
    match value:
        case str():
            lacking = _missing(value)
            return "".join(_BOX if one in lacking else one for one in value)
        case dict():
            return {name: _boxed(one) for name, one in value.items()}
        case list():
            return [_boxed(one) for one in value]
    return value


def _everything(paper: Paper, *, whole: bool) -> dict[str, Any]:
    made = paper.made
    return {
        "title": _title(paper),
        "operator": paper.operator,
        "made": [made.year, made.month, made.day],
        "programme": _one("en", paper.operator),
        "heading": _both(paper, _("Attestation")),
        "lead": _both(paper, _("This page attests that")),
        "names": [_one(name.language, name.text) for name in paper.names],
        "nameless": _both(paper, _("the holder of the certificate number below")),
        "holds": _both(paper, _("holds the awarding body's certificate under the scheme")),
        "scheme": _titles(paper, paper.scheme),
        "level": _level(paper),
        "rows": list(_rows(paper)),
        "warning": _warning(paper),
        "across": STANDINGS[paper.standing].split()[0].strip(":") if paper.standing in STANDINGS else None,
        "address": paper.address,
        "shown": paper.address.partition("://")[2],
        "qr": _qr(paper.address),
        "qr_alt": f"QR code of {paper.address}",
        "check": _both(paper, _("Scan the code to see whether this certificate is valid today")),
        "original": _original(paper),
        "remarks": list(_remarks(paper, whole=whole)),
        "attested": _both(
            paper,
            _(
                "Attested by %(operator)s on %(day)s. "
                "The certificate itself is the awarding body's; this page does not replace it."
            ),
            operator=paper.operator,
            day=made.date(),
        ),
        "credential": paper.credential,
    }


def _title(paper: Paper) -> str:
    parts = [
        "Attestation",
        _english(paper.scheme),
        _english(paper.tier.titles),
        _english(paper.occupation),
        paper.number,
    ]
    return " - ".join(part for part in parts if part)


def _rows(paper: Paper) -> Iterator[dict[str, Any]]:
    def row(label: str, values: list[dict[str, str]]) -> dict[str, Any]:
        return {"label": _both(paper, label), "values": values}

    yield row(_("Trade"), _titles(paper, paper.occupation))
    yield row(_("Awarding body"), _titles(paper, paper.awarding_body))
    number = [_one("en", paper.number)] if paper.number else _both(paper, _("The awarding body has given no number."))
    yield row(_("Certificate number"), number)
    if paper.course:
        course, english = paper.course, language("en")
        [host, *_rest] = _titles(paper, course.host)
        where = _one(host["lang"], f"{host['text']}, {english.country(course.host_country)}")
        days = _one("en", f"{english.day(course.starts_on)} \u2013 {english.day(course.ends_on)}")
        yield row(_("Course"), [*_titles(paper, course.titles, ("en", paper.second.tag)), where, days])
    if paper.awarded_on:
        yield row(_("Awarded on"), _day(paper, paper.awarded_on))
    if paper.valid_until:
        yield row(_("Valid until"), _day(paper, paper.valid_until))


def _original(paper: Paper) -> list[dict[str, str]]:
    if paper.look_up:
        return _both(
            paper,
            _("The original certificate can be checked with the awarding body: %(address)s"),
            address=paper.look_up,
        )
    return _both(paper, _("The original certificate can be checked with the awarding body, by its number."))


def _remarks(paper: Paper, *, whole: bool) -> Iterator[list[dict[str, str]]]:
    if paper.demonstration:
        yield _both(paper, _("A demonstration: the address works only on the machine that made this page."))
    if not whole:
        yield _both(
            paper,
            _(
                "Some characters cannot be printed here, and have a box in their place; "
                "the signed document in this file has them all."
            ),
        )


def _warning(paper: Paper) -> list[dict[str, str]] | None:
    if paper.standing not in STANDINGS:
        return None
    return _both(paper, STANDINGS[paper.standing], day=paper.since or paper.made.date())


def _level(paper: Paper) -> list[dict[str, str]]:
    found = _titles(paper, paper.tier.titles)
    if paper.tier.printed and found:
        found[0] = _one(found[0]["lang"], f"{found[0]['text']} ({paper.tier.printed})")
    return found


def _titles(paper: Paper, titles: Titles, tags: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """A title in the languages that the page shows, or in some of them, else in the first that it has."""
    found = [_one(tag, titles[tag]) for tag in dict.fromkeys(tags or _shown(paper)) if tag in titles]
    return found or [_one(tag, text) for tag, text in list(titles.items())[:1]]


def _day(paper: Paper, day: date) -> list[dict[str, str]]:
    return [_one(spoken.tag, spoken.day(day)) for spoken in _languages(paper)]


def _both(paper: Paper, text: str, **values: object) -> list[dict[str, str]]:
    """A text of ours in English and, where that is another, the country's language."""
    return [
        _one(
            spoken.tag,
            spoken.say(text, **{name: _in(spoken, value) for name, value in values.items()})
            if values
            else spoken.say(text),
        )
        for spoken in _languages(paper)
    ]


def _in(spoken: Language, value: object) -> object:
    return spoken.day(value) if isinstance(value, date) else value


def _languages(paper: Paper) -> tuple[Language, ...]:
    english = language("en")
    return (english,) if paper.second.tag == "en" else (english, paper.second)


def _english(titles: Titles) -> str:
    return titles.get("en") or next(iter(titles.values()), "")


def _one(tag: str, text: str) -> dict[str, str]:
    return {"lang": tag, "text": text}


def _qr(address: str) -> str:
    drawn = BytesIO()
    segno.make(address, error="m", micro=False).save(drawn, kind="svg", border=2, dark="#14303f", xmldecl=False)
    return drawn.getvalue().decode()
