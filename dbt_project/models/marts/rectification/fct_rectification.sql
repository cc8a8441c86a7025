{{ config(incremental_strategy='delete+insert', unique_key='county_code') }}
-- One row a finding: the state that was last accepted, looked at on the as-of date of the newest week.
{% if is_incremental() -%}
-- Of the affected counties only findings that a changed list names, or whose first or last list it was, are looked up
-- again, from the newest list backwards and from the oldest that can be meant forwards; the others keep what they have.
with affected as (

    select
        county_code,
        min(week) as first_week
    from {{ ref('int_reporting__slice') }}
    where form = 'REC01'
    group by county_code

),

touched as (

    select
        s.county_code,
        r.finding_no
    from {{ ref('int_reporting__slice') }} as slice
    inner join {{ source('intake', 'ever_accepted_submission') }} as s
        on s.form = slice.form and s.county_code = slice.county_code and s.week = slice.week
    inner join {{ source('raw', 'rec01') }} as r on r.submission_id = s.submission_id
    where slice.form = 'REC01'
    union
    select
        held.county_code,
        held.finding_no
    from {{ this }} as held
    inner join {{ ref('int_reporting__slice') }} as slice
        on slice.form = 'REC01' and slice.county_code = held.county_code and slice.week in (held.first_seen_week, held.last_seen_week)

),

listed as (

    select
        t.county_code,
        t.finding_no,
        newest.*,
        oldest.first_seen_week
    from touched as t
    inner join affected as a on a.county_code = t.county_code
    left join {{ this }} as held on held.county_code = t.county_code and held.finding_no = t.finding_no
    cross join lateral (
        select
            s.submission_id,
            r.row_no as source_row_no,
            r.source,
            r.aspect,
            r.description,
            r.found_date,
            r.due_date,
            r.status,
            r.closed_date,
            s.week as last_seen_week
        from {{ source('intake', 'accepted_submission') }} as s
        inner join {{ source('raw', 'rec01') }} as r on r.submission_id = s.submission_id and r.finding_no = t.finding_no
        where s.form = 'REC01' and s.county_code = t.county_code and s.week <= (select h.week from {{ source('ops', 'horizon') }} as h)
        order by s.week desc
        limit 1
    ) as newest
    cross join lateral (
        select s.week as first_seen_week
        from {{ source('intake', 'accepted_submission') }} as s
        inner join {{ source('raw', 'rec01') }} as r on r.submission_id = s.submission_id and r.finding_no = t.finding_no
        where s.form = 'REC01' and s.county_code = t.county_code and s.week >= least(a.first_week, held.first_seen_week)
        order by s.week
        limit 1
    ) as oldest
    union all
    select
        held.county_code,
        held.finding_no,
        held.submission_id,
        held.source_row_no,
        held.source,
        held.aspect,
        held.description,
        held.found_date,
        held.due_date,
        held.status,
        held.closed_date,
        held.last_seen_week,
        held.first_seen_week
    from {{ this }} as held
    where
        held.county_code in (select county_code from affected)
        and not exists (select 1 from touched as t where t.county_code = held.county_code and t.finding_no = held.finding_no)

)
{%- else -%}
with ranked as (

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

),

listed as (

    select *
    from ranked
    where week = last_seen_week

)
{%- endif %}

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
