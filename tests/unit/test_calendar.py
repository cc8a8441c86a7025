"""Weeks, due times and what is owed."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from warehouse.calendar import (
    County,
    as_of_date,
    due_at,
    expected_forms,
    next_week,
    previous_week,
    week_of,
    weeks_between,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("date", "week"),
    [
        ("2020-06-08", "2020-W24"),  # Monday
        ("2020-06-14", "2020-W24"),  # Sunday
        ("2020-06-15", "2020-W25"),
        ("2021-01-03", "2020-W53"),  # a Sunday of the old ISO year
        ("2019-12-30", "2020-W01"),
    ],
)
def test_week_of_a_date(date, week):
    assert week_of(dt.date.fromisoformat(date)) == week


def test_as_of_date_is_the_sunday():
    assert as_of_date("2020-W24") == dt.date(2020, 6, 14)
    assert as_of_date("2020-W53") == dt.date(2021, 1, 3)


@pytest.mark.parametrize("text", ["2020-W00", "2021-W53", "2020W24", "2020-W2", "", "2020-W24 "])
def test_no_week(text):
    with pytest.raises(ValueError):
        as_of_date(text)


def test_neighbours_cross_the_year():
    assert (next_week("2020-W53"), previous_week("2021-W01")) == ("2021-W01", "2020-W53")
    assert weeks_between("2020-W52", "2021-W01") == ["2020-W52", "2020-W53", "2021-W01"]
    assert weeks_between("2020-W24", "2020-W23") == []


def test_due_on_tuesday_noon_in_the_city():
    due = due_at("2020-W24", "451002", {}, SHANGHAI)
    assert due == dt.datetime(2020, 6, 16, 4, 0, tzinfo=dt.UTC)


def test_an_exception_moves_the_due_time_and_a_countys_own_beats_the_general_one():
    general = dt.datetime(2020, 6, 17, 12, tzinfo=SHANGHAI)
    own = dt.datetime(2020, 6, 19, 18, tzinfo=SHANGHAI)
    exceptions = {("2020-W24", "*"): general, ("2020-W24", "451026"): own}
    assert due_at("2020-W24", "451002", exceptions) == general
    assert due_at("2020-W24", "451026", exceptions) == own
    assert due_at("2020-W23", "451026", exceptions) == dt.datetime(2020, 6, 9, 12, tzinfo=SHANGHAI)


def test_exit_forms_are_owed_until_the_year_of_the_exit():
    exiting = County("451026", dt.date(1983, 1, 1), None, 2020)
    long_out = County("451002", dt.date(1983, 1, 1), None, None)
    exit_forms = {"EXI01", "EXI02"}
    assert exit_forms <= set(expected_forms(exiting, "2020-W24"))
    assert not exit_forms & set(expected_forms(exiting, "2021-W02"))
    assert not exit_forms & set(expected_forms(long_out, "2020-W24"))
    assert len(expected_forms(exiting, "2020-W24")) == 18
    assert len(expected_forms(long_out, "2020-W24")) == 16


def test_a_code_that_is_not_in_force_owes_nothing():
    renamed = County("451023", dt.date(1983, 1, 1), dt.date(2019, 12, 31), None)
    assert expected_forms(renamed, "2020-W24") == []
    assert expected_forms(renamed, "2019-W52") == []  # its Sunday, 29 December, comes before the contracts
