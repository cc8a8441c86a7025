"""INL-004: no second payout for the same identity number, industry and batch."""

import datetime as dt

import pytest
from judged import BEFORE, WEEK, findings, lay_out, status, submit

pytestmark = pytest.mark.database
COUNTY = "451002"
NUMBER = "110101199003070011"


def payout(number, date=10, batch="B1", industry="mango", person=NUMBER):
    return {
        "payment_no": f"P{number}", "household_no": f"H{person}", "id_number": person, "batch_no": batch, "industry": industry,
        "paid_date": dt.date(2020, 6, date),
    }  # fmt: skip


def test_other_batch_industry_or_person_is_no_second_payout(connection, settings):
    rows = [payout(1), payout(2, batch="B2"), payout(3, industry="bee"), payout(4, person="110101199003070038")]
    submit(connection, "IND02", COUNTY, WEEK, rows)
    assert findings(connection, settings, "INL-004") == []
    assert status(connection, "INL-004", COUNTY) == "pass"


def test_the_later_payment_is_found_and_the_number_is_masked(connection, settings):
    submission = submit(connection, "IND02", COUNTY, WEEK, [payout(7, date=12), payout(8, date=9)])
    lay_out(connection, submission, {"id_number": "F"})
    found = findings(connection, settings, "INL-004")
    assert [f[:5] for f in found] == [(WEEK, COUNTY, "P7", "id_number", None)]
    cell, message = connection.execute("select cell, message_zh from quality.finding").fetchone()
    assert cell == "F5" and "P8" in message and NUMBER not in message
    assert status(connection, "INL-004", COUNTY) == "pass_with_violations"


def test_on_the_same_day_the_order_of_the_list_decides(connection, settings):
    submit(connection, "IND02", COUNTY, WEEK, [payout(9), payout(1), payout(2)])
    assert [f[2] for f in findings(connection, settings, "INL-004")] == ["P1", "P2"]


def test_a_payment_of_an_earlier_week_is_remembered(connection, settings):
    submit(connection, "IND02", COUNTY, BEFORE, [payout(1, date=3)])
    findings(connection, settings, "INL-004")
    submit(connection, "IND02", COUNTY, WEEK, [payout(2)])
    assert [f[:3] for f in findings(connection, settings, "INL-004")] == [(WEEK, COUNTY, "P2")]


def test_the_finding_goes_when_the_first_payment_is_corrected_away(connection, settings):
    """The corrected list is of another week than the finding: its superseded rows say whom to judge again."""
    submit(connection, "IND02", COUNTY, BEFORE, [payout(1, date=3)])
    submit(connection, "IND02", COUNTY, WEEK, [payout(2)])
    assert len(findings(connection, settings, "INL-004")) == 1
    submit(connection, "IND02", COUNTY, BEFORE, [payout(1, date=3, batch="B0")])
    assert findings(connection, settings, "INL-004") == []
    assert connection.execute("select status, closed_at is not null from quality.finding").fetchall() == [("resolved", True)]


def test_a_returned_list_is_not_evaluable(connection, settings):
    submit(connection, "IND02", COUNTY, BEFORE, [payout(1, date=3)])
    submit(connection, "IND02", COUNTY, WEEK, [], state="returned")
    submit(connection, "IND02", "451003", WEEK, [])  # a week that nobody has reported is not judged
    assert findings(connection, settings, "INL-004") == []
    assert status(connection, "INL-004", COUNTY) == "not_evaluable"
