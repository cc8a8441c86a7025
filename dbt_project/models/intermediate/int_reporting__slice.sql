{{ config(
    tags=['slice'],
    indexes=[{'columns': ['form', 'county_code', 'week'], 'unique': true}],
    post_hook="{{ analyze(this) }}"
) }}

-- One row per affected form, county and week: the submission its figures come from, and the one before it.
with affected as (

    select
        s.form,
        s.county_code,
        s.week,
        {{ day_of_week('s.week', 7) }} as as_of_date,
        f.listing = 'level' as is_level,
        c.valid_to
    from {{ source('ops', 'build_slice') }} as s
    inner join {{ ref('reporting_form') }} as f on f.form = s.form
    left join {{ source('reference', 'counties') }} as c on c.county_code = s.county_code

)

select
    a.form,
    a.county_code,
    a.week,
    a.as_of_date,
    figures.submission_id,
    figures.week as source_week,
    case when figures.week < a.week then figures.week end as carried_from_week,
    previous.submission_id as previous_submission_id,
    previous.week as previous_week
from affected as a
left join lateral (
    select o.week, o.submission_id
    from {{ source('intake', 'accepted_submission') }} as o
    where
        o.form = a.form
        and o.county_code = a.county_code
        and o.rows_loaded > 0
        and o.week <= a.week
        and (
            o.week = a.week
            -- a county that was renamed or merged is not carried past its last day
            or (a.is_level and o.week < a.week and (a.valid_to is null or a.as_of_date <= a.valid_to))
        )
    order by o.week desc
    limit 1
) as figures on true
left join lateral (
    select p.week, p.submission_id
    from {{ source('intake', 'accepted_submission') }} as p
    where
        p.form = a.form
        and p.county_code = a.county_code
        and p.rows_loaded > 0
        and p.week < figures.week
        and p.week >= left(figures.week, 4) -- history before the year is not read
        and left(p.week, 4) = left(figures.week, 4)
    order by p.week desc
    limit 1
) as previous on a.is_level and figures.week = a.week
