-- generated from the contracts by `python -m warehouse.dbt_sources`; do not edit
-- 贫困县摘帽“九有一低于”进展表: the rows of the newest accepted version of each county and week, without personal data.
select
    s.submission_id,
    s.county_code,
    {{ week_of_rows() }},
    r.row_no as source_row_no,
    r.criterion,
    r.standard_value,
    r.current_value,
    r.is_met,
    r.gap_note
from {{ source('raw', 'exi01') }} as r
inner join {{ source('intake', 'accepted_submission') }} as s on s.submission_id = r.submission_id
