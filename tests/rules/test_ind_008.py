"""IND-008: the weekly report against the payout lists of the year."""

import datetime as dt

import pytest
from judged import BEFORE, WEEK, findings, lay_out, status, submit

pytestmark = pytest.mark.database
COUNTY, OTHER = "451002", "451003"


def payout(number, household, amount, date, industry="mango"):
    return {"payment_no": f"P{number}", "household_no": household, "id_number": f"ID{household}", "amount": amount, "paid_date": date, "industry": industry}


def report(households, subsidy, industry="mango"):
    return {"industry": industry, "paid_households": households, "paid_subsidy": subsidy}


def two_weeks_of_lists(connection):
    submit(connection, "IND02", COUNTY, BEFORE, [payout(1, "H1", 1000, dt.date(2020, 6, 3)), payout(2, "H2", 500, dt.date(2020, 6, 4))])
    submit(connection, "IND02", COUNTY, WEEK, [payout(3, "H1", 250, dt.date(2020, 6, 10)), payout(4, "H3", 70, dt.date(2020, 6, 10), "bee")])


def test_the_lists_of_all_weeks_add_up(connection, settings):
    """A household that was paid twice is one household; an industry has its own sums."""
    two_weeks_of_lists(connection)
    submit(connection, "IND01", COUNTY, BEFORE, [report(2, 1500)])
    submit(connection, "IND01", COUNTY, WEEK, [report(2, 1750), report(1, 70, "bee")])
    assert findings(connection, settings, "IND-008") == []
    assert status(connection, "IND-008", COUNTY) == "pass"


def test_each_field_that_differs_is_found_at_its_cell(connection, settings):
    two_weeks_of_lists(connection)
    submission = submit(connection, "IND01", COUNTY, WEEK, [report(3, "1750.50"), report(1, 70, "bee")])
    lay_out(connection, submission, {"paid_households": "F", "paid_subsidy": "G"})
    assert findings(connection, settings, "IND-008") == [
        (WEEK, COUNTY, "mango", "paid_households", "3", "2", "1"),
        (WEEK, COUNTY, "mango", "paid_subsidy", "1750.5", "1750", "0.5"),
    ]
    assert connection.execute("select cell, sheet from quality.finding where rule_id = 'IND-008' order by field").fetchall() == [("F5", "表"), ("G5", "表")]
    assert status(connection, "IND-008", COUNTY) == "pass_with_violations"


def test_an_industry_that_was_never_paid_counts_as_nothing(connection, settings):
    two_weeks_of_lists(connection)
    submit(connection, "IND01", COUNTY, WEEK, [report(0, 0, "tea"), report(1, 10, "pig")])
    assert [f[2:6] for f in findings(connection, settings, "IND-008")] == [
        ("pig", "paid_households", "1", "0"), ("pig", "paid_subsidy", "10", "0"),
    ]  # fmt: skip


@pytest.mark.parametrize("state", [None, "returned"])
def test_a_list_that_is_missing_or_returned_makes_it_not_evaluable(connection, settings, state):
    """The other county's list says when the year's lists began."""
    submit(connection, "IND02", OTHER, BEFORE, [payout(9, "H9", 1, dt.date(2020, 6, 3))])
    submit(connection, "IND02", COUNTY, WEEK, [payout(3, "H1", 250, dt.date(2020, 6, 10))])
    if state:
        submit(connection, "IND02", COUNTY, BEFORE, [], state=state)
    submit(connection, "IND01", COUNTY, WEEK, [report(9, 99999)])
    assert findings(connection, settings, "IND-008") == []
    assert status(connection, "IND-008", COUNTY) == "not_evaluable"


def test_a_list_that_comes_later_makes_it_evaluable_and_is_judged_again(connection, settings):
    """Only the list changes; the report of a later week is judged again because of it."""
    submit(connection, "IND02", OTHER, BEFORE, [payout(9, "H9", 1, dt.date(2020, 6, 3))])
    submit(connection, "IND02", COUNTY, WEEK, [payout(3, "H1", 250, dt.date(2020, 6, 10))])
    submit(connection, "IND01", COUNTY, WEEK, [report(2, 1250)])
    findings(connection, settings, "IND-008")
    submit(connection, "IND02", COUNTY, BEFORE, [payout(1, "H2", 900, dt.date(2020, 6, 3))])
    assert [f[3:6] for f in findings(connection, settings, "IND-008")] == [("paid_subsidy", "1250", "1150")]


def test_payments_after_the_as_of_date_do_not_count(connection, settings):
    two_weeks_of_lists(connection)
    submit(connection, "IND01", COUNTY, BEFORE, [report(2, 1500)])
    assert findings(connection, settings, "IND-008") == []
    assert status(connection, "IND-008", COUNTY, BEFORE) == "pass"
