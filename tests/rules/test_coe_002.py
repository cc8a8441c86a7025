"""COE-002: invested is not more than contracted."""

from tests.rules.builder import found

GOOD = {"enterprise_name": "甲", "contract_amount": 1000, "invested": 1000}


def test_pass():
    assert found("COE-002", "COP04", GOOD) == []


def test_fail():
    (finding,) = found("COE-002", "COP04", GOOD, GOOD | {"invested": 1001})
    assert (finding.row_no, finding.field) == (2, "invested")
    assert (finding.expected, finding.difference) == ("1000", "1")


def test_not_evaluable():
    assert found("COE-002", "COP04", GOOD | {"invested": 1001} | {"contract_amount": None}) == []
