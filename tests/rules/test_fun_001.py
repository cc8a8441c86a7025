"""FUN-001: spent is not more than arrived."""

from tests.rules.builder import found

GOOD = {"fund_line": "special", "arrived": 90, "spent": 90}


def test_pass():
    assert found("FUN-001", "FUN01", GOOD) == []


def test_fail():
    (finding,) = found("FUN-001", "FUN01", GOOD, GOOD | {"spent": 91})
    assert (finding.row_no, finding.field) == (2, "spent")
    assert (finding.expected, finding.difference) == ("90", "1")


def test_not_evaluable():
    assert found("FUN-001", "FUN01", GOOD | {"spent": 91} | {"arrived": None}) == []
