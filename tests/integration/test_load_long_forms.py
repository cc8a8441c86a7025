"""Long forms go straight into raw; what comes of them is what comes of short ones."""

from __future__ import annotations

import datetime as dt

import pytest

from ingestion import rounds
from ingestion.load import load_readings
from tests.integration.readings import file_of, form_reading

pytestmark = pytest.mark.database


def payouts(week: str, *numbers: str):
    day = dt.date(2020, 6, 1)
    rows = len(numbers)
    values = {"payment_no": list(numbers), "household_no": ["H"] * rows, "paid_date": [day] * rows}
    return form_reading("IND02", week, values)


@pytest.fixture(params=[rounds.LARGE_ROWS, 2], ids=["staged", "straight"])
def way(request, monkeypatch):
    monkeypatch.setattr(rounds, "LARGE_ROWS", request.param)


def state(connection):
    rows = connection.execute(
        """select s.state, s.rows_loaded, s.rows_rejected, s.superseded_by is not null,
                  (select count(*) from raw.ind02 r where r.submission_id = s.submission_id),
                  (select count(*) from intake.rejected_row r where r.submission_id = s.submission_id),
                  (select string_agg(f.rule_id || f.cell, ' ' order by f.cell) from quality.finding f where f.submission_id = s.submission_id)
           from intake.submission s order by s.submission_id"""
    ).fetchall()
    connection.commit()
    return rows


def test_numbers_of_another_week_return_a_long_form_and_leave_nothing_in_raw(connection, settings, way):
    first = file_of(connection, payouts("2020-W23", "P1", "P2", "P3"), at="2020-06-08T09:00+08:00")
    again = file_of(connection, payouts("2020-W24", "P3", "P4", "P2"), at="2020-06-15T09:00+08:00")
    load_readings(connection, settings, [first, again])
    assert state(connection) == [("on_time", 3, 0, False, 3, 0, None), ("returned", 0, 3, False, 0, 3, "INL-002A5 INL-002A7")]


def test_a_newer_long_form_takes_the_place_of_the_one_before(connection, settings, way):
    first = file_of(connection, payouts("2020-W23", "P1", "P2", "P3"), at="2020-06-08T09:00+08:00")
    again = file_of(connection, payouts("2020-W23", "P1", "P2", "P3", "P4"), at="2020-06-08T10:00+08:00")
    load_readings(connection, settings, [first, again])
    assert state(connection) == [("on_time", 3, 0, True, 3, 0, None), ("on_time", 4, 0, False, 4, 0, None)]
