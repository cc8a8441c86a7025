-- The warehouse's own bookkeeping. Raw tables come from the contracts, candidate marts from dbt.

create schema intake;
create schema raw;
create schema reference;
create schema quality;
create schema store;
create schema marts;

comment on schema intake is '收件：每个文件、每份报表的登记 | Intake: every file and every form found in it';
comment on schema raw is '原始行：含个人信息，仅供装载使用 | Typed rows as accepted, with personal data; loader only';
comment on schema reference is '代码与参考数据 | Codes and reference data, each with its source';
comment on schema quality is '质量：规则、检查结果、问题、报送状态 | Quality: rules, results, findings, reporting status';
comment on schema store is '发布台账与各版本行 | The publication ledger and the row versions behind the marts';
comment on schema marts is '已发布的集市 | Published marts, the only schema that readers need';
comment on schema ops is '构建记录 | Bookkeeping of builds';

-- ---------------------------------------------------------------- intake

create table intake.file (
    file_id bigint generated always as identity primary key,
    sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
    original_name text not null,
    original_path text not null,
    size_bytes bigint not null,
    received_at timestamptz not null,
    recorded_at timestamptz not null default now(),
    sender text,
    outcome text check (outcome in ('loaded', 'partly_loaded', 'returned', 'refused', 'duplicate')),
    duplicate_of bigint references intake.file,
    message_zh text,
    finished_at timestamptz,
    unique (sha256, original_path, received_at)
);
comment on table intake.file is '收到的文件，一文件一行；outcome 为空表示尚未处理 | Every file that ever arrived; outcome is NULL until it is processed';
create index on intake.file (received_at) where outcome is null;

create table intake.submission (
    submission_id bigint generated always as identity primary key,
    file_id bigint not null references intake.file,
    form text not null,
    contract_version text not null,
    county_code text,
    county_text text,
    week text check (week ~ '^\d{4}-W\d{2}$'),
    as_of_date date,
    version integer not null,
    received_at timestamptz not null,
    state text not null check (state in ('on_time', 'late', 'empty', 'returned', 'corrected')),
    rows_read integer not null check (rows_read >= 0),
    rows_loaded integer not null check (rows_loaded >= 0),
    rows_rejected integer not null check (rows_rejected >= 0),
    superseded_by bigint references intake.submission deferrable initially deferred,
    member text not null default '',
    sheet text not null default '',
    change_note text,
    layout jsonb not null,
    loaded_at timestamptz not null default now(),
    constraint rows_are_conserved check (rows_read = rows_loaded + rows_rejected),
    constraint a_returned_form_loads_nothing check (state <> 'returned' or rows_loaded = 0),
    unique (form, county_code, week, version)
);
comment on table intake.submission is '一个文件中某县某周的一张报表 | Every form of one county and week found in a file';
comment on column intake.submission.layout is 'Blocks of the table: [{"block": 1, "member": "", "sheet": "…", "columns": {"field": {"col": "C", "heading": "…", "factor": "10000"}}}]';
create index on intake.submission (file_id);
create index on intake.submission (form, county_code, week) where state <> 'returned' and superseded_by is null;

create table intake.rejected_row (
    submission_id bigint not null references intake.submission,
    row_no integer not null,
    block_no smallint not null,
    sheet_row integer not null,
    primary key (submission_id, row_no)
);
comment on table intake.rejected_row is '未装载的行（原文在归档文件中）| Rows that were read and not loaded; their text is in the archived original at that row';

-- ---------------------------------------------------------------- quality

create table quality.rule (
    rule_id text primary key,
    form text not null,
    severity text not null check (severity in ('error', 'warning')),
    scope text not null,
    text_zh text not null,
    text_en text not null,
    definition jsonb not null
);
comment on table quality.rule is '规则目录（由合同文件生成）| The rule catalogue, written from the contracts at migration';

create table quality.finding (
    finding_id bigint generated always as identity primary key,
    rule_id text not null,
    severity text not null check (severity in ('error', 'warning')),
    stage text not null check (stage in ('reading', 'acceptance', 'judgement')),
    week text,
    county_code text,
    form text,
    file_id bigint references intake.file,
    submission_id bigint references intake.submission,
    member text not null default '',
    sheet text not null default '',
    cell text not null default '',
    row_key text not null default '',
    field text not null default '',
    value text,
    expected text,
    difference text,
    message_zh text not null,
    status text not null default 'open' check (status in ('open', 'resolved', 'superseded', 'waived')),
    found_at timestamptz not null default now(),
    closed_at timestamptz
);
comment on table quality.finding is '全部问题，一处一行 | Every finding, one row a place; never cut off';
create index on quality.finding (submission_id);
create index on quality.finding (week, county_code, form);
create index on quality.finding (rule_id, form, week, county_code) where stage = 'judgement';

create table quality.check_run (
    check_run_id bigint generated always as identity primary key,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    judged_at timestamptz not null,
    publish_week text,
    verdict text check (verdict in ('clean', 'warnings', 'blocked')),
    blocking_zh text,
    errors integer,
    warnings integer,
    code_version text,
    dbt_invocation_id text,
    gx_success boolean,
    gx_evaluated integer,
    gx_failed integer
);
comment on table quality.check_run is '每次检查 | Every run of the checks and its verdict';
comment on column quality.check_run.judged_at is 'The clock that deadlines were judged by';

create table quality.check_result (
    check_run_id bigint not null references quality.check_run,
    rule_id text not null,
    form text not null,
    week text not null,
    county_code text not null,
    status text not null check (status in ('pass', 'fail', 'pass_with_violations', 'not_applicable', 'not_evaluable', 'error')),
    severity text not null,
    submission_id bigint,
    rows_checked integer,
    rows_violated integer,
    note_zh text,
    primary key (check_run_id, rule_id, form, week, county_code)
);
comment on table quality.check_result is '每条规则、每县、每周的结果；只写入有变化的县周，现状见 check_result_current | Results by rule, county and week; a run writes only the county-weeks it judged again';
create index on quality.check_result (week, county_code, form, rule_id, check_run_id desc);

create view quality.check_result_current as
select distinct on (week, county_code, form, rule_id) *
from quality.check_result
order by week, county_code, form, rule_id, check_run_id desc;

create table quality.reporting_status (
    week text not null,
    county_code text not null,
    form text not null,
    status text not null check (status in ('expected', 'on_time', 'late', 'empty', 'returned', 'corrected', 'missing')),
    due_at timestamptz not null,
    submission_id bigint references intake.submission,
    judged_at timestamptz not null,
    primary key (week, county_code, form)
);
comment on table quality.reporting_status is '报送状态：应报、已报、迟报、空报、退回、补报、缺报 | Reporting status by week, county and form';

create table quality.waiver (
    waiver_id bigint generated always as identity primary key,
    rule_id text not null,
    county_code text not null,
    form text not null,
    from_week text not null,
    to_week text not null,
    granted_by text not null,
    reason_zh text not null,
    expires_on date not null,
    created_at timestamptz not null default now()
);
comment on table quality.waiver is '豁免：谁、为何、到何时 | Waivers: a rule set aside for a county, form and period, by name, reason and expiry';

-- ---------------------------------------------------------------- builds

create table ops.pending_slice (
    form text not null,
    county_code text not null,
    week text not null,
    noted_at timestamptz not null default clock_timestamp(),
    built boolean not null default false,
    primary key (form, county_code, week)
);
comment on table ops.pending_slice is 'County-weeks of a form whose candidate rows have to be made again (built = false) or are made and not yet published (built = true)';

create table ops.build_run (
    build_run_id bigint generated always as identity primary key,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    publish_week text not null,
    dbt_invocation_id text,
    slices integer,
    succeeded boolean
);

-- ---------------------------------------------------------------- the publication ledger

create table store.publication (
    publication_id bigint primary key,
    published_at timestamptz not null default clock_timestamp(),
    week text not null,
    trigger text not null check (trigger in ('weekly', 'correction', 'backfill', 'withdrawal')),
    approved_by text not null,
    note text,
    code_version text not null,
    dbt_invocation_id text,
    check_run_id bigint references quality.check_run,
    rows_opened bigint not null,
    rows_closed bigint not null,
    previous_hash text not null,
    content_hash text not null,
    hash text not null
);
comment on table store.publication is '发布台账，只增不改 | The publication ledger: append-only, chained by hash';

create table store.publication_submission (
    submission_id bigint not null references intake.submission,
    opened_in bigint not null references store.publication deferrable initially deferred,
    closed_in bigint references store.publication deferrable initially deferred,
    primary key (submission_id, opened_in)
);
comment on table store.publication_submission is 'The submissions a publication is made of: those with opened_in <= n and (closed_in is null or closed_in > n)';

create function store.latest_publication() returns bigint language sql stable
return (select max(publication_id) from store.publication);

create function store.reading_publication() returns bigint language sql stable
return coalesce(nullif(current_setting('warehouse.publication', true), '')::bigint, store.latest_publication());
comment on function store.reading_publication() is '本会话读取的发布号：SET warehouse.publication = ''n''，缺省为最新 | The publication this session reads';
