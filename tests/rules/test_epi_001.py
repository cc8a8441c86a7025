"""EPI-001: resolved is part of affected."""

from tests.rules.builder import found

GOOD = {"impact": "lost_jobs", "affected": 12, "resolved": 12}


def test_pass():
    assert found("EPI-001", "EPI01", GOOD) == []


def test_fail():
    (finding,) = found("EPI-001", "EPI01", GOOD, GOOD | {"resolved": 13})
    assert (finding.row_no, finding.field) == (2, "resolved")
    assert (finding.expected, finding.difference) == ("12", "1")


def test_not_evaluable():
    assert found("EPI-001", "EPI01", GOOD | {"resolved": 13} | {"affected": None}) == []
