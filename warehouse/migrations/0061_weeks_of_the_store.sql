-- Readers ask for the weeks of a publication that need not be the latest: no index began with the week.
do $$
declare
    fact record;
begin
    for fact in
        select t.relname from pg_class t
        where t.relnamespace = 'store'::regnamespace and t.relkind = 'r' and t.relname ~ '^fct_'
          and 2 = (select count(*) from pg_attribute a where a.attrelid = t.oid and a.attname in ('week', 'county_code') and not a.attisdropped)
          and exists (select from pg_index i where i.indrelid = t.oid and i.indpred is null
                      and pg_get_indexdef(i.indexrelid) like '%(county_code, week)')
    loop
        execute format('create index on store.%I (week, county_code)', fact.relname);
    end loop;
end $$;

-- what the pages ask of a window of weeks
create index on intake.submission (week);
