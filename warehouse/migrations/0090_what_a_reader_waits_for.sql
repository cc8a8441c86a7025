-- What every query of a reader asks first, asked cheaply: which publication, and whether of all counties.

-- plpgsql keeps its plan for the session; a function in SQL that cannot be inlined is planned anew by every query
create or replace function store.latest_publication() returns bigint
language plpgsql stable parallel safe security definer set search_path = pg_catalog, store as $$
begin
    return (select max(p.publication_id) from store.publication as p);
end $$;

-- one function that may not run in parallel forbids it to the whole query
alter function store.standing_publication(bigint) parallel safe;
alter function store.reading_publication() parallel safe;

-- one expression without a table, so that it is inlined; a group that the server lacks counts as one the reader is not in
create or replace function store.reads_all() returns boolean language sql stable parallel safe
return coalesce(
    pg_catalog.pg_has_role(store.reader(), pg_catalog.to_regrole('bi_reader'), 'usage')
    or pg_catalog.pg_has_role(store.reader(), pg_catalog.to_regrole('auditor'), 'usage')
    or pg_catalog.pg_has_role(store.reader(), pg_catalog.to_regrole('warehouse_loader'), 'usage')
    or pg_catalog.pg_has_role(store.reader(), pg_catalog.to_regrole('warehouse_transformer'), 'usage')
    or pg_catalog.pg_has_role(store.reader(), pg_catalog.to_regrole('warehouse_publisher'), 'usage'),
    false
);

-- As in 0031, but for readers too: they have no right on the store, so the view itself says that there is no such publication
create or replace function marts.as_published(mart anyelement, publication bigint) returns setof anyelement language plpgsql stable as $$
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
    perform set_config('warehouse.publication', coalesce(publication, 0)::text, true);
    return query execute 'select * from ' || view_name;
    perform set_config('warehouse.publication', set_before, true);
end $$;
