"""What a run has to judge: temporary tables that every later statement joins.

``judging``      county_code, week: the county-weeks whose results are made again
``pending``      form, county_code, week: the slices that a publication would change
``owed``         week, county_code, form, as_of_date, due_at: every form due from anybody in the weeks looked at (`expectations.window`)
``newest``       the submission that a form's results of those weeks are about: the accepted one, else the last one returned
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

from expectations import catalogue, window
from ingestion.contract_model import Contracts
from warehouse import calendar

TABLES = {
    "newest": "form text, county_code text, week text, submission_id bigint, state text, rows_read integer, rows_loaded integer, as_of_date date, "
    "file_id bigint, accepted boolean",
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
    looked_at = prepare_status(connection, of, until=publish_week, now=now, timezone=timezone, again=again)
    _judging(connection, publish_week, again)
    weeks = [w for (w,) in connection.execute("select distinct week from pg_temp.judging order by 1")]
    _status_of(connection, of, [w for w in weeks if w not in set(looked_at)], timezone)
    _fill(connection, "catalogue", (astuple(e) for e in catalogue.entries(of, weeks, rules_on)))
    return weeks


def prepare_status(
    connection: psycopg.Connection, of: Contracts, *, until: str | None, now: dt.datetime, timezone: ZoneInfo, again: tuple[str, str] | None = None
) -> list[str]:
    """Make the tables and fill ``owed`` and ``newest``: what reporting status needs. Returns the weeks looked at."""
    for name, columns in TABLES.items():
        connection.execute(f"drop table if exists pg_temp.{name}")
        connection.execute(f"create temporary table {name} ({columns}) on commit drop")
    weeks = window.weeks(connection, of, until=until, day=now.astimezone(timezone).date(), again=again)
    _status_of(connection, of, weeks, timezone)
    connection.execute("create index on pg_temp.newest (county_code, week)")
    return weeks


def _status_of(connection: psycopg.Connection, of: Contracts, weeks: list[str], timezone: ZoneInfo) -> None:
    """Add some weeks to ``owed`` and ``newest``."""
    if not weeks:
        return
    exceptions = calendar.read_exceptions(connection)
    counties = calendar.read_counties(connection)
    rows = (
        (week, county.county_code, form, calendar.as_of_date(week), due)
        for week in weeks
        for county in counties
        if (forms := calendar.expected_forms(county, week, of))
        for due in [calendar.due_at(week, county.county_code, exceptions, timezone)]
        for form in forms
    )
    _fill(connection, "owed", rows)
    connection.execute(NEWEST, [weeks])
    connection.execute("analyze pg_temp.newest")


NEWEST = """
insert into pg_temp.newest
select distinct on (s.form, s.county_code, s.week) s.form, s.county_code, s.week, s.submission_id, s.state, s.rows_read,
       s.rows_loaded, s.as_of_date, s.file_id, a.submission_id is not null
from intake.submission s
left join intake.accepted_submission a on a.submission_id = s.submission_id
where s.county_code is not null and s.week = any(%s)
order by s.form, s.county_code, s.week, (a.submission_id is not null) desc, s.version desc
"""


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
             and not exists (select from quality.check_result r
                             where r.week = n.week and r.county_code = n.county_code and r.submission_id = n.submission_id)
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
    select l.submission_id, l.county_code, left(l.week, 4) as year, s.as_of_date, least(l.first_paid, s.as_of_date) as since  -- an empty list still completes the year's
    from pg_temp.judging j
    join ops.payout_list l using (county_code, week)
    join intake.submission s using (submission_id)
), person as materialized (  -- payments made before cannot be the second of two
    select p.id_key, min(least(p.paid_date, c.as_of_date)) as since
    from changed c
    join raw.ind02 p using (submission_id)
    join ops.payout_person using (id_key)
    group by 1
)
insert into pg_temp.judging
select county_code, week from (
    select s.county_code, s.week
    from (select county_code, year, min(since) as since from changed group by 1, 2) f
    join quality.accepted_submission s on s.county_code = f.county_code and s.week between f.year || '-W01' and f.year || '-W53' and s.as_of_date >= f.since
    where s.form = 'IND01'
    union
    select s.county_code, s.week
    from person h
    join raw.ind02 p on p.id_key = h.id_key and coalesce(p.paid_date, 'infinity') >= h.since
    join quality.accepted_submission s on s.submission_id = p.submission_id
    where s.form = 'IND02'
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
