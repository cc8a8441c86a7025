select
    {{ slice_columns() }},
    r.payment_no,
    r.batch_no,
    r.village_code,
    r.household_key,
    r.industry_code,
    r.quantity,
    r.quantity_unit,
    r.rate,
    r.amount,
    r.paid_date,
    r.remark
{{ from_slices('IND02') }}
