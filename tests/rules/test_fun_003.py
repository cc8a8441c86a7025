"""FUN-003: the special funds are the sum of the four levels."""

from tests.rules.builder import found

PARTS = ("special_central", "special_region", "special_city", "special_county")


def of(whole, *parts):
    rows = [{"fund_line": n, "spent": v} for n, v in zip(("special", *PARTS), (whole, *parts), strict=False)]
    return [(f.row_key, f.field, f.cell, f.expected, f.difference) for f in found("FUN-003", "FUN01", *rows)]


def test_pass():
    assert of(10, 1, 2, 3, 4) == []


def test_fail():
    assert of(12, 1, 2, 3, 4) == [("", "spent", "B5", "10", "2")]


def test_not_evaluable():
    assert of(12, 1, 2, 3) == of(12, 1, 2, 3, None) == of(None, 1, 2, 3, 4) == []
