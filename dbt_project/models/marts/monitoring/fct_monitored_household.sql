select
    {{ slice_columns() }},
    r.household_key,
    r.village_code,
    r.persons,
    r.household_type,
    r.alert_level,
    r.review_stage,
    r.risk_cause,
    r.intervention,
    r.entered_date,
    r.cleared_date,
    r.cleared_date is null or r.cleared_date > slice.as_of_date as is_open
{{ from_slices('MON02') }}
