"""The performance page says what was measured, and what follows for the limits of one server follows."""

import json

from tests.benchmarks import report
from tests.benchmarks.figure import Figure
from warehouse.settings import REPOSITORY

DOCS = REPOSITORY / "docs"


def figures_of_a_nation(*sizes: tuple[str, int, float]) -> list[Figure]:
    """Figures of areas: name, households, seconds of every step."""
    figures = []
    for area, households, took in sizes:
        about = {"ours": took, "rows": households, "counties": 3, "rows_a_second": 9, "peak_mb": 8, "report_s": 7, "raw_gb": 0.5, "store_gb": 1.5}
        figures += [Figure(f"{area}_{what}", 0.1, 1.0, [0.1], "s / s", dict(about)) for what in report.OF_AREA]
    return figures


def test_page_and_pictures_are_those_of_the_figures_on_record():
    figures = [Figure(**f) for f in json.loads((DOCS / "performance.json").read_text(encoding="utf-8"))]
    assert len(figures) > 20
    for name, text in report.files(report.in_order(figures)).items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"{name} was edited, or written by another version: run `python -m tests.benchmarks`"


def test_where_one_server_ends_follows_from_the_two_largest_sizes():
    # ten times the households take a hundred times as long: the square. 4 steps × 216 s = 864 s at ten million;
    # a day is a hundred times that, so ten times the households.
    page = report.files(figures_of_a_nation(("hundredth", 1, 1.0), ("tenth", 1_000_000, 2.16), ("nation", 10_000_000, 216.0)))["performance.md"]
    assert "| households | 1 | 1,000,000 | 10,000,000 |" in page
    assert "fill a day at 100 million households (time growing with their number to the power 2.00)" in page
    assert "a year of such weeks is 104 GB" in page


def test_what_a_run_costs_anyway_makes_nothing_better_than_in_proportion():
    page = report.files(figures_of_a_nation(("tenth", 1_000_000, 200.0), ("nation", 10_000_000, 216.0)))["performance.md"]
    assert "fill a day at 1,000 million households (time growing with their number to the power 1.00)" in page


def test_no_limit_is_told_from_a_single_size():
    page = report.files(figures_of_a_nation(("tenth", 1_000_000, 5.0)))["performance.md"]
    assert "| households | 1,000,000 |" in page and "If it goes on" not in page
    assert "A nation's week" not in report.files([])["performance.md"]
