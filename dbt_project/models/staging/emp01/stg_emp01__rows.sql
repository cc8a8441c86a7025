-- generated from the contracts by `python -m warehouse.dbt_sources`; do not edit
-- 就业扶贫周报表: the rows of the newest accepted version of each county and week, without personal data.
select
    s.submission_id,
    s.county_code,
    {{ week_of_rows() }},
    r.row_no as source_row_no,
    r.township as township_code,
    r.labour_force,
    r.employed_away,
    r.away_other_province,
    r.away_guangdong,
    r.away_in_province,
    r.employed_in_county,
    r.returned_unemployed,
    r.employed_away_2019,
    r.rate_of_2019,
    r.workshops_recognised,
    r.workshops_resumed,
    r.workshop_poor_workers,
    r.public_posts,
    r.public_post_holders,
    r.wage_income_households
from {{ source('raw', 'emp01') }} as r
inner join {{ source('intake', 'accepted_submission') }} as s on s.submission_id = r.submission_id
