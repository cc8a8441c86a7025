{{ config(unique_key='township_code') }}

select township_code, township_name, county_code
from {{ source('reference', 'townships') }}
{{ only_changed(['township_code', 'township_name', 'county_code']) }}
