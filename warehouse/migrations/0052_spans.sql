-- Readers of a span of weeks need not read all of history: the life of findings, the ledger's list of submissions.

create index on store.publication_submission (opened_in);
create index on store.publication_submission (closed_in) where closed_in is not null;
create index on quality.anomaly (week) where verdict is not null;

-- As in 0006, but looking no further back than the session's setting warehouse.weeks_from ('' or unset: everything)
create or replace view quality.finding_life as
with evaluation as (  -- the forms of a county one after the other, as far as a stage got to look at them
    select
        s.submission_id, stage.name as stage, s.form, s.county_code, s.week,
        row_number() over (partition by stage.name, s.form, s.county_code order by s.week, s.version) as number,
        lead(s.week) over (partition by stage.name, s.form, s.county_code order by s.week, s.version) as next_week,
        count(*) over (partition by stage.name, s.form, s.county_code) as last_number
    from intake.submission as s
    cross join (values ('reading'), ('acceptance'), ('judgement')) as stage (name)
    where s.county_code is not null and s.week is not null and s.state <> 'empty'
        and s.week >= coalesce(current_setting('warehouse.weeks_from', true), '')
        and case stage.name
            when 'judgement' then s.state <> 'returned'
            when 'acceptance' then not exists (
                select from quality.finding as e where e.submission_id = s.submission_id and e.stage = 'reading' and e.severity = 'error'
            )
            else true
        end
),

fault as (  -- one place at fault, each time it was looked at
    select f.rule_id, e.form, e.county_code, f.row_key, f.field, e.stage, e.number, e.week, e.submission_id, min(f.found_at) as found_at
    from quality.finding as f
    inner join evaluation as e on e.submission_id = f.submission_id and e.stage = f.stage
    where f.week >= coalesce(current_setting('warehouse.weeks_from', true), '')
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9
),

run as (  -- faults in evaluations that follow each other are one run
    select
        fault.*,
        lag(number) over key as number_before,
        lead(number) over key as number_after,
        number - row_number() over key as run_no,
        first_value(week) over key as first_seen_week
    from fault
    window key as (partition by rule_id, form, county_code, row_key, field, stage order by number)
),

placed as (
    select
        run.*,
        first_value(week) over same as since_week,
        first_value(found_at) over same as since
    from run
    window same as (partition by rule_id, form, county_code, row_key, field, stage, run_no order by number)
)

select
    f.finding_id, f.rule_id, f.form, f.county_code, f.week, f.row_key, f.field, f.severity, f.status,
    case when p.number_before is null then 'new' when p.number_before = e.number - 1 then 'persisting' else 'reopened' end as found_as,
    case
        when f.status = 'waived' then 'waived'
        when p.number_after = e.number + 1 then 'persisting'
        when p.number_after is not null or e.number < e.last_number or f.status in ('resolved', 'superseded') then 'resolved'
        when p.number_before is null then 'new'
        when p.number_before = e.number - 1 then 'persisting'
        else 'reopened'
    end as life,
    coalesce(p.first_seen_week, f.week) as first_seen_week,
    coalesce(p.since_week, f.week) as since_week,
    coalesce(p.since, f.found_at) as since,
    case
        when f.status = 'waived' or p.number_after = e.number + 1 then null
        when e.number < e.last_number then e.next_week
        when f.status in ('resolved', 'superseded') then f.week
    end as resolved_week,
    coalesce(
        (
            select t.owner from quality.rule_term as t
            where t.rule_id = f.rule_id and t.form in (f.form, '*')
            order by t.valid_from desc limit 1
        ),
        'county'
    ) as owner
from quality.finding as f
left join evaluation as e on e.submission_id = f.submission_id and e.stage = f.stage
left join placed as p
    on p.submission_id = f.submission_id and p.stage = f.stage and p.rule_id = f.rule_id and p.row_key = f.row_key and p.field = f.field;
