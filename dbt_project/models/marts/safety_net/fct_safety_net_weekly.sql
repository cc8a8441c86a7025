select
    {{ slice_columns() }},
    r.township_code,
    r.low_income_persons,
    r.low_income_poor_persons,
    r.extreme_poverty_persons,
    r.orphans,
    r.disability_subsidy_persons,
    r.medical_insured_poor,
    r.subsidy_paid,
    {{ increment('subsidy_paid') }}
{{ from_slices('SOC01', key='township_code') }}
