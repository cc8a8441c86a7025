{# A new table locks every table that it refers to. All lock them in the same order, since two threads of a first build that each
   wait for what the other has would be a deadlock. #}
{% macro postgres__create_table_as(temporary, relation, sql) -%}
  {%- set referred = [] -%}
  {%- if not temporary -%}
    {%- for constraint in model.get('constraints', []) -%}
      {%- if constraint.type == 'foreign_key' and constraint.to %}{%- do referred.append(constraint.to) -%}{%- endif -%}
    {%- endfor -%}
    {%- for column in model.get('columns', {}).values() -%}
      {%- for constraint in column.constraints or [] -%}
        {%- if constraint.type == 'foreign_key' and constraint.to %}{%- do referred.append(constraint.to) -%}{%- endif -%}
      {%- endfor -%}
    {%- endfor -%}
  {%- endif -%}
  {%- if referred %}
  lock table {{ referred | unique | sort | join(', ') }} in share row exclusive mode;
  {%- endif %}
  {{ dbt.postgres__create_table_as(temporary, relation, sql) }}
{%- endmacro %}
