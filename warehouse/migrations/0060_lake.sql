-- Which Parquet file of the lake holds a submission's rows: what a build on Spark reads (ingestion/lake.py).

create sequence ops.lake_file_no;

create table ops.lake_submission (
    submission_id bigint primary key references intake.submission,
    form text not null,
    week text not null,
    file text not null,
    layout text not null
);
create index on ops.lake_submission (form, week, file);
comment on table ops.lake_submission is 'Submissions whose rows are in the Parquet lake, and the file they are in; files that no line names are left-overs';
comment on column ops.lake_submission.file is 'Name of the file below raw/<form>/week=<week>; a file is written once and never changed';
comment on column ops.lake_submission.layout is 'Digest of its columns and types; a file of another layout is written again';
