-- What building and publishing keep besides 0001: the slices of a build, and what guards the ledger.

alter table ops.build_run add column full_refresh boolean not null default false;
alter table ops.build_run add column project_hash text;
comment on column ops.build_run.project_hash is 'SHA-256 of the dbt project and of the reference data; another project means that everything is made again';

create table ops.build_slice (
    form text not null,
    county_code text not null,
    week text not null,
    noted_at timestamptz not null,
    primary key (form, county_code, week)
);
comment on table ops.build_slice is 'The slices of the build that is running or ran last, as they were noted when it started';

create view ops.horizon as
select publish_week as week, to_date(publish_week || '-7', 'IYYY-"W"IW-ID') as as_of_date
from ops.build_run
order by build_run_id desc
limit 1;
comment on view ops.horizon is 'The newest week of the build that is running or ran last';

-- a slice that is noted again while a build runs must not be taken for built when the build ends
create function ops.note_time() returns trigger language plpgsql as $$
begin
    if not new.built then
        new.noted_at := clock_timestamp();
    end if;
    return new;
end $$;
create trigger note_time before update on ops.pending_slice for each row execute function ops.note_time();

alter table store.publication add column restores bigint references store.publication;
comment on column store.publication.restores is 'For a withdrawal: the publication whose content stands again';
alter table store.publication add column content_hashes jsonb not null default '{}';
comment on column store.publication.content_hashes is 'SHA-256 by mart over the rows opened and closed; content_hash is made of these';

create function store.refuse() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: % refused', tg_table_schema || '.' || tg_table_name, lower(tg_op)
        using errcode = 'restrict_violation', hint = 'Corrections are new publications.';
end $$;
create trigger append_only before update or delete or truncate on store.publication
    for each statement execute function store.refuse();

-- readers of the views need no right on the ledger itself
alter function store.latest_publication() security definer;
alter function store.latest_publication() set search_path = pg_catalog, store;

create view marts.dim_publication as
select
    p.publication_id, p.published_at, (p.published_at at time zone 'UTC')::date as published_date, p.week, p.trigger, p.approved_by, p.note,
    p.restores, p.rows_opened, p.rows_closed, p.check_run_id, p.code_version, p.hash,
    p.publication_id = (select store.latest_publication()) as is_latest
from store.publication as p;
comment on view marts.dim_publication is '发布台账：每次发布一行 | The publication ledger, one row per publication';
comment on column marts.dim_publication.publication_id is '发布号 | Publication number; SET warehouse.publication = ''n'' reads it again';
comment on column marts.dim_publication.published_at is '发布时间 | When it became visible';
comment on column marts.dim_publication.published_date is '发布日期 | Day it became visible (UTC)';
comment on column marts.dim_publication.week is '发布周 | Newest reporting week in it';
comment on column marts.dim_publication.trigger is '发布原因：周发布、更正、补录、撤回 | Why: weekly, correction, backfill, withdrawal';
comment on column marts.dim_publication.approved_by is '批准人 | Who approved it';
comment on column marts.dim_publication.note is '说明 | Note';
comment on column marts.dim_publication.restores is '撤回后恢复到的发布号 | For a withdrawal: the publication that stands again';
comment on column marts.dim_publication.rows_opened is '新增行数 | Row versions opened';
comment on column marts.dim_publication.rows_closed is '关闭行数 | Row versions closed';
comment on column marts.dim_publication.check_run_id is '检查批次 | The check run it passed with (quality.check_run)';
comment on column marts.dim_publication.code_version is '程序版本 | Version of the code';
comment on column marts.dim_publication.hash is '哈希链 | Chained hash over content and the publication before';
comment on column marts.dim_publication.is_latest is '是否最新 | Whether it is the latest';
