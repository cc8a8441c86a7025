"""MON-001: red, yellow and blue make all monitored households; what remains for red is expected."""

from tests.rules.builder import found

GOOD = {"red_households": 2, "yellow_households": 3, "blue_households": 4, "unstable_households": 5, "marginal_households": 4}


def test_pass():
    assert found("MON-001", "MON01", GOOD) == []


def test_fail():
    (finding,) = found("MON-001", "MON01", GOOD, GOOD | {"red_households": 3})
    assert (finding.row_no, finding.field) == (2, "red_households")
    assert (finding.expected, finding.difference) == ("2", "1")


def test_not_evaluable():
    assert found("MON-001", "MON01", GOOD | {"red_households": 3} | {"blue_households": None}) == []
