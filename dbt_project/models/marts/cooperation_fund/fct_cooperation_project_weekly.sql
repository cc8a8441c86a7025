select
    {{ slice_columns() }},
    r.project_no,
    r.project_name,
    r.fund_source,
    r.project_type,
    r.allocated,
    r.arrived,
    r.spent,
    {{ rate('spent', 'arrived') }} as spending_rate,
    r.status,
    r.start_date,
    r.completion_date,
    r.poor_persons_benefited,
    {{ increment('arrived') }},
    {{ increment('spent') }}
{{ from_slices('COP01', key='project_no') }}
