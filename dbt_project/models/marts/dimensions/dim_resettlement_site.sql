{{ config(tags=['moving'], unique_key=['county_code', 'site_code']) }}
{% set columns = ['county_code', 'site_code', 'site_name', 'township_code', 'resettlement_type'] %}

{{ newly_listed('rel01', 'site_code', ['r.site_name', 'r.township as township_code', 'r.resettlement_type'], columns) }}
