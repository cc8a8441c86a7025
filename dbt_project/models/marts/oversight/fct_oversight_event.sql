select
    {{ slice_columns() }},
    r.event_no,
    r.event_date,
    r.event_type,
    r.topic,
    r.level,
    r.townships_visited,
    r.villages_visited,
    r.points_visited
{{ from_slices('DIS01') }}
