select
    {{ slice_columns() }},
    r.enterprise_name,
    r.project_name,
    r.contract_amount,
    r.invested,
    r.jobs,
    r.poor_jobs,
    {{ increment('invested') }}
{{ from_slices('COP04', key='enterprise_name') }}
