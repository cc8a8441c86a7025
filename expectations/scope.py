"""What a run has to judge: temporary tables that every later statement joins.

``judging``      county_code, week: the county-weeks whose results are made again
``pending``      form, county_code, week: the slices that a publication would change
``owed``         week, county_code, form, as_of_date, due_at: every form that was ever due from anybody
``newest``       the submission that a form's results are about: the accepted one, else the last one returned
``catalogue``    the rules of each week (`expectations.catalogue`)

A county-week is judged when it is asked for, when one of its slices has been built and not published, when a submission of it has no
results yet, when it has no results at all (nothing came in), or when figures of a neighbour changed that its
cross-form rules look at. Everything else keeps the results it has.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import astuple
from zoneinfo import ZoneInfo

import psycopg

from expectations import catalogue
from ingestion.contracts import Contracts
from warehouse import calendar

TABLES = {
    "owed": "week text, county_code text, form text, as_of_date date, due_at timestamptz",
    "catalogue": "week text, rule_id text, form text, severity text, applicable boolean, across text, cross_form boolean, "
    "fields text[], reference text, threshold text",
    "pending": "form text, county_code text, week text",
    "judging": "county_code text, week text",
}


def prepare(
    connection: psycopg.Connection,
    of: Contracts,
    *,
    publish_week: str | None,
    now: dt.datetime,
    timezone: ZoneInfo,
    again: tuple[str, str] | None = None,
    rules_on: dt.date | None = None,
) -> list[str]:
    """Fill the temporary tables; returns the weeks to judge, in order. Inside a transaction of the caller's.

    ``again``: first and last of the weeks that are judged whatever results they have; ``rules_on``: see
    `expectations.catalogue.entries`.
    """
    prepare_status(connection, of, until=publish_week, now=now, timezone=timezone)
    _judging(connection, publish_week, again)
    weeks = [w for (w,) in connection.execute("select distinct week from pg_temp.judging order by 1")]
    _fill(connection, "catalogue", (astuple(e) for e in catalogue.entries(of, weeks, rules_on)))
    return weeks


def prepare_status(connection: psycopg.Connection, of: Contracts, *, until: str | None, now: dt.datetime, timezone: ZoneInfo) -> None:
    """Make the tables and fill ``owed`` and ``newest``: what reporting status needs."""
    for name, columns in TABLES.items():
        connection.execute(f"drop table if exists pg_temp.{name}")
        connection.execute(f"create temporary table {name} ({columns}) on commit drop")
    _owed(connection, of, until, now, timezone)
    _newest(connection)


def _owed(
    connection: psycopg.Connection, of: Contracts, publish_week: str | None, now: dt.datetime, timezone: ZoneInfo
) -> None:
    # A file that came back whole says nothing of when reporting began; only if nothing else came does it count.
    first, last = connection.execute(
        """select coalesce(min(week) filter (where state <> 'returned'), min(week)), max(week)
           from intake.submission where county_code is not null and as_of_date <= %s""",
        [now.astimezone(timezone).date()],
    ).fetchone()
    if first is None:
        return
    exceptions = calendar.read_exceptions(connection)
    counties = calendar.read_counties(connection)
    rows = (
        (week, county.county_code, form, calendar.as_of_date(week), due)
        for week in calendar.weeks_between(first, max(last, publish_week or last))
        for county in counties
        if (forms := calendar.expected_forms(county, week, of))
        for due in [calendar.due_at(week, county.county_code, exceptions, timezone)]
        for form in forms
    )
    _fill(connection, "owed", rows)


def _newest(connection: psycopg.Connection) -> None:
    connection.execute("drop table if exists pg_temp.newest")
    connection.execute(
        """create temporary table newest on commit drop as
           select distinct on (s.form, s.county_code, s.week) s.form, s.county_code, s.week, s.submission_id, s.state, s.rows_read,
                  s.rows_loaded, s.as_of_date, s.file_id, a.submission_id is not null as accepted
           from intake.submission s
           left join intake.accepted_submission a on a.submission_id = s.submission_id
           where s.county_code is not null and s.week is not null
           order by s.form, s.county_code, s.week, (a.submission_id is not null) desc, s.version desc"""
    )
    connection.execute("create index on pg_temp.newest (county_code, week)")
    connection.execute("analyze pg_temp.newest")


def _judging(connection: psycopg.Connection, publish_week: str | None, again: tuple[str, str] | None) -> None:
    if publish_week is None:
        return
    first, last = again or ("", "")
    until = {"until": publish_week, "first": first, "last": last}
    connection.execute(
        """insert into pg_temp.pending
           select form, county_code, week from ops.pending_slice where built and week <= %(until)s""",
        until,
    )
    connection.execute(
        """insert into pg_temp.judging
           select county_code, week from pg_temp.pending
           union
           select n.county_code, n.week from pg_temp.newest n
           where n.week <= %(until)s
             and not exists (select from quality.check_result r where r.submission_id = n.submission_id)
             and exists (select from reference.counties c where c.county_code = n.county_code)
           union
           select o.county_code, o.week from (select distinct county_code, week from pg_temp.owed) o
           where o.week <= %(until)s
             and not exists (select from quality.check_result r where r.week = o.week and r.county_code = o.county_code)
           union
           select o.county_code, o.week from pg_temp.owed o
           where o.week <= %(until)s and o.week between %(first)s and %(last)s""",
        until,
    )
    connection.execute("analyze pg_temp.judging")
    connection.execute(PARTNERS, until)
    connection.execute("analyze pg_temp.judging")


# Payout lists are looked at beyond their own week: by the weekly reports of the county from the first date of payment
# on, and by whoever paid the same person. Lists that have been superseded count too: their findings may have to go.
PARTNERS = """
with changed as materialized (
    select s.submission_id, s.county_code, s.week, s.as_of_date
    from pg_temp.judging j
    join intake.submission s using (county_code, week)
    where s.form = 'IND02' and s.state <> 'returned'
), payout as materialized (
    select c.county_code, c.week, p.id_key, least(p.paid_date, c.as_of_date) as since
    from changed c
    left join raw.ind02 p using (submission_id)  -- an empty list still completes the year's
)
insert into pg_temp.judging
select county_code, week from (
    select s.county_code, s.week
    from (select county_code, left(week, 4) as year, min(since) as since from payout group by 1, 2) f
    join quality.accepted_submission s on s.county_code = f.county_code and left(s.week, 4) = f.year and s.as_of_date >= f.since
    where s.form = 'IND01'
    union
    select s.county_code, s.week
    from quality.accepted_submission s
    join raw.ind02 p on p.submission_id = s.submission_id
    where s.form = 'IND02' and p.id_key in (select id_key from payout)
) partner
where week <= %(until)s
except
select county_code, week from pg_temp.judging
"""


def _fill(connection: psycopg.Connection, table: str, rows: Iterable[tuple]) -> None:
    with connection.cursor().copy(f"copy pg_temp.{table} from stdin") as copy:
        for row in rows:
            copy.write_row(row)
    connection.execute(f"analyze pg_temp.{table}")
