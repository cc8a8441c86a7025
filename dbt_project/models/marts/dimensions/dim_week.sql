{{ config(tags=['moving'], unique_key='week') }}
{% set columns = ['week', 'monday_date', 'as_of_date', 'iso_year', 'iso_week', 'month_no', 'previous_week', 'due_at'] %}

-- Every week from the first that any county reported for to the newest published; nobody reporting is no gap.
with earliest as (

    -- not min(), for which all of them would be read
    select s.week
    from {{ source('intake', 'ever_accepted_submission') }} as s
    where s.week <= (select h.week from {{ source('ops', 'horizon') }} as h)
    order by s.week
    limit 1

),

bounds as (

    select
        {{ day_of_week('e.week', 1) }} as first_monday,
        (select h.as_of_date - 6 from {{ source('ops', 'horizon') }} as h) as last_monday
    from earliest as e

),

weeks as (

    select {{ days_from_to('b.first_monday', 'b.last_monday', 7) }} as monday_date
    from bounds as b

),

named as (

    select monday_date, {{ week_of('monday_date') }} as week
    from weeks

)

select
    n.week,
    n.monday_date,
    n.monday_date + 6 as as_of_date,
    {{ iso_year('n.monday_date') }} as iso_year,
    {{ iso_week('n.monday_date') }} as iso_week,
    extract(month from n.monday_date + 6)::integer as month_no,
    {{ week_of('n.monday_date - 7') }} as previous_week,
    coalesce(
        e.due_at,
        {{ noon_in_the_city('n.monday_date + 8') }}
    ) as due_at
from named as n
left join {{ source('reference', 'calendar_exceptions') }} as e on e.week = n.week and e.county_code = '*'
{{ only_changed(columns) }}
