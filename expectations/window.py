"""Weeks in which anything can be otherwise than the last judgement left it: what a run reads does not grow with history.

These are the weeks after the last one judged; those of submissions that came in since; those with slices noted (a
hold, a withdrawal or a reload notes them); those before the first one known; those with a form that was not yet due;
and those that are to be judged again. It is every week where the last run knew other contracts, counties or due
times, or where there was none.
"""

from __future__ import annotations

import datetime as dt
import hashlib

import psycopg

from ingestion.contract_model import Contracts
from warehouse import calendar

# A file that came back whole says nothing of when reporting began; only if nothing else came does it count.
REPORTED = """
select coalesce((select week from intake.submission where county_code is not null and as_of_date <= %(day)s and state <> 'returned' order by week limit 1),
                (select week from intake.submission where county_code is not null and as_of_date <= %(day)s order by week limit 1)),
       (select week from intake.submission where county_code is not null and as_of_date <= %(day)s order by week desc limit 1)
"""

CHANGED = """
select week from intake.submission where submission_id > %(seen)s and week is not null
union select week from ops.pending_slice
union select week from quality.reporting_status where status = 'expected'
"""


def reported(connection: psycopg.Connection, day: dt.date) -> tuple[str | None, str | None]:
    """First and last week, over by a date, that anybody has reported for."""
    return connection.execute(REPORTED, {"day": day}).fetchone()


def weeks(
    connection: psycopg.Connection, of: Contracts, *, until: str | None, day: dt.date, again: tuple[str, str] | None = None
) -> list[str]:
    """The weeks to look at, in order, none after the last one reported or ``until``; empty before anything is reported."""
    first, last = reported(connection, day)
    if first is None:
        return []
    everything = calendar.weeks_between(first, max(last, until or last))
    judged = connection.execute(
        "select publish_week, submissions_to, basis from quality.check_run where basis is not null order by check_run_id desc limit 1"
    ).fetchone()
    if judged is None or judged[2] != basis(connection, of):
        return everything
    week, seen, _ = judged
    changed = {w for (w,) in connection.execute(CHANGED, {"seen": seen})}
    known = connection.execute("select min(week) from quality.reporting_status").fetchone()[0] or everything[-1]
    lower, upper = again or ("", "")
    return [w for w in everything if w in changed or w > (week or "") or w < known or lower <= w <= upper]


def close(connection: psycopg.Connection, of: Contracts, check_run_id: int) -> None:
    """Note in a run how far it has seen, in the transaction that wrote its results."""
    connection.execute(
        "update quality.check_run set basis = %s, submissions_to = (select coalesce(max(submission_id), 0) from intake.submission) where check_run_id = %s",
        [basis(connection, of), check_run_id],
    )


def basis(connection: psycopg.Connection, of: Contracts) -> str:
    """SHA-256 of what decides who owes which form, when, and by which rules it is judged."""
    forms = sorted((f.code, f.version, str(f.valid_from), str(f.valid_to), f.expected_from) for f in of.forms)
    lists = connection.execute(
        """select (select md5(string_agg(c::text, '|' order by c::text)) from reference.counties c),
                  (select md5(string_agg(e::text, '|' order by e::text)) from reference.calendar_exceptions e)"""
    ).fetchone()
    return hashlib.sha256(repr((forms, lists)).encode()).hexdigest()
