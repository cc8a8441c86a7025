{{ config(tags=['moving'], unique_key='week') }}
{% set columns = ['week', 'monday_date', 'as_of_date', 'iso_year', 'iso_week', 'month_no', 'previous_week', 'due_at'] %}

-- Every week from the first that any county reported for to the newest published; nobody reporting is no gap.
with bounds as (

    select
        to_date(min(s.week) || '-1', 'IYYY-"W"IW-ID') as first_monday,
        (select h.as_of_date - 6 from {{ source('ops', 'horizon') }} as h) as last_monday
    from {{ source('intake', 'ever_accepted_submission') }} as s
    where s.week <= (select h.week from {{ source('ops', 'horizon') }} as h)

),

weeks as (

    select generate_series(b.first_monday, b.last_monday, interval '7 days')::date as monday_date
    from bounds as b

),

named as (

    select monday_date, to_char(monday_date, 'IYYY-"W"IW') as week
    from weeks

)

select
    n.week,
    n.monday_date,
    n.monday_date + 6 as as_of_date,
    to_char(n.monday_date, 'IYYY')::integer as iso_year,
    to_char(n.monday_date, 'IW')::integer as iso_week,
    extract(month from n.monday_date + 6)::integer as month_no,
    to_char(n.monday_date - 7, 'IYYY-"W"IW') as previous_week,
    coalesce(
        e.due_at,
        (n.monday_date + 8 + time '12:00') at time zone '{{ env_var("WAREHOUSE_TIMEZONE", "Asia/Shanghai") }}'
    ) as due_at
from named as n
left join {{ source('reference', 'calendar_exceptions') }} as e on e.week = n.week and e.county_code = '*'
{{ only_changed(columns) }}
