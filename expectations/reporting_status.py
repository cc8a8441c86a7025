"""Reporting status: 应报、已报、迟报、空报、退回、补报、缺报, for every form that anybody ever owed."""

from __future__ import annotations

import datetime as dt

import psycopg


def write(connection: psycopg.Connection, now: dt.datetime) -> int:
    """Bring ``quality.reporting_status`` to what is known at ``now``; returns the number of rows that changed.

    The accepted submission's own state; where none is accepted, returned if any came back; else missing once the due
    time has passed, and expected before. ``judged_at`` is when the status became what it is.
    """
    return connection.execute(STATUS, {"now": now}).rowcount


STATUS = """
insert into quality.reporting_status as known (week, county_code, form, status, due_at, submission_id, judged_at)
select o.week, o.county_code, o.form,
       coalesce(n.state, case when o.due_at < %(now)s then 'missing' else 'expected' end),
       o.due_at, n.submission_id, %(now)s
from pg_temp.owed o
left join pg_temp.newest n using (week, county_code, form)
on conflict (week, county_code, form) do update
set (status, due_at, submission_id, judged_at) = (excluded.status, excluded.due_at, excluded.submission_id, excluded.judged_at)
where (known.status, known.due_at, known.submission_id) is distinct from (excluded.status, excluded.due_at, excluded.submission_id)
"""
