{{ config(tags=['moving'], unique_key='submission_id') }}
{% set columns = [
    'submission_id', 'form', 'county_code', 'week', 'version', 'state', 'received_at', 'sha256', 'original_name', 'member', 'sheet'
] %}

-- Every submission that was ever accepted, superseded ones too: earlier publications refer to them.
select
    s.submission_id,
    s.form,
    s.county_code,
    s.week,
    s.version,
    s.state,
    s.received_at,
    f.sha256,
    f.original_name,
    s.member,
    s.sheet
from {{ source('intake', 'ever_accepted_submission') }} as s
inner join {{ source('intake', 'file') }} as f on f.file_id = s.file_id
where s.week <= (select h.week from {{ source('ops', 'horizon') }} as h)
{{ only_changed(columns) }}
