-- generated from the contracts by `python -m warehouse.dbt_sources`; do not edit
-- 易地扶贫搬迁后续扶持周报表: the rows of the newest accepted version of each county and week, without personal data.
select
    s.submission_id,
    s.county_code,
    {{ week_of_rows() }},
    r.row_no as source_row_no,
    r.site_code,
    r.site_name,
    r.township as township_code,
    r.resettlement_type,
    r.households,
    r.persons,
    r.willing_households,
    r.willing_persons,
    r.employed_households,
    r.employed_persons,
    r.industry_projects_planned,
    r.industry_projects_implemented,
    r.facility_projects_planned,
    r.facility_projects_started,
    r.facility_projects_completed
from {{ source('raw', 'rel01') }} as r
inner join {{ source('intake', 'accepted_submission') }} as s on s.submission_id = r.submission_id
