-- A week costs the same however many lie behind it: what the checks have seen, and the ways into the long tables.

alter table quality.check_run add column basis text;
alter table quality.check_run add column submissions_to bigint;
comment on column quality.check_run.basis is 'SHA-256 of contracts, counties and due times that the run knew; with others, every week is looked at again';
comment on column quality.check_run.submissions_to is 'The newest submission that the run has seen';

create index on intake.submission (week);
create index on quality.reporting_status (week) where status = 'expected';
create index on quality.finding (file_id);
create index on quality.finding (status, rule_id, form, week) where status in ('open', 'waived');

-- raw tables of homes that were made before; new ones get it with the table (ingestion/raw_tables.py)
do $$
begin
    if to_regclass('raw.ind02') is not null then
        create index on raw.ind02 (id_key);
    end if;
end $$;
