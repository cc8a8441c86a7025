select
    {{ slice_columns() }},
    r.trip_no,
    r.trip_date,
    r.mode,
    r.destination,
    r.vehicles,
    r.persons,
    r.poor_persons
{{ from_slices('COP02') }}
