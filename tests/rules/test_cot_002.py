"""COT-002: the date is not after the as-of date (Sunday)."""

import datetime as dt

from tests.rules.builder import found


def test_pass():
    assert found("COT-002", "COP02", {"trip_no": "N1", "trip_date": dt.date(2020, 6, 14)}) == []


def test_fail():
    (finding,) = found("COT-002", "COP02", {"trip_no": "N1", "trip_date": dt.date(2020, 6, 16)})
    assert (finding.row_key, finding.field, finding.cell) == ("N1", "trip_date", "B5")
    assert (finding.expected, finding.difference) == ("2020-06-14", "2天")


def test_not_evaluable():
    assert found("COT-002", "COP02", {"trip_no": "N1", "trip_date": None}) == []
