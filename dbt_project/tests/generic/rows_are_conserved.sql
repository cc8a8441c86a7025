{# Every affected slice has exactly the rows that its submission loaded: none lost to a join, none twice. #}
{% test rows_are_conserved(model, form) %}
with expected as (

    select slice.county_code, slice.week, s.rows_loaded
    from {{ ref('int_reporting__slice') }} as slice
    inner join {{ source('intake', 'submission') }} as s on s.submission_id = slice.submission_id
    where slice.form = '{{ form }}'

),

found as (

    select fact.county_code, fact.week, count(*) as rows_found
    from {{ model }} as fact
    inner join {{ ref('int_reporting__slice') }} as slice
        on slice.form = '{{ form }}' and slice.county_code = fact.county_code and slice.week = fact.week
    group by fact.county_code, fact.week

)

select county_code, week, expected.rows_loaded, found.rows_found
from expected
full join found using (county_code, week)
where expected.rows_loaded is distinct from found.rows_found
{% endtest %}
