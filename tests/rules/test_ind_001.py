"""IND-001: paid households are among the accepted."""

from tests.rules.builder import found

GOOD = {"industry": "mango", "accepted_households": 40, "paid_households": 40}


def test_pass():
    assert found("IND-001", "IND01", GOOD) == []


def test_fail():
    (finding,) = found("IND-001", "IND01", GOOD, GOOD | {"paid_households": 42})
    assert (finding.row_no, finding.field) == (2, "paid_households")
    assert (finding.expected, finding.difference) == ("40", "2")


def test_not_evaluable():
    assert found("IND-001", "IND01", GOOD | {"paid_households": 42} | {"accepted_households": None}) == []
