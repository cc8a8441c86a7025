-- One row a finding: the state that was last accepted, looked at on the as-of date of the newest week.
with listed as (

    select
        r.*,
        min(r.week) over finding as first_seen_week,
        max(r.week) over finding as last_seen_week
    from {{ ref('stg_rec01__rows') }} as r
    cross join {{ source('ops', 'horizon') }} as horizon
    where
        r.week <= horizon.week
        and r.county_code in (select county_code from {{ ref('int_reporting__slice') }} where form = 'REC01')
    window finding as (partition by r.county_code, r.finding_no)

)

select
    horizon.as_of_date,
    l.county_code,
    l.finding_no,
    l.source,
    l.aspect,
    l.description,
    l.found_date,
    l.due_date,
    l.status,
    l.closed_date,
    l.first_seen_week,
    l.last_seen_week,
    {{ days_between('l.found_date', 'coalesce(l.closed_date, horizon.as_of_date)') }} as days_open,
    l.status in ('open', 'in_progress') and l.due_date < horizon.as_of_date as is_overdue,
    l.status in ('done', 'verified') as is_done,
    l.status = 'verified' as is_closed,
    l.submission_id,
    l.source_row_no
from listed as l
cross join {{ source('ops', 'horizon') }} as horizon
where l.week = l.last_seen_week
