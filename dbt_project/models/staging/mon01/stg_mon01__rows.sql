-- generated from the contracts by `python -m warehouse.dbt_sources`; do not edit
-- 防止返贫监测预警周报表: the rows of the newest accepted version of each county and week, without personal data.
select
    s.submission_id,
    s.county_code,
    {{ week_of_rows() }},
    r.row_no as source_row_no,
    r.township as township_code,
    r.unstable_households,
    r.unstable_persons,
    r.marginal_households,
    r.marginal_persons,
    r.red_households,
    r.yellow_households,
    r.blue_households,
    r.new_households,
    r.cleared_households,
    r.assisted_households
from {{ source('raw', 'mon01') }} as r
inner join {{ source('intake', 'accepted_submission') }} as s on s.submission_id = r.submission_id
