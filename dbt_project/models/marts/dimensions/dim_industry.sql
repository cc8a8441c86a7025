{{ config(unique_key='industry_code') }}

select industry_code, industry_name, quantity_unit
from {{ source('reference', 'industries') }}
{{ only_changed(['industry_code', 'industry_name', 'quantity_unit']) }}
