"""INL-005: a payout falls in the reporting year and not after the as-of date."""

import datetime as dt

from tests.rules.builder import found


def of(day):
    return [(f.row_key, f.field, f.difference) for f in found("INL-005", "IND02", {"payment_no": "F1", "paid_date": day})]


def test_pass():
    assert of(dt.date(2020, 1, 1)) == of(dt.date(2020, 6, 14)) == []


def test_fail():
    assert of(dt.date(2020, 6, 16)) == [("F1", "paid_date", "2天")]
    assert of(dt.date(2019, 12, 31)) == [("F1", "paid_date", None)]
    assert len(of(dt.date(2021, 1, 1))) == 1  # both parts fail, one finding


def test_not_evaluable():
    assert of(None) == []
