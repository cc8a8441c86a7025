"""REC-001: a finding is closed after it was found and not after the as-of date."""

import datetime as dt

from tests.rules.builder import found


def of(closed, found_on=dt.date(2020, 3, 2)):
    row = {"finding_no": "W1", "found_date": found_on, "closed_date": closed}
    return [(f.row_key, f.field, f.expected) for f in found("REC-001", "REC01", row)]


def test_pass():
    assert of(dt.date(2020, 3, 2)) == of(dt.date(2020, 6, 14)) == []


def test_fail():
    assert of(dt.date(2020, 3, 1)) == [("W1", "closed_date", "2020-03-02")]
    assert of(dt.date(2020, 6, 15)) == [("W1", "closed_date", "2020-06-14")]


def test_not_evaluable():
    assert of(None) == of(dt.date(2020, 3, 1), None) == []
