-- What a withdrawal holds back, what a publication revised, and where each column of a mart comes from.

-- ---------------------------------------------------------------- submissions held back

create table intake.hold (
    hold_id bigint generated always as identity primary key,
    submission_id bigint not null references intake.submission,
    reason text not null check (reason <> ''),
    held_by text not null check (held_by <> ''),
    held_at timestamptz not null default clock_timestamp(),
    withdrawn_in bigint references store.publication,
    released_at timestamptz,
    released_by text,
    release_reason text,
    check ((released_at is null) = (released_by is null))
);
comment on table intake.hold is '暂缓：撤回发布后不再采用的报送，直至解除或被新版本取代 | Submissions held back since their publication was withdrawn, until they are released or superseded';
create unique index on intake.hold (submission_id) where released_at is null;

create view intake.ever_accepted_submission as
select
    s.submission_id, s.file_id, s.form, s.contract_version, s.county_code, s.county_text, s.week, s.as_of_date, s.version, s.received_at,
    s.state, s.rows_read, s.rows_loaded, s.rows_rejected, s.superseded_by, s.member, s.sheet, s.change_note, s.layout, s.loaded_at,
    s.superseded_by is null or (
        -- what a held version replaced stands again, unless a later one stands
        exists (select from intake.hold h where h.submission_id = s.superseded_by and h.released_at is null)
        and not exists (
            select from intake.submission t
            where (t.form, t.county_code, t.week) = (s.form, s.county_code, s.week) and t.version > s.version and t.state <> 'returned'
              and not exists (select from intake.hold h where h.submission_id = t.submission_id and h.released_at is null))
    ) as is_current
from intake.submission s
where s.state <> 'returned' and s.county_code is not null and s.week is not null
  and not exists (select from intake.hold h where h.submission_id = s.submission_id and h.released_at is null);
comment on view intake.ever_accepted_submission is '曾被接收的报送，含已被取代的，不含暂缓的 | Every version that was accepted and is not held back, superseded ones too';

create view intake.accepted_submission as select * from intake.ever_accepted_submission where is_current;
comment on view intake.accepted_submission is '各县各周各表现行有效的报送：唯一的判定处 | The accepted submission that stands for each form, county and week; what "accepted" means is said here and nowhere else';

create or replace view quality.accepted_submission as
select submission_id, form, county_code, week, as_of_date, version, state, rows_loaded from intake.accepted_submission;

create function intake.release_only() returns trigger language plpgsql as $$
begin
    if old.released_at is not null
       or (new.hold_id, new.submission_id, new.reason, new.held_by, new.held_at, new.withdrawn_in)
          is distinct from (old.hold_id, old.submission_id, old.reason, old.held_by, old.held_at, old.withdrawn_in) then
        raise exception 'intake.hold: a hold is released once and not altered' using errcode = 'restrict_violation';
    end if;
    return new;
end $$;
create trigger release_only before update on intake.hold for each row execute function intake.release_only();
create trigger append_only before delete or truncate on intake.hold for each statement execute function store.refuse();

-- ---------------------------------------------------------------- the list of a publication's submissions

create trigger append_only before delete or truncate on store.publication_submission for each statement execute function store.refuse();
create trigger never_rewritten before update of submission_id, opened_in on store.publication_submission
    for each statement execute function store.refuse();
create trigger closed_once before update of closed_in on store.publication_submission
    for each row when (old.closed_in is not null) execute function store.refuse();

-- ---------------------------------------------------------------- revisions

create table store.revision (
    publication_id bigint not null references store.publication deferrable initially deferred,
    mart text not null,
    county_code text not null,
    week text not null,
    row_key text not null,
    column_name text not null,
    kind text not null check (kind in ('revised', 'added', 'removed')),
    old_value text,
    new_value text,
    submission_id bigint,
    change_reason text,
    primary key (publication_id, mart, county_code, row_key, column_name, kind, week)
);
comment on table store.revision is 'Figures that differ from the publication before, weeks that are new in it left out';
create trigger append_only before update or delete or truncate on store.revision for each statement execute function store.refuse();

create view marts.fct_revision as
select r.publication_id, r.mart, r.county_code, r.week, r.row_key, r.column_name, r.kind, r.old_value, r.new_value, r.submission_id, r.change_reason
from store.revision r
where r.publication_id <= (select store.reading_publication());
comment on view marts.fct_revision is '数据修订：每次发布较上次改动的数据 | Revisions: what each publication changed in weeks already published, one row per figure';
comment on column marts.fct_revision.publication_id is '发布号 | Publication that made the change';
comment on column marts.fct_revision.mart is '集市表 | Mart';
comment on column marts.fct_revision.county_code is '县（市、区）代码 | County code';
comment on column marts.fct_revision.week is '报送周；整改台账为最近报送周 | Reporting week; of the rectification ledger the last week that lists the finding';
comment on column marts.fct_revision.row_key is '行主键 | Key of the row within week and county';
comment on column marts.fct_revision.column_name is '列 | Column';
comment on column marts.fct_revision.kind is '修订方式：修改、新增、删除 | Kind: the row was revised, added or removed';
comment on column marts.fct_revision.old_value is '原值 | Value in the publication before';
comment on column marts.fct_revision.new_value is '新值 | Value from this publication on';
comment on column marts.fct_revision.submission_id is '依据的报表编号 | Submission that the new figures come from; for a removed row the one it came from';
comment on column marts.fct_revision.change_reason is '变化原因 | Reason that the county stated, in the row or under the table';

-- ---------------------------------------------------------------- where a column comes from

create table store.mart_column (
    mart text not null,
    column_name text not null,
    form text not null,
    kind text not null check (kind in ('cell', 'formula', 'increment', 'frame')),
    field text,
    is_key boolean not null,
    personal boolean not null,
    formula text,
    inputs text[] not null default '{}',
    primary key (mart, column_name)
);
comment on table store.mart_column is 'What each column of a fact is made of, from the contracts and marts.yaml: a field of the form (cell), other columns (formula), a running total less that of the week before (increment), or the slice (frame)';

create function quality.trace_cell(
    mart text, publication bigint, county_code text, week text, row_key text, column_name text
) returns table (
    input text, value text, submission_id bigint, version integer, received_at timestamptz, sha256 text, file text, path text, member text,
    sheet text, cell text, cell_text text, factor text
) language plpgsql stable security definer set search_path = pg_catalog as $$
declare
    about store.mart_column;
    key_column text;
    fact jsonb;
    before jsonb;
    label text;
    part text;
begin
    select * into about from store.mart_column m where m.mart = trace_cell.mart and m.column_name = trace_cell.column_name;
    if about.mart is null then
        raise exception '% has no column %', trace_cell.mart, trace_cell.column_name using errcode = 'undefined_column';
    end if;
    select m.column_name into key_column from store.mart_column m where m.mart = trace_cell.mart and m.is_key;
    execute format(
        'select to_jsonb(s) from store.%I s where s.county_code = $1 and ($2 is null or to_jsonb(s) ->> ''week'' = $2) and s.%I::text = $3
           and s.opened_in <= $4 and (s.closed_in is null or s.closed_in > $4)', trace_cell.mart, key_column)
        into fact using trace_cell.county_code, trace_cell.week, trace_cell.row_key, coalesce(trace_cell.publication, store.latest_publication());
    if fact is null then
        return;
    end if;
    if about.kind = 'cell' then
        -- a coded value whose text was the official one keeps no text of its own
        execute format(
            case trace_cell.column_name
                when 'township_code' then 'select township_name from reference.townships where township_code = $3'
                when 'village_code' then 'select village_name from reference.villages where village_code = $3'
                when 'industry_code' then 'select industry_name from reference.industries where industry_code = $3'
                else 'select code_name from store.dim_code where form = $1 and field = $2 and code = $3 and closed_in is null' end)
            into label using about.form, about.field, fact ->> about.column_name;
        return query execute format(
            $query$
            select $1, $2, s.submission_id, s.version, s.received_at, f.sha256, f.original_name, f.original_path,
                   coalesce(b.block ->> 'member', s.member), coalesce(b.block ->> 'sheet', s.sheet),
                   (b.block -> 'columns' -> $3 ->> 'col') || (r.sheet_row + coalesce((b.block -> 'columns' -> $3 ->> 'row_offset')::integer, 0)),
                   case when not $4 then coalesce(r.source_text ->> $3, $8,
                       case when $5 <> 'numeric' then r.%1$I::text
                            else trim_scale(nullif(r.%1$I::text, '')::numeric / coalesce((b.block -> 'columns' -> $3 ->> 'factor')::numeric, 1))::text end) end,
                   coalesce(b.block -> 'columns' -> $3 ->> 'factor', '1')
            from raw.%2$I r
            join intake.submission s on s.submission_id = r.submission_id
            join intake.file f on f.file_id = s.file_id
            left join jsonb_array_elements(s.layout) b (block) on (b.block ->> 'block')::integer = r.block_no
            where r.submission_id = $6 and r.row_no = $7
            $query$, about.field, lower(about.form))
            using about.column_name, fact ->> about.column_name, about.field, about.personal,
                  (select case when format_type(a.atttypid, null) in ('numeric', 'integer') then 'numeric' else 'text' end from pg_attribute a
                   where a.attrelid = to_regclass(format('raw.%I', lower(about.form))) and a.attname = about.field),
                  (fact ->> 'submission_id')::bigint, (fact ->> 'source_row_no')::integer, label;
    elsif about.kind = 'increment' and fact ->> 'carried_from_week' is null then
        execute format(
            'select to_jsonb(s) from store.%I s where s.county_code = $1 and s.week < $2 and left(s.week, 4) = left($2, 4) and s.carried_from_week is null
               and s.opened_in <= $3 and (s.closed_in is null or s.closed_in > $3) order by s.week desc limit 1', trace_cell.mart)
            into before using trace_cell.county_code, trace_cell.week, coalesce(trace_cell.publication, store.latest_publication());
        if before is not null or trace_cell.week like '%-W01' then
            return query select * from quality.trace_cell(trace_cell.mart, trace_cell.publication, trace_cell.county_code, trace_cell.week, trace_cell.row_key, about.inputs[1]);
        end if;
        if before is not null then
            return query
            select p.input || ' (' || (before ->> 'week') || ')', p.value, p.submission_id, p.version, p.received_at, p.sha256, p.file, p.path, p.member, p.sheet, p.cell, p.cell_text, p.factor
            from quality.trace_cell(trace_cell.mart, trace_cell.publication, trace_cell.county_code, before ->> 'week', trace_cell.row_key, about.inputs[1]) p;
        end if;
    elsif about.kind = 'formula' then
        foreach part in array about.inputs loop
            return query select * from quality.trace_cell(trace_cell.mart, trace_cell.publication, trace_cell.county_code, trace_cell.week, trace_cell.row_key, part);
        end loop;
    end if;
end $$;
comment on function quality.trace_cell is '数据的出处：文件、工作表、单元格、原文；计算所得的列逐项列出 | Where a published figure comes from: file, sheet, cell and text, one row per cell it is made of. Publication NULL is the latest; week NULL for fct_rectification';
