"""INL-006: one identity number belongs to one household in the city."""

import datetime as dt

import pytest
from judged import BEFORE, WEEK, findings, status, submit

pytestmark = pytest.mark.database
COUNTY, OTHER = "451002", "451003"


def payout(number, household, date=10, person="110101199003070011", batch=None):
    return {
        "payment_no": f"P{number}", "household_no": household, "id_number": person, "batch_no": batch or f"B{number}",
        "paid_date": dt.date(2020, 6, date),
    }  # fmt: skip


def test_one_household_may_be_paid_often(connection, settings):
    submit(connection, "IND02", COUNTY, WEEK, [payout(1, "H1"), payout(2, "H1"), payout(3, "H2", person="110101199003070038")])
    assert findings(connection, settings, "INL-006") == []
    assert status(connection, "INL-006", COUNTY) == "pass"


def test_the_later_payment_under_another_household_is_found_across_counties(connection, settings):
    submit(connection, "IND02", OTHER, WEEK, [payout(1, "H1", date=12)])
    submit(connection, "IND02", COUNTY, WEEK, [payout(2, "H2", date=9)])
    found = findings(connection, settings, "INL-006")
    assert [f[:5] for f in found] == [(WEEK, OTHER, "P1", "household_no", None)]
    message = connection.execute("select message_zh from quality.finding").fetchone()[0]
    assert "P2" in message and "H1" not in message and "H2" not in message


def test_a_return_to_the_first_household_is_no_finding(connection, settings):
    submit(connection, "IND02", COUNTY, BEFORE, [payout(1, "H1", date=3)])
    submit(connection, "IND02", COUNTY, WEEK, [payout(2, "H2", date=9), payout(3, "H1", date=10)])
    assert [f[2] for f in findings(connection, settings, "INL-006")] == ["P2"]


def test_what_another_county_pays_later_is_judged_against_what_was_known(connection, settings):
    submit(connection, "IND02", OTHER, BEFORE, [payout(1, "H1", date=3)])
    findings(connection, settings, "INL-006")
    submit(connection, "IND02", COUNTY, WEEK, [payout(2, "H2", date=9)])
    assert [f[:3] for f in findings(connection, settings, "INL-006")] == [(WEEK, COUNTY, "P2")]


def test_a_county_without_a_list_is_not_evaluable(connection, settings):
    submit(connection, "IND02", OTHER, WEEK, [payout(1, "H1")])
    findings(connection, settings, "INL-006")
    assert status(connection, "INL-006", COUNTY) == "not_evaluable"
