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

{# The same for a dimension. In an incremental run only what the lists of the affected slices name, in any version, is
   looked at again, from the newest list backwards until one names it: what lies behind is not read. #}
{% macro newly_listed(form, key, attributes, columns) -%}
{% if not is_incremental() -%}
{{ ever_listed(form, key, attributes) }}
{%- else -%}
with named as (

    select distinct
        s.county_code,
        r.{{ key }}
    from {{ source('ops', 'build_slice') }} as slice
    inner join {{ source('intake', 'ever_accepted_submission') }} as s
        on s.form = slice.form and s.county_code = slice.county_code and s.week = slice.week
    inner join {{ source('raw', form) }} as r on r.submission_id = s.submission_id
    where slice.form = '{{ form | upper }}'

),

newest as (
{% for standing in ('true', 'false') %}
    select
        n.county_code,
        n.{{ key }},
        {{ standing }} as is_current,
        latest.*
    from named as n
    cross join lateral (
        select {{ attributes | join(', ') }}
        from {{ source('intake', 'ever_accepted_submission') }} as s
        inner join {{ source('raw', form) }} as r on r.submission_id = s.submission_id and r.{{ key }} = n.{{ key }}
        where
            s.form = '{{ form | upper }}'
            and s.county_code = n.county_code
            and s.week <= (select h.week from {{ source('ops', 'horizon') }} as h)
            and {{ 's.is_current' if standing == 'true' else 'not s.is_current' }}
        order by s.week desc, s.version desc
        limit 1
    ) as latest
    {{ 'union all' if not loop.last }}
{% endfor %}
)

select {{ columns | join(', ') }}
from (
    {{ first_of_each(['county_code', key], columns | reject('in', ['county_code', key]) | list, 'from newest', ['is_current desc']) }}
) as listed
{{ only_changed(columns) }}
{%- endif %}
{%- endmacro %}
