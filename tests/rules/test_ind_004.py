"""IND-004: covered households are among the capable."""

from tests.rules.builder import found

GOOD = {"industry": "mango", "capable_households": 40, "covered_households": 40}


def test_pass():
    assert found("IND-004", "IND01", GOOD) == []


def test_fail():
    (finding,) = found("IND-004", "IND01", GOOD, GOOD | {"covered_households": 41})
    assert (finding.row_no, finding.field) == (2, "covered_households")
    assert (finding.expected, finding.difference) == ("40", "1")


def test_not_evaluable():
    assert found("IND-004", "IND01", GOOD | {"covered_households": 41} | {"capable_households": None}) == []
