"""Running counts of payment lists, for the rules that look at all payments of a year (IND-008, INL-004, INL-006).

A list is counted when it has been accepted, and taken off again when another version stands in its place or it is held
back. A run reads the lists that changed, not the year's. The counts are no figures of their own: everything in them
follows from raw rows, and `recount` makes them again.

    ops.payout_list       lists that were ever counted, and whether they still are
    ops.payout_day        county, year, industry, day: yuan paid, and households first paid on it
    ops.payout_household  county, year, industry, household: the day of its first payment
    ops.payout_person     persons that one of the rules can be about at all: with payments of two households, or two of one
                          industry and batch. Never shorter: a finding may have to go when the payment does.
"""

from __future__ import annotations

import psycopg

FORM = "IND02"
TABLES = ("payout_list", "payout_day", "payout_household", "payout_person")


def count(connection: psycopg.Connection, everything: bool = False) -> int:
    """Count what the slices noted since have changed, or look at every list there is; returns how many lists changed.

    In the caller's transaction, which must hold the judgement's lock. Where nothing was counted yet, all are.
    """
    (begun,) = connection.execute("select exists (select from ops.payout_list)").fetchone()
    slices = ALL_SLICES if everything or not begun else NOTED_SLICES
    connection.execute("drop table if exists pg_temp.changed_list, pg_temp.changed_household")
    changed = connection.execute(CHANGED_LISTS.format(slices=slices), {"form": FORM}).rowcount
    if changed:
        connection.execute("analyze pg_temp.changed_list")
        for statement in (LISTS, PERSONS, HOUSEHOLDS):
            connection.execute(statement)
        connection.execute("analyze pg_temp.changed_household")
        for statement in (DAYS, FIRST_PAID, NEVER_PAID):
            connection.execute(statement)
        if not begun:
            for table in TABLES:
                connection.execute(f"analyze ops.{table}")
    return changed


def recount(connection: psycopg.Connection) -> int:
    """Forget all counts and make them again from the raw rows; returns how many lists there are. As `count`."""
    for table in TABLES:
        connection.execute(f"delete from ops.{table}")
    return count(connection, everything=True)


ALL_SLICES = "select distinct county_code, week from intake.submission where form = %(form)s and county_code is not null and week is not null"
NOTED_SLICES = "select county_code, week from ops.pending_slice where form = %(form)s"

CHANGED_LISTS = """
create temporary table changed_list on commit drop as
with slice as materialized ({slices}), standing as (
    select a.submission_id, a.county_code, a.week
    from slice join quality.accepted_submission a using (county_code, week)
    where a.form = %(form)s
), counted as (
    select l.submission_id, l.county_code, l.week from slice join ops.payout_list l using (county_code, week) where l.counted
)
select coalesce(s.submission_id, c.submission_id) as submission_id, county_code, week, left(week, 4) as year,
       case when s.submission_id is null then -1 else 1 end as sign
from standing s full join counted c using (submission_id, county_code, week)
where s.submission_id is null or c.submission_id is null
"""

LISTS = """
insert into ops.payout_list (submission_id, county_code, week, first_paid, counted)
select c.submission_id, c.county_code, c.week, (select min(p.paid_date) from raw.ind02 p where p.submission_id = c.submission_id), c.sign = 1
from pg_temp.changed_list c
on conflict (submission_id) do update set counted = excluded.counted
"""

# Whichever of two payments is counted later finds the other one.
PERSONS = """
insert into ops.payout_person
select distinct a.id_key
from pg_temp.changed_list c
join raw.ind02 a using (submission_id)
join raw.ind02 p on p.id_key = a.id_key
    and (p.household_key <> a.household_key or (p.industry, p.batch_no) = (a.industry, a.batch_no) and (p.submission_id, p.row_no) <> (a.submission_id, a.row_no))
join ops.payout_list l on l.submission_id = p.submission_id and l.counted
where c.sign = 1
on conflict do nothing
"""

# Only where a list was taken off do the others of its county and year have to be looked at again.
HOUSEHOLDS = """
create temporary table changed_household on commit drop as
with touched as materialized (
    select c.county_code, c.year, p.industry, p.household_key, min(p.paid_date) filter (where c.sign = 1) as added, bool_or(c.sign = -1) as taken_off
    from pg_temp.changed_list c
    join raw.ind02 p using (submission_id)
    where p.industry is not null and p.household_key is not null and p.paid_date is not null
    group by 1, 2, 3, 4
), remaining as (
    select county_code, year, p.industry, p.household_key, min(p.paid_date) as first_paid
    from (select distinct county_code, year from pg_temp.changed_list where sign = -1) y
    join ops.payout_list l using (county_code)
    join raw.ind02 p using (submission_id)
    where l.counted and l.week between y.year || '-W01' and y.year || '-W53'
    group by 1, 2, 3, 4
)
select t.county_code, t.year, t.industry, t.household_key, h.first_paid as before,
       case when t.taken_off then r.first_paid else least(h.first_paid, t.added) end as now
from touched t
left join ops.payout_household h using (county_code, year, industry, household_key)
left join remaining r on t.taken_off and (r.county_code, r.year, r.industry, r.household_key) = (t.county_code, t.year, t.industry, t.household_key)
"""

DAYS = """
insert into ops.payout_day as d (county_code, year, industry, paid_date, amount, households)
select county_code, year, industry, paid_date, sum(amount), sum(households)
from (
    select c.county_code, c.year, p.industry, p.paid_date, c.sign * coalesce(p.amount, 0) as amount, 0 as households
    from pg_temp.changed_list c
    join raw.ind02 p using (submission_id)
    where p.industry is not null and p.paid_date is not null
    union all
    select county_code, year, industry, now, 0, 1 from pg_temp.changed_household where now is distinct from before and now is not null
    union all
    select county_code, year, industry, before, 0, -1 from pg_temp.changed_household where now is distinct from before and before is not null
) part
group by 1, 2, 3, 4
on conflict (county_code, year, industry, paid_date) do update set (amount, households) = (d.amount + excluded.amount, d.households + excluded.households)
"""

FIRST_PAID = """
insert into ops.payout_household (county_code, year, industry, household_key, first_paid)
select county_code, year, industry, household_key, now from pg_temp.changed_household where now is distinct from before and now is not null
order by 1, 2, 3, 4  -- as the key is: a long list's worth of keys in any order takes three times as long
on conflict (county_code, year, industry, household_key) do update set first_paid = excluded.first_paid
"""

NEVER_PAID = """
delete from ops.payout_household h
using pg_temp.changed_household c
where c.now is null and (h.county_code, h.year, h.industry, h.household_key) = (c.county_code, c.year, c.industry, c.household_key)
"""
