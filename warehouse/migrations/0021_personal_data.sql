-- Personal data sealed: what the raw tables held in clear lies in blocks of rows that only the keys outside the database open.

create table raw.personal (
    submission_id bigint not null references intake.submission,
    first_row integer not null check (first_row > 0),
    rows integer not null check (rows > 0),
    key_id text not null,
    sealed bytea not null,
    primary key (submission_id, first_row)
);
comment on table raw.personal is '个人信息（加密）：密钥不在库中 | Personal values of some thousand rows, sealed; the keys are outside the database';
comment on column raw.personal.sealed is 'Nonce and AES-256-GCM of packed JSON: field → values in order of row_no, of personal fields and columns nobody knows';
alter table raw.personal alter column sealed set storage external;  -- packed already
create index on raw.personal (key_id);

create table ops.once (name text primary key, done_at timestamptz not null default clock_timestamp());
comment on table ops.once is 'What is done once to a database beside its migrations, because it needs more than SQL';
