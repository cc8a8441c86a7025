"""The inbox, looked into every minute: files are received, then loaded one by one, week by week or, in a nation, in groups."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict

from airflow.sdk import DAG, CronTriggerTimetable, TriggerRule, get_current_context, task
from house import DEFAULTS, INTAKE_POOL, SUBMISSIONS, tell, warehouse_connection

DOC = """
### 收件与装载 | Receive and load

`scan` empties the inbox into the archive and lists what waits: up to 50 files one task each, more (a backfill) one
task for each week or few weeks they came in. A folder with an `arrivals.csv` (`path,received_at`) counts as received at those times.
`load_files` reads, checks and loads, as many tasks at a time as the pool `intake` has slots. Where more than 200 files wait
and there are more than two slots (a nation's week on Celery workers), there are at most 16 tasks; they read their files side
by side and load in turn, each as far as everything before has been read. A file that is faulty is *refused* or *returned*, which is an outcome and no
failure. Every file below `outbox/` is ready to go back to its county. `announce` emits the asset `submissions`, on
which `build_and_publish` waits; also when a week has come due and nothing arrived.

Every task can be cleared and run again. Versions count in order of arrival: loading is behind a lock, and a task that
gets there early loads what came before its own files as well.
"""

with DAG(
    "receive_and_load",
    doc_md=DOC,
    description="Inbox → archive → raw tables",
    schedule=CronTriggerTimetable("* * * * *", timezone="Asia/Shanghai"),
    start_date=dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    default_args=DEFAULTS,
    tags=["intake", "minutely"],
) as dag:

    @task(doc_md="Empties the inbox into the archive; lists the files that wait, in order of arrival.")
    def scan() -> list[dict]:
        from airflow.sdk.exceptions import AirflowSkipException

        from warehouse import batches, cycle

        with warehouse_connection("loader") as (connection, settings):
            faults = cycle.take_inbox(connection, settings, progress=tell)
            found = [asdict(batch) for batch in batches.batches(connection, settings)]
            due = cycle.week_to_announce(connection, settings)  # with files, their announcement is its own
        for fault in faults:
            tell(fault)
        if faults and not found:
            raise RuntimeError("; ".join(faults))
        if not found and not due:
            raise AirflowSkipException("The inbox is empty")
        if not found:  # nothing to map over would skip all that follows, the announcement too
            found = [asdict(batches.Batch(f"{due} has come due", []))]
        return found

    @task(
        map_index_template="{{ label }}",
        pool=INTAKE_POOL,
        doc_md="Reads, checks and loads its files, and before them whatever came earlier and still waits.",
    )
    def load_files(batch: dict) -> str:
        from warehouse import batches

        context = get_current_context()
        context["label"] = batch["label"]
        with warehouse_connection("loader") as (connection, settings):
            batches.load_batch(connection, settings, batch["file_ids"], progress=tell, ahead=batch["ahead"])
            outcome = batches.outcome_of(connection, batch["file_ids"])
        context["label"] = outcome if len(batch["file_ids"]) == 1 else f"{batch['label']}: {outcome}"
        return outcome

    @task(
        outlets=[SUBMISSIONS],
        trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS,
        doc_md="Tells build_and_publish that there is something new, even if some of the files failed.",
    )
    def announce() -> None:
        tell("There is something to build")

    @task(trigger_rule=TriggerRule.ONE_FAILED, doc_md="Makes the run fail when one of its tasks did; skipped otherwise.")
    def watch() -> None:
        raise RuntimeError("A task of this run failed; its files still wait and are taken up by the next run.")

    scanned = scan()
    loaded = load_files.expand(batch=scanned)
    announced = announce()
    [scanned, loaded] >> announced
    [scanned, loaded, announced] >> watch()
