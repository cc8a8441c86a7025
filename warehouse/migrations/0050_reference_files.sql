-- Which version of each reference list the tables of schema reference hold, so that a start loads only what has changed.

create table ops.reference_file (
    name text primary key,
    sha256 text not null,
    loaded_at timestamptz not null default clock_timestamp()
);
comment on table ops.reference_file is '参考数据各清单的现行版本 | The reference lists as they are loaded: SHA-256 of each file';
