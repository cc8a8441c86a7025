"""COP-002: arrived is not more than allocated."""

from tests.rules.builder import found

GOOD = {"project_no": "P1", "allocated": 90, "arrived": 90}


def test_pass():
    assert found("COP-002", "COP01", GOOD) == []


def test_fail():
    (finding,) = found("COP-002", "COP01", GOOD, GOOD | {"arrived": 91})
    assert (finding.row_no, finding.field) == (2, "arrived")
    assert (finding.expected, finding.difference) == ("90", "1")


def test_not_evaluable():
    assert found("COP-002", "COP01", GOOD | {"arrived": 91} | {"allocated": None}) == []
