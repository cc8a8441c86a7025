"""COT-001: poor persons are among the persons transported."""

from tests.rules.builder import found

GOOD = {"trip_no": "T1", "persons": 45, "poor_persons": 45}


def test_pass():
    assert found("COT-001", "COP02", GOOD) == []


def test_fail():
    (finding,) = found("COT-001", "COP02", GOOD, GOOD | {"poor_persons": 50})
    assert (finding.row_no, finding.field) == (2, "poor_persons")
    assert (finding.expected, finding.difference) == ("45", "5")


def test_not_evaluable():
    assert found("COT-001", "COP02", GOOD | {"poor_persons": 50} | {"persons": None}) == []
