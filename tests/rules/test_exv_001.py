"""EXV-001: met and unmet criteria make twelve."""

from tests.rules.builder import found

GOOD = {"village": "451026100208", "criteria_met": 9, "criteria_unmet": 3}


def test_pass():
    assert found("EXV-001", "EXI02", GOOD) == []


def test_fail():
    (finding,) = found("EXV-001", "EXI02", GOOD, GOOD | {"criteria_met": 10})
    assert (finding.row_no, finding.field) == (2, "criteria_met")
    assert (finding.expected, finding.difference) == ("9", "1")


def test_not_evaluable():
    assert found("EXV-001", "EXI02", GOOD | {"criteria_met": 10} | {"criteria_unmet": None}) == []
