"""MON-003: red households are assisted."""

from tests.rules.builder import found

GOOD = {"red_households": 2, "assisted_households": 2}


def test_pass():
    assert found("MON-003", "MON01", GOOD) == []


def test_fail():
    (finding,) = found("MON-003", "MON01", GOOD, GOOD | {"assisted_households": 1})
    assert (finding.row_no, finding.field) == (2, "assisted_households")
    assert (finding.expected, finding.difference) == ("2", "-1")


def test_not_evaluable():
    assert found("MON-003", "MON01", GOOD | {"assisted_households": 1} | {"red_households": None}) == []
