-- generated from the contracts by `python -m warehouse.dbt_sources`; do not edit
-- 粤桂扶贫协作资金项目台账: the rows of the newest accepted version of each county and week, without personal data.
select
    s.submission_id,
    s.county_code,
    {{ week_of_rows() }},
    r.row_no as source_row_no,
    r.project_no,
    r.project_name,
    r.fund_source,
    r.project_type,
    r.allocated,
    r.arrived,
    r.spent,
    r.spending_rate,
    r.status,
    r.start_date,
    r.completion_date,
    r.poor_persons_benefited
from {{ source('raw', 'cop01') }} as r
inner join {{ source('intake', 'accepted_submission') }} as s on s.submission_id = r.submission_id
