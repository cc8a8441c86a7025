-- Rows of raw tables belong to a submission: asked once a statement. A foreign key asks once a row, which took half the time
-- of loading a list of 100,000 rows of one and the same submission (docs/decisions/0010).

create function intake.require_submissions() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
declare
    stray bigint;
begin
    select a.submission_id into stray from (select distinct submission_id from arrived) as a
    where not exists (select from intake.submission as s where s.submission_id = a.submission_id) limit 1;
    if found then
        raise exception 'rows of submission % for %.%: there is no such submission', stray, tg_table_schema, tg_table_name
            using errcode = 'foreign_key_violation';
    end if;
    return null;
end $$;

create procedure intake.watch_rows(raw_table regclass) language plpgsql as $$
begin
    execute format('create trigger of_known_submissions after insert on %s referencing new table as arrived
                    for each statement execute function intake.require_submissions()', raw_table);
    execute format('create trigger stays_with_its_submission before update of submission_id on %s
                    for each statement execute function store.refuse()', raw_table);
end $$;
comment on procedure intake.watch_rows(regclass) is '原始表的行必须属于已登记的报送 | What a raw table has instead of a foreign key to intake.submission';

-- the other half of the key: what rows refer to stays
create trigger append_only before delete or truncate on intake.submission for each statement execute function store.refuse();

do $$
declare
    key record;
begin
    for key in
        select c.conname, c.conrelid::regclass as raw_table
        from pg_constraint as c join pg_class as t on t.oid = c.conrelid
        where c.contype = 'f' and c.confrelid = 'intake.submission'::regclass
            and t.relnamespace = 'raw'::regnamespace and t.relname <> 'personal'  -- a row for some thousand
    loop
        execute format('alter table %s drop constraint %I', key.raw_table, key.conname);
        call intake.watch_rows(key.raw_table);
    end loop;
end $$;
