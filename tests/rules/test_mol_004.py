"""MOL-004: a risk is not cleared before the household entered."""

import datetime as dt

from tests.rules.builder import found

ENTERED = dt.date(2020, 3, 2)


def of(cleared, entered=ENTERED):
    row = {"household_no": "H1", "entered_date": entered, "cleared_date": cleared}
    return [(f.field, f.expected, f.difference) for f in found("MOL-004", "MON02", row)]


def test_pass():
    assert of(ENTERED) == []


def test_fail():
    assert of(dt.date(2020, 2, 28)) == [("cleared_date", "2020-03-02", "-3天")]


def test_not_evaluable():
    assert of(None) == of(dt.date(2020, 2, 28), None) == []
