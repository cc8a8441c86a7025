{{ config(tags=['moving'], unique_key=['county_code', 'site_code']) }}
{% set columns = ['county_code', 'site_code', 'site_name', 'township_code', 'resettlement_type'] %}

select county_code, site_code, site_name, township_code, resettlement_type
from {{ ref('stg_rel01__sites') }}
{{ only_affected_counties('REL01', columns=columns) }}
