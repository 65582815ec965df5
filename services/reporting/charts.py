"""Pictures of figures, as SVG inside the page: no script, no font and no colour of their own.

What they show is in a table beside them, so a reader who sees no pictures misses nothing. Colours come from the page's style,
by class: they follow the reader's dark mode, and print.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import svg
from markupsafe import Markup, escape

from shared.pages.languages import Language

WIDTH: Final = 100
"""Of a bar's picture; it is stretched to the room it has."""
_HEIGHT: Final = 8
_COLUMNS_WIDTH: Final = 720
_COLUMNS_HEIGHT: Final = 220
_LEFT, _BOTTOM, _TOP = 56, 26, 10
_LABELS: Final = 8
"""More beside each other would not be readable."""
_STEPS: Final = (1, 2, 5)


def bar(parts: Sequence[tuple[str, float]], whole: float) -> Markup:
    """Parts of a whole beside each other: (class, size). Read aloud it is nothing: the numbers stand next to it."""
    shown: list[svg.Element] = [svg.Rect(class_=["ground"], width=WIDTH, height=_HEIGHT)]
    at = 0.0
    for name, size in parts:
        width = _rounded(WIDTH * max(0.0, min(size, whole - at)) / whole) if whole > 0 else 0
        if width:
            shown.append(svg.Rect(class_=[name], x=_rounded(WIDTH * at / whole), width=width, height=_HEIGHT))
            at += size
    return _drawn(shown, WIDTH, _HEIGHT, ["bar"], preserveAspectRatio="none", aria_hidden=True)


def progress(counts: Mapping[str, float]) -> Markup:
    """How far a cohort has come: certified, completed without that, enrolled without that, among its places."""
    certified, completed, enrolled = counts["certified"], counts["completed"], counts["enrolled"]
    steps = [("certified", certified), ("completed", completed - certified), ("enrolled", enrolled - completed)]
    return bar(steps, max(counts["places"], enrolled, completed, certified))


def columns(language: Language, labels: Sequence[str], series: Mapping[str, Sequence[float]], title: str) -> Markup:
    """Columns beside each other for each label, one to a series (by its class); ``title`` says what they show."""
    most = max((value for values in series.values() for value in values), default=0)
    step = _step(most)
    top = step * max(1, -(-int(most) // step))
    room, high = _COLUMNS_WIDTH - _LEFT, _COLUMNS_HEIGHT - _BOTTOM - _TOP
    shown: list[svg.Element] = []
    for tick in range(0, top + 1, step):
        y = _rounded(_TOP + high * (1 - tick / top))
        shown.append(svg.Line(class_=["grid"], x1=_LEFT, x2=_COLUMNS_WIDTH, y1=y, y2=y))
        shown.append(
            svg.Text(class_=["tick"], x=_LEFT - 8, y=y + 4, text_anchor="end", text=_text(language.number(tick)))
        )
    slot = room / max(1, len(labels))
    wide = slot * 0.8 / max(1, len(series))
    for place, label in enumerate(labels):
        start = _LEFT + slot * (place + 0.1)
        for nth, (name, values) in enumerate(series.items()):
            tall = high * values[place] / top
            if values[place]:
                shown.append(
                    svg.Rect(
                        class_=[name],
                        x=_rounded(start + wide * nth),
                        y=_rounded(_TOP + high - tall),
                        width=_rounded(wide * 0.92),
                        height=_rounded(tall),
                    )
                )
        if place % -(-len(labels) // _LABELS) == 0:
            middle = _rounded(start + slot * 0.4)
            shown.append(
                svg.Text(class_=["tick"], x=middle, y=_COLUMNS_HEIGHT - 8, text_anchor="middle", text=_text(label))
            )
    return _drawn(shown, _COLUMNS_WIDTH, _COLUMNS_HEIGHT, ["columns"], role="img", aria_label=_text(title))


def _drawn(
    elements: list[svg.Element],
    width: int,
    height: int,
    classes: list[str],
    *,
    preserveAspectRatio: str | None = None,  # noqa: N803 - SVG's own name
    **attributes: str | bool,
) -> Markup:
    extra = {
        name.replace("_", "-"): str(value).lower() if value is True else str(value)
        for name, value in attributes.items()
    }
    picture = svg.SVG(
        xmlns=None,  # inside a page it goes without saying
        class_=classes,
        viewBox=svg.ViewBoxSpec(0, 0, width, height),
        elements=elements,
        extra=extra | ({"preserveAspectRatio": preserveAspectRatio} if preserveAspectRatio else {}),
    )
    return Markup(picture.as_str())  # noqa: S704 - numbers, our own names, and texts that were escaped


def _text(text: str) -> str:
    """For the library, which writes texts and attributes as they are."""
    return str(escape(text))


def _step(most: float) -> int:
    """The distance of the lines, so that there are at most five of them above zero."""
    size = 1
    while True:
        for step in _STEPS:
            if most <= 5 * step * size:
                return step * size
        size *= 10


def _rounded(value: float) -> float | int:
    rounded = round(value, 1)
    return int(rounded) if rounded == int(rounded) else rounded
