"""Pictures: what they show is to scale, and nothing that somebody wrote is markup in them."""

import re

from services.reporting import charts
from shared.pages.languages import language


def widths(picture: str) -> list[tuple[str, float]]:
    return [(name, float(width)) for name, width in re.findall(r'class="(\w+)"[^>]*? width="([\d.]+)"', picture)]


def test_parts_of_a_bar_are_to_scale_and_never_more_than_the_whole() -> None:
    assert widths(charts.bar([("enrolled", 3), ("completed", 6)], 12)) == [
        ("ground", 100),
        ("enrolled", 25),
        ("completed", 50),
    ]
    assert widths(charts.bar([("enrolled", 9), ("completed", 9)], 12))[1:] == [("enrolled", 75), ("completed", 25)]
    assert widths(charts.bar([("enrolled", 1)], 0)) == [("ground", 100)]


def test_a_cohort_is_shown_by_how_far_it_has_come() -> None:
    counts = {"places": 10, "enrolled": 8, "completed": 5, "certified": 4}
    assert widths(charts.progress(counts))[1:] == [("certified", 40), ("completed", 10), ("enrolled", 30)]


def test_columns_stand_on_lines_of_round_numbers_and_their_texts_are_texts() -> None:
    picture = charts.columns(language("en"), ["<Apr>", "May"], {"enrolled": [0, 43]}, 'It\'s "this"')
    assert re.findall(r">(\d+)</text>", picture) == ["0", "10", "20", "30", "40", "50"]
    assert "&lt;Apr&gt;" in picture
    assert 'aria-label="It&#39;s &#34;this&#34;"' in picture
    assert picture.count("<rect") == 1, "what is 0 has no column"
    assert charts.columns(language("en"), [], {}, "Nothing").startswith("<svg")
