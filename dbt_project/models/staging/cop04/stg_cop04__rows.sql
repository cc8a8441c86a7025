-- generated from the contracts by `python -m warehouse.dbt_sources`; do not edit
-- 东部企业引进台账: the rows of the newest accepted version of each county and week, without personal data.
select
    s.submission_id,
    s.county_code,
    {{ week_of_rows() }},
    r.row_no as source_row_no,
    r.enterprise_name,
    r.project_name,
    r.contract_amount,
    r.invested,
    r.jobs,
    r.poor_jobs
from {{ source('raw', 'cop04') }} as r
inner join {{ source('intake', 'accepted_submission') }} as s on s.submission_id = r.submission_id
