select
    {{ slice_columns() }},
    r.impact,
    r.affected,
    r.resolved,
    r.measure,
    r.affected - r.resolved as unresolved
{{ from_slices('EPI01') }}
