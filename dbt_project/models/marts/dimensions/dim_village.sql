{{ config(unique_key='village_code') }}

select village_code, village_name, township_code, county_code
from {{ source('reference', 'villages') }}
{{ only_changed(['village_code', 'village_name', 'township_code', 'county_code']) }}
