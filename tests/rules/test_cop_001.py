"""COP-001: spent is not more than arrived."""

from tests.rules.builder import found

GOOD = {"project_no": "P1", "arrived": 90, "spent": 90}


def test_pass():
    assert found("COP-001", "COP01", GOOD) == []


def test_fail():
    (finding,) = found("COP-001", "COP01", GOOD, GOOD | {"spent": 95})
    assert (finding.row_no, finding.field) == (2, "spent")
    assert (finding.expected, finding.difference) == ("90", "5")


def test_not_evaluable():
    assert found("COP-001", "COP01", GOOD | {"spent": 95} | {"arrived": None}) == []
