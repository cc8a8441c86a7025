"""EMP-001: employed away is the sum of its three parts."""

from tests.rules.builder import found

GOOD = {"employed_away": 60, "away_other_province": 30, "away_in_province": 20, "employed_in_county": 10}


def test_pass():
    assert found("EMP-001", "EMP01", GOOD) == []


def test_fail():
    (finding,) = found("EMP-001", "EMP01", GOOD, GOOD | {"employed_away": 61})
    assert (finding.row_no, finding.field) == (2, "employed_away")
    assert (finding.expected, finding.difference) == ("60", "1")


def test_not_evaluable():
    assert found("EMP-001", "EMP01", GOOD | {"employed_away": 61} | {"employed_in_county": None}) == []
