"""COE-001: poor persons are among the jobs."""

from tests.rules.builder import found

GOOD = {"enterprise_name": "甲", "jobs": 45, "poor_jobs": 45}


def test_pass():
    assert found("COE-001", "COP04", GOOD) == []


def test_fail():
    (finding,) = found("COE-001", "COP04", GOOD, GOOD | {"poor_jobs": 46})
    assert (finding.row_no, finding.field) == (2, "poor_jobs")
    assert (finding.expected, finding.difference) == ("45", "1")


def test_not_evaluable():
    assert found("COE-001", "COP04", GOOD | {"poor_jobs": 46} | {"jobs": None}) == []
