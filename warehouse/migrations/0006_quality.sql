-- Quality as data: which checks were intended and when, the life of a finding, anomalies, punctuality, reminders, erasure.

-- ---------------------------------------------------------------- rules and their dates

create table quality.rule_term (
    rule_id text not null,
    form text not null,
    valid_from date not null,
    valid_to date,
    severity text not null check (severity in ('error', 'warning')),
    owner text not null check (owner in ('county', 'data_team', 'rule_owner')),
    threshold text not null,
    primary key (rule_id, form, valid_from)
);
comment on table quality.rule_term is '规则的有效期、当期级别与整改责任方（由数据契约生成）| When a rule is in force for a form, as what, and who must mend what it finds; written from the contracts at judgement';
comment on column quality.rule_term.form is '* for the rules about a county''s files';
comment on column quality.rule_term.owner is '谁来整改：县、数据组、规则制定方 | county, data_team or rule_owner';
comment on column quality.rule_term.threshold is '判定界限 | What the rule compares with, and how far it may be off';

alter table quality.check_result add column threshold text;
alter table quality.check_result add column duration_ms double precision;
comment on column quality.check_result.threshold is '判定界限 | What the rule compared with on that week''s date';
comment on column quality.check_result.duration_ms is '该规则本次执行毫秒数（对所判全部县周）；读取时已检查的规则为空 | Milliseconds the rule took in this run over all county-weeks judged; NULL for rules that were checked while the file was read';

create or replace view quality.check_result_current as
select distinct on (week, county_code, form, rule_id) *
from quality.check_result
order by week, county_code, form, rule_id, check_run_id desc;

create view quality.check_grid as
with due as (
    select s.week, s.county_code, s.form, to_date(s.week || '-7', 'IYYY-"W"IW-ID') as as_of_date
    from quality.reporting_status as s
    where s.status <> 'expected'
    union all
    select distinct s.week, s.county_code, '*', to_date(s.week || '-7', 'IYYY-"W"IW-ID')
    from quality.reporting_status as s
    where s.status <> 'expected'
)
select
    d.week, d.county_code, d.form, t.rule_id, coalesce(r.status, 'missing') as status, coalesce(r.severity, t.severity) as severity, t.owner,
    coalesce(r.threshold, t.threshold) as threshold, r.rows_checked, r.rows_violated, r.duration_ms, r.note_zh, r.submission_id, r.check_run_id
from due as d
inner join quality.rule_term as t on t.form = d.form and d.as_of_date >= t.valid_from and d.as_of_date <= coalesce(t.valid_to, 'infinity')
left join quality.check_result_current as r on r.week = d.week and r.county_code = d.county_code and r.form = d.form and r.rule_id = t.rule_id;
comment on view quality.check_grid is '应做的检查与结果：每县、每周、每表、每条规则一行，没有结果的为 missing | Every check that was due with its result; status ''missing'' where there is none';

-- ---------------------------------------------------------------- the life of a finding

create view quality.finding_life as
with evaluation as (  -- the forms of a county one after the other, as far as a stage got to look at them
    select
        s.submission_id, stage.name as stage, s.form, s.county_code, s.week,
        row_number() over (partition by stage.name, s.form, s.county_code order by s.week, s.version) as number,
        lead(s.week) over (partition by stage.name, s.form, s.county_code order by s.week, s.version) as next_week,
        count(*) over (partition by stage.name, s.form, s.county_code) as last_number
    from intake.submission as s
    cross join (values ('reading'), ('acceptance'), ('judgement')) as stage (name)
    where s.county_code is not null and s.week is not null and s.state <> 'empty'
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
comment on view quality.finding_life is '问题的来龙去脉：新增、持续、已解决、重新出现、已豁免，自何周起，由谁整改 | Each finding against the same place (rule, form, county, row, field) when the form was last looked at before and after';
comment on column quality.finding_life.found_as is 'What it was when it was found: new, persisting or reopened';
comment on column quality.finding_life.life is 'What has become of it: new, persisting, reopened, resolved (the form was looked at again without it) or waived';
comment on column quality.finding_life.first_seen_week is 'Week in which that place was first at fault';
comment on column quality.finding_life.since_week is 'Week since which it has been at fault without a break';

-- ---------------------------------------------------------------- anomalies

create table quality.anomaly (
    anomaly_id bigint generated always as identity primary key,
    mart text not null,
    form text not null,
    column_name text not null,
    week text not null,
    county_code text not null,
    row_key text not null default '',
    kind text not null check (kind in ('outlier', 'restatement', 'frozen', 'round_digits', 'even_digits')),
    basis text not null default '',
    score double precision not null,
    value numeric,
    baseline numeric,
    baseline_week text,
    at_stake numeric not null default 0,
    at_stake_unit text not null default '' check (at_stake_unit in ('', 'yuan', 'persons', 'households', 'other')),
    weight double precision not null default 0,
    rank integer,
    text_zh text not null,
    check_run_id bigint references quality.check_run,
    found_at timestamptz not null default clock_timestamp(),
    standing boolean not null default true,
    verdict text check (verdict in ('confirmed', 'explained', 'false_alarm')),
    reviewer text,
    note text,
    reviewed_at timestamptz,
    judged_score double precision,
    unique (mart, column_name, week, county_code, row_key, kind),
    constraint a_verdict_has_a_name check ((verdict is null) = (reviewer is null))
);
comment on table quality.anomaly is '异常数字：待人工核实，不影响接收与发布 | Figures that stand out; for a reviewer, they hold nothing up';
comment on column quality.anomaly.basis is 'For outliers: level, rate or both, each against own history and peers';
comment on column quality.anomaly.score is 'Robust distance (outlier, restatement), weeks without a change (frozen), or -log10 of the probability (digits)';
comment on column quality.anomaly.at_stake is 'By how much the figure is off its baseline, in at_stake_unit';
comment on column quality.anomaly.weight is 'What the rank goes by: the money at stake in units of 10,000 yuan, or the people';
comment on column quality.anomaly.rank is 'Rank within its week among those that stand and are not yet judged; 1 has most at stake';
comment on column quality.anomaly.standing is 'False when it no longer comes out; kept for its verdict';
comment on column quality.anomaly.verdict is '复核结论：属实 confirmed（不进入基线）、有因 explained、误报 false_alarm | Reviewer''s verdict';
comment on column quality.anomaly.judged_score is 'Score that the verdict was about';
create index on quality.anomaly (week, rank);

-- ---------------------------------------------------------------- punctuality and reminders

create view quality.punctuality as
select
    r.week, r.county_code,
    count(*)::integer as forms_due,
    count(*) filter (where r.status in ('on_time', 'empty') and coalesce(s.received_at <= r.due_at, r.status = 'on_time'))::integer as on_time,
    count(*) filter (where s.received_at > r.due_at and r.status <> 'returned' or s.submission_id is null and r.status = 'late')::integer as late,
    count(*) filter (where r.status = 'corrected')::integer as corrected,
    count(*) filter (where r.status = 'returned')::integer as returned,
    count(*) filter (where r.status = 'missing')::integer as missing,
    round(
        count(*) filter (where r.status in ('on_time', 'empty') and coalesce(s.received_at <= r.due_at, r.status = 'on_time'))::numeric / count(*), 4
    ) as on_time_rate,
    max(extract(epoch from s.received_at - r.due_at) / 3600) filter (where s.received_at > r.due_at and r.status <> 'returned')::numeric(10, 1) as latest_hours
from quality.reporting_status as r
left join intake.submission as s using (submission_id)
where r.status <> 'expected'
group by r.week, r.county_code;
comment on view quality.punctuality is '各县各周报送及时情况 | Forms due, in time, late, returned and missing by county and week';
comment on column quality.punctuality.late is 'Accepted, and received after the due time';
comment on column quality.punctuality.latest_hours is 'Hours between the due time and the last of the late forms';

create table quality.reminder (
    county_code text not null,
    week text not null,
    forms text[] not null,
    path text not null,
    reminded_at timestamptz not null,
    settled_at timestamptz,
    primary key (county_code, week)
);
comment on table quality.reminder is '催报：给哪县、哪周、哪些报表，何时写入发件夹 | Reminders written to the counties'' outbox; settled_at when nothing was owed any more';

-- ---------------------------------------------------------------- erasure of personal data

create table intake.erasure (
    erasure_id bigint generated always as identity primary key,
    file_id bigint not null references intake.file,
    sha256 text not null,
    sha256_before text not null,
    sha256_after text not null,
    cells jsonb not null,
    rows_blanked integer not null default 0,
    erased_by text not null,
    reason text not null,
    erased_at timestamptz not null default clock_timestamp()
);
comment on table intake.erasure is '应请求清除原件中的个人信息，只增不改 | Personal data blanked in an archived original on request; append-only';
comment on column intake.erasure.sha256 is 'SHA-256 of the original as it was received (intake.file.sha256): the archive''s name for it, unchanged';
comment on column intake.erasure.sha256_after is 'SHA-256 of the archived copy since then';
comment on column intake.erasure.cells is '[{"member": "", "sheet": "…", "cell": "C5"}]: where, never what';
create index on intake.erasure (sha256, erasure_id desc);

create trigger append_only before update or delete or truncate on intake.erasure
    for each statement execute function store.refuse();
