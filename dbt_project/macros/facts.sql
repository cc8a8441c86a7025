{# What every weekly fact has in common: the slices it is made of, increments and rates. #}

{# The first columns of a fact; the order does not matter to dbt, which sorts by the contract. #}
{% macro slice_columns() -%}
    slice.week,
    slice.as_of_date,
    slice.county_code,
    slice.carried_from_week,
    r.submission_id,
    r.source_row_no
{%- endmacro %}

{# The rows of the affected slices as `r`; with a key, the rows of the accepted week before as `previous`. #}
{% macro from_slices(form, key=none) -%}
{% set rows = 'stg_' ~ form | lower ~ '__rows' -%}
from {{ ref('int_reporting__slice') }} as slice
inner join {{ ref(rows) }} as r on r.submission_id = slice.submission_id{{ and_of_week('r', 'slice.source_week') }}
{% if key -%}
left join {{ ref(rows) }} as previous
    on previous.submission_id = slice.previous_submission_id{{ and_of_week('previous', 'slice.previous_week') }} and previous.{{ key }} = r.{{ key }}
{% endif -%}
where slice.form = '{{ form }}'
{%- endmacro %}

{# A running total's own part of the week. Not known (NULL) where the week is carried, or where nothing was
   accepted earlier in the year; the first ISO week starts from zero. #}
{% macro increment(field) -%}
    case
        when slice.carried_from_week is not null then null
        when slice.previous_submission_id is not null then r.{{ field }} - previous.{{ field }}
        when right(slice.week, 3) = 'W01' then r.{{ field }}
    end as {{ field }}_increment
{%- endmacro %}

{# A fraction to six places, NULL where the denominator is missing or zero. #}
{% macro rate(numerator, denominator) -%}
    {{ fraction('r.' ~ numerator, 'r.' ~ denominator) }}
{%- endmacro %}

{# Before a fact's new rows come in: away with the old ones of the same slices, in the same transaction. #}
{% macro clear_affected_slices() -%}
    {%- set form = model.config.get('meta', {}).get('form') -%}
    {%- if form and is_incremental() -%}
        {%- if model.config.meta.get('accumulating') -%}
            {#- the model replaces a county's rows; one without any list left brings none to replace them with -#}
            delete from {{ this }} as fact
            where
                fact.county_code in (select county_code from {{ ref('int_reporting__slice') }} where form = '{{ form }}')
                and not exists (
                    select 1 from {{ source('intake', 'accepted_submission') }} as s
                    where s.form = '{{ form }}' and s.county_code = fact.county_code and s.rows_loaded > 0
                )
        {%- else -%}
            delete from {{ this }} as fact using {{ ref('int_reporting__slice') }} as slice
            where slice.form = '{{ form }}' and fact.county_code = slice.county_code and fact.week = slice.week
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{# In an incremental run a dimension takes only rows that differ, so that nothing is rewritten for nothing. #}
{% macro only_changed(columns) -%}
    {% if is_incremental() -%}
    except
    select {{ columns | join(', ') }} from {{ this }}
    {%- endif %}
{%- endmacro %}
