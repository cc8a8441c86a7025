"""IND-005: what a household was paid on average is below the county's cap."""

from tests.rules.builder import found


def of(paid, households, **more):
    row = {"industry": "mango", "paid_subsidy": paid, "paid_households": households}
    return [(f.row_key, f.field, f.expected, f.difference) for f in found("IND-005", "IND01", row, **more)]


def test_pass():
    assert of(50000, 10) == []
    assert of(60000, 10, county="451031") == []  # the county's own, higher cap


def test_fail():
    assert of(50001, 10) == [("mango", "paid_subsidy", "50000", "1")]


def test_not_evaluable():
    assert of(50001, None) == of(None, 10) == []
    assert of(50001, 10, week="2019-W30") == []  # no cap is dated so early
