"""DIS-001: the date is not after the as-of date (Sunday)."""

import datetime as dt

from tests.rules.builder import found


def test_pass():
    assert found("DIS-001", "DIS01", {"event_no": "N1", "event_date": dt.date(2020, 6, 14)}) == []


def test_fail():
    (finding,) = found("DIS-001", "DIS01", {"event_no": "N1", "event_date": dt.date(2020, 6, 16)})
    assert (finding.row_key, finding.field, finding.cell) == ("N1", "event_date", "B5")
    assert (finding.expected, finding.difference) == ("2020-06-14", "2天")


def test_not_evaluable():
    assert found("DIS-001", "DIS01", {"event_no": "N1", "event_date": None}) == []
