"""Zawgyi: the font that gave Myanmar's code points other letters than Unicode does. Finding it, and turning it into Unicode.

Both rest on the published layout of Zawgyi-One beside Unicode's own chart (The Unicode Standard, 16.3 "Myanmar"; Unicode
Technical Note 11): in Unicode everything follows its consonant in a fixed order, in Zawgyi the vowel E and the medial RA come
first, the virama is a visible mark, and stacked letters have code points of their own. Why no library: docs/decisions/0018.
"""

import re
import unicodedata
from typing import Final

_CONSONANT: Final = "\u1000-\u102a\u103f\u104e"
_SIGNS: Final = "\u102b-\u103e"
_STACKED: Final = {
    0x1060: "\u1000",
    0x1061: "\u1001",
    0x1062: "\u1002",
    0x1063: "\u1003",
    0x1065: "\u1005",
    0x1066: "\u1006",
    0x1067: "\u1006",
    0x1068: "\u1007",
    0x1069: "\u1008",
    0x106C: "\u100b",
    0x106D: "\u100c",
    0x1070: "\u100f",
    0x1071: "\u1010",
    0x1072: "\u1010",
    0x1073: "\u1011",
    0x1074: "\u1011",
    0x1075: "\u1012",
    0x1076: "\u1013",
    0x1077: "\u1014",
    0x1078: "\u1015",
    0x1079: "\u1016",
    0x107A: "\u1017",
    0x107B: "\u1018",
    0x107C: "\u1019",
    0x1085: "\u101c",
    0x1093: "\u1018",
}
"""Zawgyi's code points for letters that stand under another one: in Unicode the letter after a virama."""
_KINZI: Final = "\u1004\u103a\u1039"
_RA: Final = "\ue000"
"""Stands for the medial RA until it is put behind its consonant: by then U+103B means the medial YA."""
_K: Final = "\ue001"
"""Stands for a kinzi until it is put before its consonant."""
_SAME: Final[dict[int, str]] = {
    **{code: f"\u1039{letter}" for code, letter in _STACKED.items()},
    0x1033: "\u102f",
    0x1034: "\u1030",
    0x1039: "\u103a",
    0x103A: "\u103b",
    0x103B: _RA,
    0x103C: "\u103d",
    0x103D: "\u103e",
    0x104E: "\u104e\u1004\u103a\u1038",
    0x105A: "\u102b\u103a",
    0x1064: _K,
    0x106A: "\u1009",
    0x106B: "\u100a",
    0x106E: "\u100d\u1039\u100d",
    0x106F: "\u100d\u1039\u100e",
    0x107D: "\u103b",
    **dict.fromkeys((0x107E, 0x107F, 0x1080, 0x1081, 0x1082, 0x1083, 0x1084), _RA),
    0x1086: "\u103f",
    0x1087: "\u103e",
    0x1088: "\u103e\u102f",
    0x1089: "\u103e\u1030",
    0x108A: "\u103d\u103e",
    0x108B: f"{_K}\u102d",
    0x108C: f"{_K}\u102e",
    0x108D: f"{_K}\u1036",
    0x108E: "\u102d\u1036",
    0x108F: "\u1014",
    0x1090: "\u101b",
    0x1091: "\u100f\u1039\u100d",
    0x1092: "\u100b\u1039\u100c",
    0x1094: "\u1037",
    0x1095: "\u1037",
    0x1096: "\u1039\u1010\u103d",
    0x1097: "\u100b\u1039\u100b",
}
"""What Zawgyi's code points are in Unicode, where they are not the same."""

_SURE: Final = re.compile(
    # What Unicode never has: a sign before its consonant, or a virama without a letter under it.
    rf"(?:^|[^{_CONSONANT}{_SIGNS}])[\u1031\u103b-\u103e]"
    rf"|\u1039(?![{_CONSONANT}])|[^\u1000-\u1021\u103a]\u1039"
    rf"|\u1031[\u103b\u1031]|\u103a[\u102b-\u102e\u1030\u1032\u1036\u103c-\u103e]"
    r"|[\u102b-\u1030\u1032\u1036-\u1038]\u1031"
    # Zawgyi's own letters: in Unicode these belong to Mon, Karen and Shan, which Burmese does not use.
    r"|[\u1033\u1034\u105a\u1060-\u109d]"
)
_SHAN_OR_KAREN: Final = re.compile(
    r"[\u1022\u1035\u1062\u1075-\u1081\u1084-\u1086]\u103a|[\u1075-\u1081][\u1062\u1082-\u1086]"
    r"|\u103a[\u1087-\u108a]|\u1065|[\uaa60-\uaa7f]"
)
"""Letters and tones of Shan and Karen in orders that Zawgyi's letters at the same places never have."""


def is_zawgyi(text: str) -> bool:
    """Whether a text is Burmese that was typed in Zawgyi. Short texts may be the same in both, and are not found."""
    return bool(_SURE.search(text)) and not _SHAN_OR_KAREN.search(text)


def to_unicode(text: str) -> str:
    """Zawgyi's text as Unicode, in Unicode's order."""
    text = re.sub("\u1031+", "\u1031", text)
    text = "".join(_SAME.get(ord(letter), letter) for letter in text)
    # A digit zero or seven between letters is a letter that looks the same.
    text = re.sub(
        rf"\u1040(?=[{_SIGNS}{_RA}])|(?<=[{_SIGNS}{_CONSONANT}{_RA}])\u1040(?![\u1040-\u1049])", "\u101d", text
    )
    text = re.sub(rf"\u1047(?=[{_SIGNS}])", "\u101b", text)
    base = r"[\u1000-\u102a\u103f](?:\u1039[\u1000-\u1021])*"
    # Kinzi goes before the letter that it stood after, RA and E behind the letter that they stood before.
    text = re.sub(rf"({_RA}?{base}){_K}", rf"{_K}\1", text)
    text = re.sub(rf"(\u1031?)({_RA}?)({_K}?)({base})([\u103b\u103d\u103e]*)", _reordered, text)
    text = text.replace(_RA, "\u103c").replace(_K, _KINZI)
    text = re.sub(r"[\u102b-\u1032\u1036-\u1038\u103a-\u103e]+", _in_order, text)
    text = re.sub("\u1005\u103b", "\u1008", text)
    text = re.sub("\u1025\u103a", "\u1009\u103a", text)
    text = re.sub("\u1025\u102e", "\u1026", text)
    text = re.sub("\u1025(?=\u1039)", "\u1009", text)
    text = re.sub("\u101e\u103c\u1031\u102c\u103a", "\u102a", text)
    return unicodedata.normalize("NFC", text)


def _reordered(found: re.Match[str]) -> str:
    e, ra, kinzi, letter, medials = found.groups()
    return f"{kinzi}{letter}{medials}{ra}{e}"


_RANK: Final = {
    letter: rank
    for rank, letter in enumerate(
        "\u103b\ue000\u103c\u103d\u103e\u1031\u102d\u102e\u1032\u102f\u1030\u102b\u102c\u103a\u1036\u1037\u1038"
    )
}


def _in_order(found: re.Match[str]) -> str:
    """Medials, vowels and tones as Unicode has them; each once, whoever typed it twice."""
    signs = list(dict.fromkeys(found[0]))
    first = signs[:1] if signs[0] == "\u103a" else []  # an asat on the consonant itself, as in the word for a man
    return "".join(first + sorted(signs[len(first) :], key=_RANK.__getitem__))
