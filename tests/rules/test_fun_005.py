"""FUN-005: spending reaches the target of the last month end before the as-of date (25 % of March in June)."""

from tests.rules.builder import found


def of(spent, arrived=1000, week="2020-W24"):
    row = {"fund_line": "special", "arrived": arrived, "spent": spent}
    return [(f.row_key, f.field, f.expected, f.difference) for f in found("FUN-005", "FUN01", row, week=week)]


def test_pass():
    assert of(250) == []


def test_fail():
    assert of(249) == [("special", "spent", "250", "-1")]
    assert of(499, week="2020-W27") == [("special", "spent", "500", "-1")]


def test_not_evaluable():
    assert of(None) == of(1, arrived=None) == []
    assert of(1, week="2020-W09") == []  # before the year's first target
