{{ config(unique_key='county_code') }}
{% set columns = [
    'county_code', 'county_name', 'short_name', 'valid_from', 'valid_to', 'successor_code', 'current_code', 'current_name',
    'is_current', 'exited_year'
] %}

-- Codes never change their meaning: a renamed county keeps its old row with its dates and names its successor.
with recursive chain as (

    select county_code, county_code as current_code, successor_code
    from {{ source('reference', 'counties') }}
    {{ recursive_union() }}
    select chain.county_code, c.county_code, c.successor_code
    from chain
    inner join {{ source('reference', 'counties') }} as c on c.county_code = chain.successor_code

)

select
    c.county_code,
    c.county_name,
    c.short_name,
    c.valid_from,
    c.valid_to,
    c.successor_code,
    latest.county_code as current_code,
    latest.county_name as current_name,
    c.valid_to is null as is_current,
    c.exited_year
from {{ source('reference', 'counties') }} as c
inner join chain on chain.county_code = c.county_code and chain.successor_code is null
inner join {{ source('reference', 'counties') }} as latest on latest.county_code = chain.current_code
{{ only_changed(columns) }}
