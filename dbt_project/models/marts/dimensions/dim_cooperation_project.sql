{{ config(tags=['moving'], unique_key=['county_code', 'project_no']) }}
{% set columns = ['county_code', 'project_no', 'project_name', 'fund_source', 'project_type'] %}

select county_code, project_no, project_name, fund_source, project_type
from {{ ref('stg_cop01__projects') }}
{{ only_affected_counties('COP01', columns=columns) }}
