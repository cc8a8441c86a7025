select
    {{ slice_columns() }},
    r.criterion,
    r.standard_value,
    r.current_value,
    r.is_met,
    r.gap_note
{{ from_slices('EXI01') }}
