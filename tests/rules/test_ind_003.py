"""IND-003: paid subsidy is not more than planned."""

from tests.rules.builder import found

GOOD = {"industry": "mango", "planned_subsidy": 4000, "paid_subsidy": 4000}


def test_pass():
    assert found("IND-003", "IND01", GOOD) == []


def test_fail():
    (finding,) = found("IND-003", "IND01", GOOD, GOOD | {"paid_subsidy": 4001})
    assert (finding.row_no, finding.field) == (2, "paid_subsidy")
    assert (finding.expected, finding.difference) == ("4000", "1")


def test_not_evaluable():
    assert found("IND-003", "IND01", GOOD | {"paid_subsidy": 4001} | {"planned_subsidy": None}) == []
