-- generated from the contracts by `python -m warehouse.dbt_sources`; do not edit
-- 四大战役项目进度周报表: the rows of the newest accepted version of each county and week, without personal data.
select
    s.submission_id,
    s.county_code,
    {{ week_of_rows() }},
    r.row_no as source_row_no,
    r.project_kind,
    r.planned,
    r.started,
    r.completed,
    r.start_rate,
    r.completion_rate,
    r.investment,
    r.invested,
    r.beneficiaries
from {{ source('raw', 'cam01') }} as r
inner join {{ source('intake', 'accepted_submission') }} as s on s.submission_id = r.submission_id
