-- generated from the contracts by `python -m warehouse.dbt_sources`; do not edit
-- 产业扶贫以奖代补周报表: the rows of the newest accepted version of each county and week, without personal data.
select
    s.submission_id,
    s.county_code,
    {{ week_of_rows() }},
    r.row_no as source_row_no,
    r.industry as industry_code,
    r.industry_tier,
    r.planned_households,
    r.planned_subsidy,
    r.accepted_households,
    r.paid_households,
    r.paid_subsidy,
    r.payout_rate,
    r.capable_households,
    r.covered_households,
    r.parks_built,
    r.poor_villages_with_entity,
    r.entity_led_households
from {{ source('raw', 'ind01') }} as r
inner join {{ source('intake', 'accepted_submission') }} as s on s.submission_id = r.submission_id
