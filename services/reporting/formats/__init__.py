"""The same answer in the forms that others read: text tables, workbooks, SDMX, DHIS2, IATI. Pure: figures in, bytes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Number = int | float
Place = str | Number | None
"""A dimension's value or a figure; a figure that is hidden is None."""

CSV = "text/csv"
WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SDMX = "application/vnd.sdmx.data+csv"
XML = "application/xml"
JSON = "application/json"

FORMATS: Mapping[str, str] = {
    "json": JSON,
    "csv": CSV,
    "xlsx": WORKBOOK,
    "sdmx": SDMX,
    "dhis2": JSON,
    "iati": XML,
}
"""Each by its name in `?format=`, with its media type (RFC 9110, 12.5.1: what Accept names)."""
BY_MEDIA_TYPE: Mapping[str, str] = {JSON: "json", CSV: "csv", WORKBOOK: "xlsx", SDMX: "sdmx"}
"""What a media type in Accept means. DHIS2's and IATI's forms have none of their own: they are asked for by name."""
NAMES: Mapping[str, str] = {
    "csv": "sampan.csv",
    "xlsx": "sampan.xlsx",
    "sdmx": "sampan-sdmx.csv",
    "iati": "sampan-iati.xml",
}
"""What a browser calls the file."""


class NotInThisFormat(Exception):
    """There is no such form, or this question has no answer in it: the message says which there are, or what to ask."""

    def __init__(self, message: str, code: str = "not_in_this_format") -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Figures:
    """An answer on its way into a form."""

    by: Sequence[str]
    measures: Sequence[str]
    rows: Sequence[Mapping[str, Place]]
    position: Mapping[str, int] = field(default_factory=dict)
    """Of each stream, up to where the figures are true."""
    asked: Mapping[str, str] = field(default_factory=dict)
    """Which values and months alone, in the words of the question."""


def wanted(name: str | None, accept: str) -> str:
    """The form asked for by ``?format=``, else by Accept (the most wanted that there is), else JSON. Raises NotInThisFormat."""
    if name is not None:
        if name not in FORMATS:
            raise NotInThisFormat(f"There is no such format. There are: {', '.join(FORMATS)}.", "unknown_format")
        return name
    for media in _by_weight(accept):
        if media in BY_MEDIA_TYPE:
            return BY_MEDIA_TYPE[media]
        if media in ("*/*", "application/*"):
            return "json"
        if media == "text/*":
            return "csv"
    return "json"


def _by_weight(accept: str) -> list[str]:
    """The media types of an Accept header, the most wanted first; one that is not wanted at all (q=0) is left out."""
    weighed = []
    for part in accept.lower().split(",")[:20]:
        media, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
        try:
            weighed.append((float(weight), media))
        except ValueError:
            continue
    return [media for weight, media in sorted(weighed, key=lambda one: -one[0]) if media and weight > 0]
