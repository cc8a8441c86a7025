"""EMP-004: resumed workshops are among the recognised."""

from tests.rules.builder import found

GOOD = {"workshops_recognised": 5, "workshops_resumed": 5}


def test_pass():
    assert found("EMP-004", "EMP01", GOOD) == []


def test_fail():
    (finding,) = found("EMP-004", "EMP01", GOOD, GOOD | {"workshops_resumed": 7})
    assert (finding.row_no, finding.field) == (2, "workshops_resumed")
    assert (finding.expected, finding.difference) == ("5", "2")


def test_not_evaluable():
    assert found("EMP-004", "EMP01", GOOD | {"workshops_resumed": 7} | {"workshops_recognised": None}) == []
