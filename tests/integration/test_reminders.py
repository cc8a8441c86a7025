"""Overdue counties are reminded once, told what they owe, and left alone when it has come in."""

from __future__ import annotations

import datetime as dt

import pytest
from warehouse_rows import submit

from expectations.judge import judge
from expectations.reminders import NAME, clear, remind
from ingestion.contracts import contracts

pytestmark = pytest.mark.database
COUNTY, OTHER, WEEK = "451002", "451003", "2020-W24"


def at(settings, day, hour=12, minute=0):
    return dt.datetime(2020, 6, day, hour, minute, tzinfo=settings.timezone)


def owe(connection, county, but, week=WEEK):
    """A county that has sent everything but some forms."""
    due = [f.code for f in contracts().forms if f.expected_from == "all_counties"]
    for form in due:
        if form not in but:
            submit(connection, form, county, week, [])


def letter(settings, county=COUNTY, week=WEEK):
    return settings.outbox / county / week / NAME


def test_nothing_before_the_due_time_and_once_after(connection, settings):
    owe(connection, COUNTY, ["EMP01", "SOC01"])
    assert remind(connection, settings, at(settings, 16)) == []  # Tuesday 12:00 is still in time
    found = {r.county_code: r for r in remind(connection, settings, at(settings, 16, 12, 1))}
    assert len(found) == 12
    assert found[COUNTY].forms == {"EMP01": "missing", "SOC01": "missing"} and found[COUNTY].written
    text = letter(settings).read_text(encoding="utf-8-sig")
    assert all(word in text for word in ("右江区", "2020年06月14日", "06月16日12:00", "2张报表", "就业扶贫周报表（EMP01）", "空报"))
    before = letter(settings).stat().st_mtime_ns
    assert not any(r.written for r in remind(connection, settings, at(settings, 17)))
    assert letter(settings).stat().st_mtime_ns == before


def test_what_has_come_in_is_taken_off_and_a_settled_letter_goes(connection, settings):
    owe(connection, COUNTY, ["EMP01", "SOC01"])
    remind(connection, settings, at(settings, 17))
    submit(connection, "SOC01", COUNTY, WEEK, [{}])
    again = {r.county_code: r for r in remind(connection, settings, at(settings, 18))}
    assert again[COUNTY].forms == {"EMP01": "missing"} and again[COUNTY].written and not again[OTHER].written
    submit(connection, "EMP01", COUNTY, WEEK, [{}])
    assert COUNTY not in {r.county_code for r in remind(connection, settings, at(settings, 19))}
    assert clear(connection, settings) == 1 and not letter(settings).exists() and letter(settings, OTHER).exists()
    assert connection.execute("select settled_at from quality.reminder where county_code = %s", [COUNTY]).fetchone() == (at(settings, 19),)


def test_returned_forms_are_told_apart(connection, settings):
    owe(connection, COUNTY, ["EMP01", "SOC01"])
    submit(connection, "SOC01", COUNTY, WEEK, [], state="returned")
    found = next(r for r in remind(connection, settings, at(settings, 17)) if r.county_code == COUNTY)
    assert found.forms == {"EMP01": "missing", "SOC01": "returned"}
    text = letter(settings).read_text(encoding="utf-8-sig")
    assert "已退回，尚未收到更正后的报表（1张）" in text and "检查结果" in text


def test_an_extension_is_respected(connection, settings):
    connection.execute(
        "insert into reference.calendar_exceptions (week, county_code, due_at, source) values (%s, %s, %s, 'letter')", [WEEK, OTHER, at(settings, 19)]
    )
    owe(connection, COUNTY, [])
    assert OTHER not in {r.county_code for r in remind(connection, settings, at(settings, 18))}
    assert OTHER in {r.county_code for r in remind(connection, settings, at(settings, 20))}


def test_a_week_nobody_has_reported_for_counts_but_years_do_not(connection, settings):
    owe(connection, COUNTY, [])
    weeks = {r.week for r in remind(connection, settings, at(settings, 24))}
    assert weeks == {WEEK, "2020-W25"}
    late = dt.datetime(2026, 1, 1, tzinfo=settings.timezone)
    assert {r.week for r in remind(connection, settings, late)} == weeks


def test_punctuality_counts_what_was_due(connection, settings):
    owe(connection, COUNTY, ["EMP01", "SOC01", "COP04"])
    submit(connection, "SOC01", COUNTY, WEEK, [], state="returned")
    late = submit(connection, "COP04", COUNTY, WEEK, [{}], state="late")
    connection.execute("update intake.submission set received_at = %s where submission_id = %s", [at(settings, 16, 15), late])
    judge(connection, settings, now=at(settings, 18), great_expectations=False)
    row = connection.execute(
        """select forms_due, on_time, late, returned, missing, on_time_rate, latest_hours from quality.punctuality
           where (county_code, week) = (%s, %s)""",
        [COUNTY, WEEK],
    ).fetchone()
    due = sum(f.expected_from == "all_counties" for f in contracts().forms)
    assert row[:5] == (due, due - 3, 1, 1, 1)
    assert float(row[5]) == pytest.approx((due - 3) / due, abs=1e-4) and row[6] == 3
