"""The reporting calendar: ISO weeks, due times, which week is to be published, which forms are expected of whom.

A week is written '2020-W24'; its as-of date is the Sunday. Nothing here reads the system's clock.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import psycopg

from ingestion.contract_model import Contracts
from ingestion.contracts import contracts

CITY_TIME = ZoneInfo("Asia/Shanghai")
DUE_DAYS_AFTER_SUNDAY = 2  # the Tuesday after
DUE_TIME = dt.time(12, 0)
EVERY_COUNTY = "*"

Exceptions = Mapping[tuple[str, str], dt.datetime]  # (week, county_code or '*') → due time

_WEEK = re.compile(r"(\d{4})-W(\d{2})", re.ASCII)


@dataclass(frozen=True)
class County:
    """One row of ``reference.counties``: a code is in force from ``valid_from`` to ``valid_to`` (both included)."""

    county_code: str
    valid_from: dt.date | None
    valid_to: dt.date | None
    exited_year: int | None

    def in_force(self, on: dt.date) -> bool:
        return (self.valid_from is None or self.valid_from <= on) and (self.valid_to is None or on <= self.valid_to)


def week_of(date: dt.date) -> str:
    """The ISO week a date lies in: 2020-06-14 → '2020-W24'."""
    year, week, _ = date.isocalendar()
    return f"{year:04d}-W{week:02d}"


def monday_of(week: str) -> dt.date:
    """The first day of a week. Raises ValueError for anything that is no ISO week."""
    match = _WEEK.fullmatch(week)
    if not match:
        raise ValueError(f"not an ISO week: {week!r}")
    return dt.date.fromisocalendar(int(match[1]), int(match[2]), 1)


def as_of_date(week: str) -> dt.date:
    """The Sunday of a week, 截至日期."""
    return monday_of(week) + dt.timedelta(days=6)


def next_week(week: str) -> str:
    return week_of(monday_of(week) + dt.timedelta(days=7))


def previous_week(week: str) -> str:
    return week_of(monday_of(week) - dt.timedelta(days=7))


def weeks_between(first: str, last: str) -> list[str]:
    """Every week from first to last, both included; empty where last comes before first."""
    start, end = monday_of(first), monday_of(last)
    return [week_of(start + dt.timedelta(days=7 * n)) for n in range((end - start).days // 7 + 1)]


def due_at(week: str, county_code: str, exceptions: Exceptions, timezone: ZoneInfo = CITY_TIME) -> dt.datetime:
    """When a county's forms of a week are due: Tuesday 12:00 local time, unless an exception is dated.

    A county's own exception beats that for every county ('*').
    """
    exception = exceptions.get((week, county_code)) or exceptions.get((week, EVERY_COUNTY))
    if exception:
        return exception
    return dt.datetime.combine(as_of_date(week) + dt.timedelta(days=DUE_DAYS_AFTER_SUNDAY), DUE_TIME, timezone)


def read_exceptions(connection: psycopg.Connection) -> dict[tuple[str, str], dt.datetime]:
    """The dated exceptions of ``reference.calendar_exceptions``."""
    rows = connection.execute("select week, county_code, due_at from reference.calendar_exceptions")
    return {(week, county): due for week, county, due in rows}


def read_counties(connection: psycopg.Connection) -> list[County]:
    """Every county code there ever was, in order."""
    rows = connection.execute(
        "select county_code, valid_from, valid_to, exited_year from reference.counties order by county_code, valid_from"
    )
    return [County(*row) for row in rows]


def publish_week(connection: psycopg.Connection, now: dt.datetime, timezone: ZoneInfo = CITY_TIME, *, due: bool = True) -> str | None:
    """The newest week with an accepted form of any county whose general due time has passed; None if there is none.

    An extension for one county does not hold up the others, so only exceptions for every county count. With
    ``due=False`` it is enough that the week itself is over: who publishes by hand need not wait for the due time.
    """
    exceptions = read_exceptions(connection)

    def ready(week: str) -> bool:
        if due:
            return due_at(week, EVERY_COUNTY, exceptions, timezone) <= now
        return as_of_date(week) < now.astimezone(timezone).date()

    before = "9999"
    while found := connection.execute("select week from intake.accepted_submission where week < %s order by week desc limit 1", [before]).fetchone():
        (before,) = found  # from the newest backwards: those not yet ready are few, those behind them are not read
        if ready(before):
            return before
    return None


def expected_forms(county: County, week: str, of: Contracts | None = None) -> list[str]:
    """Codes of the forms that a county owes for a week; none where its code is not in force on the as-of date."""
    of = of or contracts()
    on = as_of_date(week)
    if not county.in_force(on):
        return []
    year = int(week[:4])
    not_exited = county.exited_year is not None and year <= county.exited_year
    in_force = {
        form.code: form
        for form in sorted(of.forms, key=lambda f: f.valid_from)
        if form.valid_from <= on and (form.valid_to is None or on <= form.valid_to)
    }
    return [code for code, form in sorted(in_force.items()) if form.expected_from == "all_counties" or not_exited]


def expected_slices(connection: psycopg.Connection, week: str, of: Contracts | None = None) -> list[tuple[str, str]]:
    """(county_code, form) of everything that is owed for a week, in order."""
    return [(c.county_code, form) for c in read_counties(connection) for form in expected_forms(c, week, of)]
