{{ config(tags=['moving'], unique_key='submission_id') }}
{#- written as a number: about a subquery's outcome the planner assumes a third of all there are, and reads them all -#}
{% set known = run_query('select coalesce(max(submission_id), 0) from ' ~ this).columns[0].values()[0] if execute and is_incremental() else 0 %}

-- Every submission that was ever accepted, superseded ones too: earlier publications refer to them.
select
    s.submission_id,
    s.form,
    s.county_code,
    s.week,
    s.version,
    s.state,
    s.received_at,
    f.sha256,
    f.original_name,
    s.member,
    s.sheet
from {{ source('intake', 'ever_accepted_submission') }} as s
inner join {{ source('intake', 'file') }} as f on f.file_id = s.file_id
where s.week <= (select h.week from {{ source('ops', 'horizon') }} as h)
{% if is_incremental() %}
    and s.submission_id in (
        select n.submission_id
        from {{ source('ops', 'build_slice') }} as slice
        inner join {{ source('intake', 'ever_accepted_submission') }} as n
            on n.form = slice.form and n.county_code = slice.county_code and n.week = slice.week
        union
        -- a form without a mart has no slices
        select n.submission_id
        from {{ source('intake', 'ever_accepted_submission') }} as n
        where n.submission_id > {{ known }}
    )
{% endif %}
{% if is_incremental() %}
    and not exists (select 1 from {{ this }} as d where d.submission_id = s.submission_id and d.state = s.state and d.original_name = f.original_name)
{% endif %}
