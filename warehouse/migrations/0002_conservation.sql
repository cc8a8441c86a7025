-- The database itself checks that no row is lost: at commit, a submission's figures equal what is really there.

create function intake.check_conservation() returns trigger language plpgsql as $$
declare
    loaded bigint;
    rejected bigint;
begin
    -- both counts run along the first column of a primary key
    execute format('select count(*) from raw.%I where submission_id = $1', lower(new.form)) into loaded using new.submission_id;
    select count(*) into rejected from intake.rejected_row where submission_id = new.submission_id;
    if loaded <> new.rows_loaded or rejected <> new.rows_rejected then
        raise exception 'submission % (%) says % rows loaded and % rejected, the tables hold % and %',
            new.submission_id, new.form, new.rows_loaded, new.rows_rejected, loaded, rejected
            using errcode = 'check_violation', constraint = 'rows_are_where_they_are_said_to_be';
    end if;
    return null;
end $$;
comment on function intake.check_conservation() is '读入行数＝装载行数＋退回行数，提交时核对 | Rows read = rows loaded + rows rejected, checked against the tables at commit';

create constraint trigger rows_are_where_they_are_said_to_be
    after insert or update of form, rows_loaded, rows_rejected on intake.submission
    deferrable initially deferred
    for each row execute function intake.check_conservation();

-- When the file itself was last written: without a list of arrivals it tells a file that still lies there from one sent again.
alter table intake.file add column file_modified_at timestamptz;
comment on column intake.file.file_modified_at is '文件自身的修改时间 | Modification time of the file as it lay in the folder';
