{# Where PostgreSQL and Spark differ, and the only file that says so: each difference is a macro with a branch for each.
   Everything else in the project is SQL that both understand alike (docs/spark.md lists what that rules out; a test
   looks for it). On Spark a build starts from nothing and makes the affected slices only, so no run is incremental
   there: what replaces rows happens in PostgreSQL, when the marts come back. #}

{# ---------------------------------------------------------------- weeks and days #}

{# A day of an ISO week: ('2020-W24', 7) → its Sunday. #}
{% macro day_of_week(week, day) -%} {{ return(adapter.dispatch('day_of_week')(week, day)) }} {%- endmacro %}
{% macro default__day_of_week(week, day) -%} to_date({{ week }} || '-{{ day }}', 'IYYY-"W"IW-ID') {%- endmacro %}
{% macro spark__day_of_week(week, day) -%}
    {#- 4 January lies in the first ISO week -#}
    date_add(trunc(make_date(left({{ week }}, 4)::int, 1, 4), 'week'), (right({{ week }}, 2)::int - 1) * 7 + {{ day - 1 }})
{%- endmacro %}

{# The ISO week of a date as '2020-W24', and its parts as integers. #}
{% macro week_of(date) -%} {{ return(adapter.dispatch('week_of')(date)) }} {%- endmacro %}
{% macro default__week_of(date) -%} to_char({{ date }}, 'IYYY-"W"IW') {%- endmacro %}
{% macro spark__week_of(date) -%} extract(yearofweek from {{ date }}) || '-W' || lpad(weekofyear({{ date }})::string, 2, '0') {%- endmacro %}

{% macro iso_year(date) -%} {{ return(adapter.dispatch('iso_year')(date)) }} {%- endmacro %}
{% macro default__iso_year(date) -%} to_char({{ date }}, 'IYYY')::integer {%- endmacro %}
{% macro spark__iso_year(date) -%} extract(yearofweek from {{ date }}) {%- endmacro %}

{% macro iso_week(date) -%} {{ return(adapter.dispatch('iso_week')(date)) }} {%- endmacro %}
{% macro default__iso_week(date) -%} to_char({{ date }}, 'IW')::integer {%- endmacro %}
{% macro spark__iso_week(date) -%} weekofyear({{ date }}) {%- endmacro %}

{# Whole days from one date to another. #}
{% macro days_between(first, last) -%} {{ return(adapter.dispatch('days_between')(first, last)) }} {%- endmacro %}
{% macro default__days_between(first, last) -%} {{ last }} - {{ first }} {%- endmacro %}
{% macro spark__days_between(first, last) -%} datediff({{ last }}, {{ first }}) {%- endmacro %}

{# Every so many days from one date to another, a row each; alone in its select. #}
{% macro days_from_to(first, last, step) -%} {{ return(adapter.dispatch('days_from_to')(first, last, step)) }} {%- endmacro %}
{% macro default__days_from_to(first, last, step) -%}
    generate_series({{ first }}, {{ last }}, interval '{{ step }} day{{ 's' if step > 1 }}')::date
{%- endmacro %}
{% macro spark__days_from_to(first, last, step) -%} explode(sequence({{ first }}, {{ last }}, interval '{{ step }}' day)) {%- endmacro %}

{# The moment when clocks in the city show noon on a date. Spark's session is in UTC. #}
{% macro noon_in_the_city(date) -%} {{ return(adapter.dispatch('noon_in_the_city')(date, env_var('WAREHOUSE_TIMEZONE', 'Asia/Shanghai'))) }} {%- endmacro %}
{% macro default__noon_in_the_city(date, zone) -%} ({{ date }} + time '12:00') at time zone '{{ zone }}' {%- endmacro %}
{% macro spark__noon_in_the_city(date, zone) -%} to_utc_timestamp(({{ date }})::timestamp + interval '12' hour, '{{ zone }}') {%- endmacro %}

{# ---------------------------------------------------------------- numbers #}

{# a / b to six places, exact, halves away from zero; NULL where b is missing or zero. #}
{% macro fraction(numerator, denominator) -%} {{ return(adapter.dispatch('fraction')(numerator, denominator)) }} {%- endmacro %}
{% macro default__fraction(numerator, denominator) -%} round({{ numerator }}::numeric / nullif({{ denominator }}, 0), 6) {%- endmacro %}
{% macro spark__fraction(numerator, denominator) -%}
    {#- of these two types Spark makes decimal(38,6), rounded once; of narrower ones more places, which would be rounded twice -#}
    round({{ numerator }}::decimal(38, 20) / nullif({{ denominator }}, 0)::decimal(38, 20), 6)
{%- endmacro %}

{# ---------------------------------------------------------------- shapes of queries #}

{# The first row for each key, in an order: keys and columns as they are selected, `rows` the from clause. #}
{% macro first_of_each(keys, columns, rows, order) -%} {{ return(adapter.dispatch('first_of_each')(keys, columns, rows, order)) }} {%- endmacro %}
{% macro default__first_of_each(keys, columns, rows, order) -%}
select distinct on ({{ keys | join(', ') }})
    {{ (keys + columns) | join(',\n    ') }}
{{ rows }}
order by {{ (keys + order) | join(', ') }}
{%- endmacro %}
{% macro spark__first_of_each(keys, columns, rows, order) -%}
{% set names = [] -%}
{% for column in keys + columns %}{% do names.append(column.split(' as ')[-1].split('.')[-1]) %}{% endfor -%}
select {{ names | join(', ') }}
from (
    select
        {{ (keys + columns) | join(',\n        ') }},
        row_number() over (partition by {{ keys | join(', ') }} order by {{ order | join(', ') }}) as place
    {{ rows }}
)
where place = 1
{%- endmacro %}

{# Between the parts of a recursive query. PostgreSQL's drops rows it has already seen, so that a circle in the data ends. #}
{% macro recursive_union() -%} {{ return(adapter.dispatch('recursive_union')()) }} {%- endmacro %}
{% macro default__recursive_union() -%} union {%- endmacro %}
{% macro spark__recursive_union() -%} union all {%- endmacro %}

{# ---------------------------------------------------------------- tables #}

{% macro analyze(relation) -%} {{ return(adapter.dispatch('analyze')(relation)) }} {%- endmacro %}
{% macro default__analyze(relation) -%} analyze {{ relation }} {%- endmacro %}
{% macro spark__analyze(relation) -%} analyze table {{ relation }} compute statistics {%- endmacro %}

{# Raw rows lie in Parquet folders by week, so Spark asks for the week, too, and reads no other folder.
   `week_of_rows` is the week of raw rows `r` of submissions `s`. #}
{% macro week_of_rows() -%} {{ return(adapter.dispatch('week_of_rows')()) }} {%- endmacro %}
{% macro default__week_of_rows() -%} s.week {%- endmacro %}
{% macro spark__week_of_rows() -%} r.week {%- endmacro %}

{% macro and_of_week(rows, week) -%} {{ return(adapter.dispatch('and_of_week')(rows, week)) }} {%- endmacro %}
{% macro default__and_of_week(rows, week) -%} {%- endmacro %}
{% macro spark__and_of_week(rows, week) -%} {{ ' ' }}and {{ rows }}.week = {{ week }} {%- endmacro %}

{# ---------------------------------------------------------------- contracts #}

{# The contracts speak PostgreSQL's types. On Spark `numeric` holds for any precision and scale, as it does there. #}
{% macro spark__cast(expression, type) -%}
    {%- set types = {'text': 'string', 'numeric': 'decimal(38, 18)', 'timestamptz': 'timestamp'} -%}
    cast({{ expression }} as {{ types.get(type, type) }})
{%- endmacro %}
{% macro spark__format_column(column) -%}
    {%- set data_type = 'decimal' if column.dtype.startswith('decimal') else column.dtype -%}
    {{ return({'name': column.name, 'data_type': data_type, 'formatted': column.column.lower() ~ ' ' ~ data_type}) }}
{%- endmacro %}
{# Keys and NOT NULL are PostgreSQL's to enforce, when the rows arrive there. #}
{% macro spark__persist_constraints(relation, model) -%} {%- endmacro %}

{# ---------------------------------------------------------------- seeds #}

{# dbt-spark's own takes an empty cell for the text 'None' and stumbles over an apostrophe. #}
{% macro spark__load_csv_rows(model, agate_table) -%}
    {%- set statements = [] -%}
    {%- for chunk in agate_table.rows | batch(get_batch_size()) -%}
        {%- set rows = [] -%}
        {%- for row in chunk -%}
            {%- set values = [] -%}
            {%- for value in row -%}
                {%- if value is none -%} {%- do values.append('null') -%}
                {%- elif value is number -%} {%- do values.append(value | string) -%}
                {%- else -%} {%- do values.append("'" ~ (value | string).replace('\\', '\\\\').replace("'", "\\'") ~ "'") -%}
                {%- endif -%}
            {%- endfor -%}
            {%- do rows.append('(' ~ values | join(', ') ~ ')') -%}
        {%- endfor -%}
        {%- do statements.append('insert into ' ~ this.render() ~ ' values ' ~ rows | join(', ')) -%}
        {%- do adapter.add_query(statements[-1], abridge_sql_log=True) -%}
    {%- endfor -%}
    {{ return(statements[0]) }}
{%- endmacro %}
