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
