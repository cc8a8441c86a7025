select
    {{ slice_columns() }},
    r.channel,
    r.sales,
    r.poor_persons_benefited,
    {{ increment('sales') }},
    {{ increment('poor_persons_benefited') }}
{{ from_slices('COP03', key='channel') }}
