-- generated from the contracts by `python -m warehouse.dbt_sources`; do not edit
-- 问题整改台账: the rows of the newest accepted version of each county and week, without personal data.
select
    s.submission_id,
    s.county_code,
    {{ week_of_rows() }},
    r.row_no as source_row_no,
    r.finding_no,
    r.source,
    r.aspect,
    r.description,
    r.found_date,
    r.due_date,
    r.status,
    r.closed_date
from {{ source('raw', 'rec01') }} as r
inner join {{ source('intake', 'accepted_submission') }} as s on s.submission_id = r.submission_id
