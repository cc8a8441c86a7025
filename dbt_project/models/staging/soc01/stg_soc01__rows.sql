-- generated from the contracts by `python -m warehouse.dbt_sources`; do not edit
-- 兜底保障周报表: the rows of the newest accepted version of each county and week, without personal data.
select
    s.submission_id,
    s.county_code,
    {{ week_of_rows() }},
    r.row_no as source_row_no,
    r.township as township_code,
    r.low_income_persons,
    r.low_income_poor_persons,
    r.extreme_poverty_persons,
    r.orphans,
    r.disability_subsidy_persons,
    r.medical_insured_poor,
    r.subsidy_paid
from {{ source('raw', 'soc01') }} as r
inner join {{ source('intake', 'accepted_submission') }} as s on s.submission_id = r.submission_id
