"""Templates to pages: compiled once for all languages, escaping always on, and no name in a template left undefined."""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined

from shared.pages import SCRIPT, STYLE
from shared.pages.languages import LANGUAGES, Language

FOLDER: Final = Path(__file__).parent / "templates"

_language: ContextVar[Language] = ContextVar("language")
"""In which a page is being written: the calls that look a text up are given nothing but the text."""


def _text(text: str) -> str:
    return _language.get().texts.gettext(text)


def _texts(one: str, many: str, number: int) -> str:
    return _language.get().texts.ngettext(one, many, number)


@dataclass(frozen=True, slots=True)
class Link:
    """A link of a page's frame; its text is in the catalogue."""

    href: str
    text: str


@dataclass(frozen=True, slots=True)
class Signed:
    """Who is signed in, as the frame shows it, and the key that every form of theirs carries."""

    officer: str
    office: str
    source: str
    form_key: str


@dataclass(frozen=True, slots=True)
class Frame:
    """What is around a page: where it stands, in which language, for whom, and where it leads."""

    path: str
    language: Language
    signed: Signed | None = None
    query: tuple[tuple[str, str], ...] = ()
    links: Sequence[Link] = ()
    elsewhere: Sequence[Link] = ()
    """The desks of the other services."""

    def in_language(self, tag: str) -> str:
        """This page's address in another language."""
        kept = [(name, value) for name, value in self.query if name != "lang"]
        return f"{self.path}?{urlencode([*kept, ('lang', tag)])}"

    def is_at(self, href: str) -> bool:
        """Whether a link of the frame leads to this page, or to the one above it."""
        return self.path == href or (href != "/" and self.path.startswith(f"{href}/"))


class Pages:
    """Renders the templates of these folders, besides the frame's own."""

    def __init__(self, *folders: Path) -> None:
        self._environment = Environment(
            loader=ChoiceLoader([FileSystemLoader(folder) for folder in (*folders, FOLDER)]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.i18n"],
        )
        self._environment.install_gettext_callables(_text, _texts, newstyle=True)  # type: ignore[attr-defined]
        self._environment.globals |= {"STYLE": STYLE, "SCRIPT": SCRIPT, "LANGUAGES": LANGUAGES}

    def render(self, template: str, frame: Frame, **values: Any) -> str:
        """A whole page."""
        before = _language.set(frame.language)
        try:
            return self._environment.get_template(template).render(frame=frame, language=frame.language, **values)
        finally:
            _language.reset(before)
