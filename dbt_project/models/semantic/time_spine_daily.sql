{{ config(materialized='view', schema='intermediate') }}

-- The semantic layer asks for one row a day; reporting weeks are its Sundays (as_of_date).
select generate_series(min(w.monday_date), max(w.as_of_date), interval '1 day')::date as date_day
from {{ ref('dim_week') }} as w
