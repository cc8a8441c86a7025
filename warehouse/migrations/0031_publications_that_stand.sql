-- What was published can neither be added to nor closed afterwards, and any publication is read again by a function too.

-- ---------------------------------------------------------------- the past is closed

create function store.only_next() returns trigger language plpgsql as $$
declare
    last bigint := coalesce((select max(publication_id) from store.publication), 0);
    touched boolean;
begin
    if tg_op = 'INSERT' then
        select exists (select from come where opened_in <= last or closed_in is not null) into touched;
    else
        select exists (select from come where closed_in <= last) into touched;
    end if;
    if touched then
        raise exception '%: publication % is closed; rows come and go with the next one only', tg_table_schema || '.' || tg_table_name, last
            using errcode = 'restrict_violation', hint = 'Corrections are new publications.';
    end if;
    return null;
end $$;
comment on function store.only_next() is 'Row versions are opened and closed in the publication that is being made, never in one that stands';

create function store.only_next_revisions() returns trigger language plpgsql as $$
begin
    if exists (select from come where publication_id <= (select max(publication_id) from store.publication)) then
        raise exception 'store.revision: revisions are written with their publication only' using errcode = 'restrict_violation';
    end if;
    return null;
end $$;

create function store.guard_versions(target regclass) returns void language plpgsql as $$
begin
    execute format('create or replace trigger come_with_the_next after insert on %s referencing new table as come for each statement execute function store.only_next()', target);
    execute format('create or replace trigger go_with_the_next after update on %s referencing new table as come for each statement execute function store.only_next()', target);
end $$;
comment on function store.guard_versions(regclass) is 'Put the guards of row versions on a table of the store';

select store.guard_versions(c.oid::regclass)
from pg_class as c
where c.relnamespace = 'store'::regnamespace and c.relkind = 'r' and (c.relname ~ '^(dim|fct)_' or c.relname = 'publication_submission');

create trigger come_with_the_next after insert on store.revision referencing new table as come
    for each statement execute function store.only_next_revisions();

-- ---------------------------------------------------------------- reading one again

create function store.standing_publication(number bigint) returns bigint
language plpgsql stable security definer set search_path = pg_catalog, store as $$
begin
    if not exists (select from store.publication as p where p.publication_id = number) then
        raise exception 'There is no publication %.', number
            using errcode = 'invalid_parameter_value', hint = 'marts.dim_publication lists them; RESET warehouse.publication reads the latest.';
    end if;
    return number;
end $$;

create or replace function store.reading_publication() returns bigint language sql stable
return case
    when coalesce(current_setting('warehouse.publication', true), '') = '' then store.latest_publication()
    else store.standing_publication(current_setting('warehouse.publication', true)::bigint)
end;

-- with an earlier publication the ledger, too, is read as it stood then
create or replace view marts.dim_publication as
select
    p.publication_id, p.published_at, (p.published_at at time zone 'UTC')::date as published_date, p.week, p.trigger, p.approved_by, p.note,
    p.restores, p.rows_opened, p.rows_closed, p.check_run_id, p.code_version, p.hash,
    p.publication_id = (select store.reading_publication()) as is_latest
from store.publication as p
where p.publication_id <= (select store.reading_publication());
comment on view marts.dim_publication is '发布台账：截至所读发布，每次发布一行 | The publication ledger up to the publication that is read, one row per publication';

create function marts.as_published(mart anyelement, publication bigint) returns setof anyelement language plpgsql stable as $$
declare
    set_before text := coalesce(current_setting('warehouse.publication', true), '');
    view_name text;
begin
    select format('%I.%I', n.nspname, c.relname) into view_name
    from pg_type as t
    inner join pg_class as c on c.oid = t.typrelid
    inner join pg_namespace as n on n.oid = c.relnamespace
    where t.oid = pg_typeof(mart)::oid and n.nspname = 'marts';
    if view_name is null then
        raise exception '% is no mart', pg_typeof(mart)
            using errcode = 'invalid_parameter_value', hint = 'Name the mart by its row type: marts.as_published(null::marts.fct_employment_weekly, 3).';
    end if;
    perform set_config('warehouse.publication', store.standing_publication(publication)::text, true);
    return query execute 'select * from ' || view_name;
    perform set_config('warehouse.publication', set_before, true);
end $$;
comment on function marts.as_published is '按发布号重读一个集市：marts.as_published(null::marts.fct_employment_weekly, 3) | A mart as a publication held it, with the rights of the reader; several publications can be compared in one statement';
