{{ config(tags=['moving'], unique_key=['county_code', 'project_no']) }}
{% set columns = ['county_code', 'project_no', 'project_name', 'fund_source', 'project_type'] %}

{{ newly_listed('cop01', 'project_no', ['r.project_name', 'r.fund_source', 'r.project_type'], columns) }}
