-- generated from the contracts by `python -m warehouse.dbt_sources`; do not edit
-- 劳务协作输送台账: the rows of the newest accepted version of each county and week, without personal data.
select
    s.submission_id,
    s.county_code,
    {{ week_of_rows() }},
    r.row_no as source_row_no,
    r.trip_no,
    r.trip_date,
    r.mode,
    r.destination,
    r.vehicles,
    r.persons,
    r.poor_persons
from {{ source('raw', 'cop02') }} as r
inner join {{ source('intake', 'accepted_submission') }} as s on s.submission_id = r.submission_id
