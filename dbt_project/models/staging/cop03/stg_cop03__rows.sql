-- generated from the contracts by `python -m warehouse.dbt_sources`; do not edit
-- 消费扶贫周报表: the rows of the newest accepted version of each county and week, without personal data.
select
    s.submission_id,
    s.county_code,
    {{ week_of_rows() }},
    r.row_no as source_row_no,
    r.channel,
    r.sales,
    r.poor_persons_benefited
from {{ source('raw', 'cop03') }} as r
inner join {{ source('intake', 'accepted_submission') }} as s on s.submission_id = r.submission_id
