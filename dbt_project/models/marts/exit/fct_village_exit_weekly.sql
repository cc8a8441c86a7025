select
    {{ slice_columns() }},
    r.village_code,
    r.criteria_met,
    r.criteria_unmet,
    r.poor_persons,
    r.incidence,
    r.is_listed,
    r.leader
{{ from_slices('EXI02') }}
