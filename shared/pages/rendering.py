"""Templates to pages: one environment per language, escaping always on, and no name in a template left undefined."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined

from shared.pages import SCRIPT, STYLE
from shared.pages.languages import LANGUAGES, Language

FOLDER: Final = Path(__file__).parent / "templates"


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
        self._loader = ChoiceLoader([FileSystemLoader(folder) for folder in (*folders, FOLDER)])
        self._environments: dict[str, Environment] = {}

    def render(self, template: str, frame: Frame, **values: Any) -> str:
        """A whole page."""
        environment = self._environment(frame.language)
        return environment.get_template(template).render(frame=frame, language=frame.language, **values)

    def _environment(self, language: Language) -> Environment:
        if language.tag not in self._environments:
            made = Environment(
                loader=self._loader,
                autoescape=True,
                undefined=StrictUndefined,
                trim_blocks=True,
                lstrip_blocks=True,
                extensions=["jinja2.ext.i18n"],
            )
            made.install_gettext_translations(language.texts, newstyle=True)  # type: ignore[attr-defined]
            made.globals |= {"STYLE": STYLE, "SCRIPT": SCRIPT, "LANGUAGES": LANGUAGES}
            self._environments[language.tag] = made
        return self._environments[language.tag]
