select
    {{ slice_columns() }},
    r.township_code,
    r.labour_force,
    r.employed_away,
    r.away_other_province,
    r.away_guangdong,
    r.away_in_province,
    r.employed_in_county,
    r.returned_unemployed,
    r.employed_away_2019,
    {{ rate('employed_away', 'employed_away_2019') }} as rate_of_2019,
    r.workshops_recognised,
    r.workshops_resumed,
    r.workshop_poor_workers,
    r.public_posts,
    r.public_post_holders,
    r.wage_income_households
{{ from_slices('EMP01') }}
