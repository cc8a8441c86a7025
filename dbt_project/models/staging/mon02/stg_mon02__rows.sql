-- generated from the contracts by `python -m warehouse.dbt_sources`; do not edit
-- 监测对象台账: the rows of the newest accepted version of each county and week, without personal data.
select
    s.submission_id,
    s.county_code,
    {{ week_of_rows() }},
    r.row_no as source_row_no,
    r.household_key,
    r.village as village_code,
    r.persons,
    r.household_type,
    r.alert_level,
    r.review_stage,
    r.risk_cause,
    r.intervention,
    r.entered_date,
    r.cleared_date
from {{ source('raw', 'mon02') }} as r
inner join {{ source('intake', 'accepted_submission') }} as s on s.submission_id = r.submission_id
