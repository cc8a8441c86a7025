-- generated from the contracts by `python -m warehouse.dbt_sources`; do not edit
-- 奖补资金发放明细表: the rows of the newest accepted version of each county and week, without personal data.
select
    s.submission_id,
    s.county_code,
    {{ week_of_rows() }},
    r.row_no as source_row_no,
    r.payment_no,
    r.batch_no,
    r.village as village_code,
    r.household_key,
    r.industry as industry_code,
    r.quantity,
    r.quantity_unit,
    r.rate,
    r.amount,
    r.paid_date,
    r.remark
from {{ source('raw', 'ind02') }} as r
inner join {{ source('intake', 'accepted_submission') }} as s on s.submission_id = r.submission_id
