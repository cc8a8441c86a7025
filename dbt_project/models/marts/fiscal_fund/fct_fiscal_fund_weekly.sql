select
    {{ slice_columns() }},
    r.fund_line,
    r.budgeted,
    r.arrived,
    r.spent,
    {{ rate('spent', 'arrived') }} as spending_rate,
    {{ increment('arrived') }},
    {{ increment('spent') }}
{{ from_slices('FUN01', key='fund_line') }}
