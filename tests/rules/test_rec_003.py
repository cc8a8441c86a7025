"""REC-003: what is not mended is not past its time."""

import datetime as dt

from tests.rules.builder import found


def of(status, due):
    row = {"finding_no": "W1", "status": status, "due_date": due}
    return [(f.row_key, f.field, f.expected) for f in found("REC-003", "REC01", row)]


def test_pass():
    assert of("open", dt.date(2020, 6, 14)) == of("done", dt.date(2020, 1, 1)) == of("verified", dt.date(2020, 1, 1)) == []


def test_fail():
    for status in ("open", "in_progress"):
        assert of(status, dt.date(2020, 6, 13)) == [("W1", "due_date", "2020-06-14")]


def test_not_evaluable():
    assert of(None, dt.date(2020, 1, 1)) == of("open", None) == []
