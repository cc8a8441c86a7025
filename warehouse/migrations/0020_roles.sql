-- Who reads which county: what the roles of warehouse/roles.py stand on. The roles themselves belong to the server, not
-- to this database, so they are made and given their rights there, at every migration and publication.

-- ---------------------------------------------------------------- who is reading

create function store.reader() returns name language sql stable parallel safe
return coalesce(nullif(current_setting('role'), 'none')::name, session_user);
comment on function store.reader() is 'Who reads: the login, or the role it has set. A function that runs with its owner''s rights, or a view, does not change it';

create function store.reads_all() returns boolean language sql stable parallel safe
return exists (
    select from pg_catalog.pg_roles as r
    where r.rolname in ('bi_reader', 'auditor', 'warehouse_loader', 'warehouse_transformer', 'warehouse_publisher')
        and pg_catalog.pg_has_role(store.reader(), r.oid, 'usage')
);
comment on function store.reads_all() is 'Whether the reader sees every county. Whoever is a member of none of these groups sees those of its county groups, or none';

create function store.own_counties() returns text[] language plpgsql stable parallel safe security definer set search_path = pg_catalog as $$
begin
    return (
        with recursive own as (
            select substr(r.rolname, 8) as county_code from pg_roles r
            where r.rolname ~ '^county_[0-9]{6}$' and pg_has_role(store.reader(), r.oid, 'usage')
            union  -- a renamed county keeps what it sent under its old code
            select c.county_code from reference.counties c join own on own.county_code = c.successor_code
        )
        select coalesce(array_agg(own.county_code), '{}') from own);
end $$;
comment on function store.own_counties() is 'The counties that the reader is a member of by the groups county_<code>, those they were before included';

-- ---------------------------------------------------------------- what has no mart of its own

create or replace view marts.fct_revision with (security_barrier) as
select r.publication_id, r.mart, r.county_code, r.week, r.row_key, r.column_name, r.kind, r.old_value, r.new_value, r.submission_id, r.change_reason
from store.revision r
where r.publication_id <= (select store.reading_publication())
    and ((select store.reads_all()) or r.county_code = any ((select store.own_counties())::text[]));

-- the same answers as before, for whoever may read the county
alter function quality.trace_cell(text, bigint, text, text, text, text) set schema store;
revoke execute on function store.trace_cell from public;

create function quality.trace_cell(
    mart text, publication bigint, county_code text, week text, row_key text, column_name text
) returns table (
    input text, value text, submission_id bigint, version integer, received_at timestamptz, sha256 text, file text, path text, member text,
    sheet text, cell text, cell_text text, factor text
) language plpgsql stable security definer set search_path = pg_catalog as $$
begin
    if store.reads_all() or trace_cell.county_code = any (store.own_counties()) then
        return query select * from store.trace_cell(
            trace_cell.mart, trace_cell.publication, trace_cell.county_code, trace_cell.week, trace_cell.row_key, trace_cell.column_name);
    end if;
end $$;
revoke execute on function quality.trace_cell from public;
comment on function quality.trace_cell is '数据的出处：文件、工作表、单元格、原文；计算所得的列逐项列出 | Where a published figure comes from: file, sheet, cell and text, one row per cell it is made of. Publication NULL is the latest; week NULL for fct_rectification';

-- ---------------------------------------------------------------- rows of quality, by county

do $$
declare
    name text;
    everyone text;
begin
    foreach name in array array['finding', 'check_result', 'reporting_status', 'waiver', 'anomaly', 'reminder'] loop
        -- a waiver for all counties is everybody's affair
        everyone := case name when 'waiver' then ' or county_code = ''*''' else '' end;
        execute format('alter table quality.%I enable row level security', name);
        execute format(
            'create policy own_county on quality.%I using ((select store.reads_all()) or county_code = any ((select store.own_counties())::text[])%s)
             with check ((select store.reads_all()))', name, everyone);
    end loop;
end $$;
