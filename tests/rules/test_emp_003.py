"""EMP-003: employed away and returned together are not more than the labour force; what remains is expected."""

from tests.rules.builder import found

GOOD = {"labour_force": 100, "employed_away": 70, "returned_unemployed": 30}


def test_pass():
    assert found("EMP-003", "EMP01", GOOD) == []


def test_fail():
    (finding,) = found("EMP-003", "EMP01", GOOD, GOOD | {"returned_unemployed": 34})
    assert (finding.row_no, finding.field) == (2, "returned_unemployed")
    assert (finding.expected, finding.difference) == ("30", "4")


def test_not_evaluable():
    assert found("EMP-003", "EMP01", GOOD | {"returned_unemployed": 34} | {"labour_force": None}) == []
