"""Reports on a terminal: numbers, rates with their counts, and bars."""

import pytest

from services.printing import print_table

REPORT = {
    "by": ["country"],
    "measures": ["enrolled", "pass_rate"],
    "rows": [
        {"country": "KH", "enrolled": 8, "pass_rate": 0.75, "pass_rate_numerator": 6, "pass_rate_denominator": 8},
        {"country": "LA", "enrolled": 4, "pass_rate_numerator": 0, "pass_rate_denominator": 0},
        {"country": "MM", "enrolled": 0, "pass_rate_numerator": 0, "pass_rate_denominator": 0},
    ],
    "totals": {"enrolled": 12, "pass_rate": 0.75, "pass_rate_numerator": 6, "pass_rate_denominator": 8},
}


def test_a_report_shows_rates_with_their_counts_and_leaves_out_what_is_empty(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_table(REPORT, REPORT["measures"])  # type: ignore[arg-type]
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["country", "enrolled", "pass", "rate"],
        ["KH", "8", "75.0%", "(6/8)"],
        ["LA", "4", "-"],
        ["all", "12", "75.0%", "(6/8)"],
    ]


def test_bars_are_to_scale(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(REPORT, ["enrolled"], bars=True)
    _, cambodia, laos, _ = capsys.readouterr().out.splitlines()
    assert cambodia.count("█") == 2 * laos.count("█") == 24


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1_234_567, "1234567"),
        (1_000_000.0, "1000000"),
        (98_765_432.5, "98765432.50"),
        (0, "0"),
        (0.125, "0.12"),
        (None, "-"),
    ],
)
def test_large_numbers_are_written_out(value: float | None, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"country": "KH", "enrolled": 1, "hours": value}
    print_table({"by": ["country"], "rows": [row], "totals": {"enrolled": 1, "hours": value}}, ["enrolled", "hours"])
    assert capsys.readouterr().out.splitlines()[1].split() == ["KH", "1", shown]
