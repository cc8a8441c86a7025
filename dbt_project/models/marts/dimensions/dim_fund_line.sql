{{ config(unique_key='fund_line') }}

select code as fund_line, code_name as fund_line_name, position::integer as position
from {{ ref('code_label') }}
where form = 'FUN01' and field = 'fund_line'
{{ only_changed(['fund_line', 'fund_line_name', 'position']) }}
