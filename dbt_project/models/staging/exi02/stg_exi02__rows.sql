-- generated from the contracts by `python -m warehouse.dbt_sources`; do not edit
-- 未出列贫困村“十一有一低于”进展表: the rows of the newest accepted version of each county and week, without personal data.
select
    s.submission_id,
    s.county_code,
    {{ week_of_rows() }},
    r.row_no as source_row_no,
    r.village as village_code,
    r.criteria_met,
    r.criteria_unmet,
    r.poor_persons,
    r.incidence,
    r.is_listed,
    r.leader
from {{ source('raw', 'exi02') }} as r
inner join {{ source('intake', 'accepted_submission') }} as s on s.submission_id = r.submission_id
