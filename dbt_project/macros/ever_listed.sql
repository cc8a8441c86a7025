{# What the counties' own lists define (projects, sites): everything ever accepted, with the attributes of the
   newest list. Superseded versions too, because publications that stand may refer to a row a correction took away. #}
{% macro ever_listed(form, key, attributes) -%}
{% set rows -%}
from {{ source('raw', form) }} as r
inner join {{ source('intake', 'ever_accepted_submission') }} as s on s.submission_id = r.submission_id
where s.week <= (select h.week from {{ source('ops', 'horizon') }} as h)
{%- endset -%}
{{ first_of_each(['s.county_code', 'r.' ~ key], attributes, rows, ['s.is_current desc', 's.week desc', 's.version desc', 'r.row_no']) }}
{%- endmacro %}

{# In an incremental run only the counties that reported the form anew are looked at again. #}
{% macro only_affected_counties(form) -%}
    {% if is_incremental() -%}
    where county_code in (select county_code from {{ source('ops', 'build_slice') }} where form = '{{ form }}')
    {{ only_changed(kwargs['columns']) }}
    {%- endif %}
{%- endmacro %}
