"""REC-002: a verified finding has its date."""

import datetime as dt

from tests.rules.builder import found, spoiled

GOOD = {"finding_no": "W1", "status": "verified", "closed_date": dt.date(2020, 5, 1)}


def test_pass():
    assert found("REC-002", "REC01", GOOD, GOOD | {"status": "open", "closed_date": None}) == []


def test_fail():
    (finding,) = found("REC-002", "REC01", GOOD | {"closed_date": None})
    assert (finding.row_key, finding.field, finding.expected) == ("W1", "closed_date", None)


def test_not_evaluable():
    assert found("REC-002", "REC01", GOOD | {"status": None, "closed_date": None}) == []
    assert found("REC-002", "REC01", GOOD | {"closed_date": None}, findings=[spoiled("closed_date", 1)]) == []
