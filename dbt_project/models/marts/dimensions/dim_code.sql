{{ config(unique_key=['form', 'field', 'code']) }}

select form, field, code, code_name, position::integer as position
from {{ ref('code_label') }}
{{ only_changed(['form', 'field', 'code', 'code_name', 'position']) }}
