-- Who let a publication pass that had to wait for a person, and what the tasks of a run took.

create table quality.approval (
    approval_id bigint generated always as identity primary key,
    check_run_id bigint not null references quality.check_run,
    asked_at timestamptz not null default clock_timestamp(),
    answer_until timestamptz,
    at_stake jsonb not null,
    decision text check (decision in ('approved', 'rejected', 'lapsed', 'overtaken')),
    decided_by text,
    decided_at timestamptz,
    note text,
    check ((decision is null) = (decided_at is null)),
    constraint a_decision_has_a_name check (decision is null or decision in ('lapsed', 'overtaken') or decided_by <> '')
);
create index on quality.approval (check_run_id);
comment on table quality.approval is '发布审批：何时提请、涉及什么、谁批准或驳回、理由 | Every request to let a publication pass, what was at stake, and the answer';
comment on column quality.approval.at_stake is 'What the reviewer was shown: warnings by rule, rows and figures by mart';
comment on column quality.approval.decision is '批准 approved、驳回 rejected、逾期未答 lapsed（以前的发布继续有效）、已被新的检查取代 overtaken | NULL while it waits';

create function quality.decided_once() returns trigger language plpgsql as $$
begin
    if old.decision is not null or (new.approval_id, new.check_run_id, new.asked_at) is distinct from (old.approval_id, old.check_run_id, old.asked_at) then
        raise exception 'quality.approval: a decision is made once and not altered' using errcode = 'restrict_violation';
    end if;
    return new;
end $$;
create trigger decided_once before update on quality.approval for each row execute function quality.decided_once();
create trigger append_only before delete or truncate on quality.approval for each statement execute function store.refuse();

create table ops.task_step (
    dag_id text not null,
    run_id text not null,
    task_id text not null,
    map_index integer not null,
    try_number integer not null,
    entered_at timestamptz not null,
    left_at timestamptz not null,
    phases jsonb not null default '[]',
    primary key (dag_id, run_id, task_id, map_index, try_number)
);
comment on table ops.task_step is 'When a task of Airflow entered and left its step; the time around that is overhead (warehouse timings)';
comment on column ops.task_step.phases is '[["building slices", 3.2], …]: seconds by what the step said it was doing';
