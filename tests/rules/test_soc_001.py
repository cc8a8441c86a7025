"""SOC-001: poor persons are among those on low-income support."""

from tests.rules.builder import found

GOOD = {"low_income_persons": 50, "low_income_poor_persons": 50}


def test_pass():
    assert found("SOC-001", "SOC01", GOOD) == []


def test_fail():
    (finding,) = found("SOC-001", "SOC01", GOOD, GOOD | {"low_income_poor_persons": 51})
    assert (finding.row_no, finding.field) == (2, "low_income_poor_persons")
    assert (finding.expected, finding.difference) == ("50", "1")


def test_not_evaluable():
    assert found("SOC-001", "SOC01", GOOD | {"low_income_poor_persons": 51} | {"low_income_persons": None}) == []
