-- generated from the contracts by `python -m warehouse.dbt_sources`; do not edit
-- 调度会与督导台账: the rows of the newest accepted version of each county and week, without personal data.
select
    s.submission_id,
    s.county_code,
    {{ week_of_rows() }},
    r.row_no as source_row_no,
    r.event_no,
    r.event_date,
    r.event_type,
    r.topic,
    r.level,
    r.townships_visited,
    r.villages_visited,
    r.points_visited
from {{ source('raw', 'dis01') }} as r
inner join {{ source('intake', 'accepted_submission') }} as s on s.submission_id = r.submission_id
