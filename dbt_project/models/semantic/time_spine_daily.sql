{{ config(materialized='view', schema='intermediate') }}

-- The semantic layer asks for one row a day; reporting weeks are its Sundays (as_of_date).
select {{ days_from_to('min(w.monday_date)', 'max(w.as_of_date)', 1) }} as date_day
from {{ ref('dim_week') }} as w
