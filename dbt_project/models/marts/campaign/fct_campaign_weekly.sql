select
    {{ slice_columns() }},
    r.project_kind,
    r.planned,
    r.started,
    r.completed,
    {{ rate('started', 'planned') }} as start_rate,
    {{ rate('completed', 'planned') }} as completion_rate,
    r.investment,
    r.invested,
    r.beneficiaries,
    {{ increment('started') }},
    {{ increment('completed') }},
    {{ increment('invested') }}
{{ from_slices('CAM01', key='project_kind') }}
