"""IND-002: accepted households are not more than planned."""

from tests.rules.builder import found

GOOD = {"industry": "mango", "planned_households": 40, "accepted_households": 40}


def test_pass():
    assert found("IND-002", "IND01", GOOD) == []


def test_fail():
    (finding,) = found("IND-002", "IND01", GOOD, GOOD | {"accepted_households": 41})
    assert (finding.row_no, finding.field) == (2, "accepted_households")
    assert (finding.expected, finding.difference) == ("40", "1")


def test_not_evaluable():
    assert found("IND-002", "IND01", GOOD | {"accepted_households": 41} | {"planned_households": None}) == []
