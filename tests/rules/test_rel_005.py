"""REL-005: every willing household has a job; the difference is the households without."""

from tests.rules.builder import found

GOOD = {"site_code": "AZ1", "willing_households": 50, "employed_households": 50}


def test_pass():
    assert found("REL-005", "REL01", GOOD) == []


def test_fail():
    (finding,) = found("REL-005", "REL01", GOOD, GOOD | {"employed_households": 47})
    assert (finding.row_no, finding.field) == (2, "employed_households")
    assert (finding.expected, finding.difference) == ("50", "-3")


def test_not_evaluable():
    assert found("REL-005", "REL01", GOOD | {"employed_households": 47} | {"willing_households": None}) == []
