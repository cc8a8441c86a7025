"""MOL-002: an open household has been decided by the county."""

import datetime as dt

from tests.rules.builder import found, spoiled

GOOD = {"household_no": "H1", "cleared_date": None, "review_stage": "county"}


def test_pass():
    assert found("MOL-002", "MON02", GOOD, GOOD | {"cleared_date": dt.date(2020, 5, 1), "review_stage": "village"}) == []


def test_fail():
    (finding,) = found("MOL-002", "MON02", GOOD | {"review_stage": "township"})
    assert (finding.row_key, finding.field, finding.expected) == ("H1", "review_stage", "县级审定")


def test_not_evaluable():
    assert found("MOL-002", "MON02", GOOD | {"review_stage": None}) == []
    assert found("MOL-002", "MON02", GOOD | {"review_stage": "township"}, findings=[spoiled("cleared_date", 1)]) == []
