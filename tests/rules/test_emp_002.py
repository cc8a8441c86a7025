"""EMP-002: Guangdong is part of the other provinces."""

from tests.rules.builder import found

GOOD = {"away_guangdong": 30, "away_other_province": 30}


def test_pass():
    assert found("EMP-002", "EMP01", GOOD) == []


def test_fail():
    (finding,) = found("EMP-002", "EMP01", GOOD, GOOD | {"away_guangdong": 31})
    assert (finding.row_no, finding.field) == (2, "away_guangdong")
    assert (finding.expected, finding.difference) == ("30", "1")


def test_not_evaluable():
    assert found("EMP-002", "EMP01", GOOD | {"away_guangdong": 31} | {"away_other_province": None}) == []
