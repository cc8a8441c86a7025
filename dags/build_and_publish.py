"""From raw rows to a publication: one task a step, started by what was loaded."""

from __future__ import annotations

import datetime as dt

from airflow.sdk import DAG, Param, TriggerRule, get_current_context, task
from approval_gate import NOTE, ApprovalGate
from house import DEFAULTS, SUBMISSIONS, tell, warehouse_connection

DOC = """
### 构建、检查与发布 | Build, judge, publish

`build` makes the candidate rows of the pending slices (one `dbt build` in process). `judge` runs every rule over them.
`gate` stops here if the checks **block** (the run fails, nothing is tried again, the last publication stands: the
reason is in its log and in `quality.check_run.blocking_zh`). A clean week passes; one with **warnings waits for a
person** (Browse → Required Actions), who sees what is at stake and approves or rejects; without an answer in time the
last publication stands. `publish` makes all marts visible in one transaction; `report` makes the quality pages again.

Parameters: `approve` (empty: the Airflow variable `warehouse_approve`, else `on_warnings`); `approved_by` approves in
advance, by name; `answer_within_hours`; `now` judges deadlines as of another time; `full_refresh` makes all candidate
rows again.
"""

APPROVE = [None, "never", "on_warnings", "always"]

with DAG(
    "build_and_publish",
    doc_md=DOC,
    description="Raw tables → candidate marts → checks → publication → report",
    schedule=[SUBMISSIONS],
    start_date=dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    catchup=False,
    max_active_runs=1,  # candidates are one: two runs would judge each other's rows
    is_paused_upon_creation=False,
    default_args=DEFAULTS,
    params={
        "approve": Param(None, type=["null", "string"], enum=APPROVE, description="When a person has to approve; empty: variable warehouse_approve, else on_warnings"),
        "approved_by": Param("", type="string", description="Approved in advance by this name; empty: nobody"),
        "answer_within_hours": Param(24, type="number", exclusiveMinimum=0, description="Without an answer by then the last publication stands"),
        "now": Param(None, type=["null", "string"], description="Judge deadlines as of this time, such as 2020-06-16T12:00+08:00"),
        "full_refresh": Param(False, type="boolean", description="Make all candidate rows again"),
    },
    tags=["build", "publication"],
) as dag:

    def _now(settings):
        from warehouse import cycle

        text = get_current_context()["params"]["now"]
        return cycle.parse_time(text, settings) if text else None

    @task(doc_md="One dbt build of what is pending, in this process.")
    def build() -> None:
        from airflow.sdk.exceptions import AirflowSkipException

        from warehouse.build import build as step

        with warehouse_connection("transformer") as (_, settings):
            result = step(settings, now=_now(settings), full_refresh=get_current_context()["params"]["full_refresh"], progress=tell)
        if result.publish_week is None:
            raise AirflowSkipException("No week has come due yet; what was loaded waits")

    @task(doc_md="Every rule, and Great Expectations, over the candidates. Returns the number of the check run.")
    def judge() -> int:
        from expectations.judge import judge as step

        with warehouse_connection("transformer") as (connection, settings):
            return step(connection, settings, now=_now(settings), progress=tell).check_run_id

    @task(doc_md="All marts in one transaction; skipped if no figure changed.")
    def publish(leave: dict) -> None:
        from airflow.sdk.exceptions import AirflowSkipException

        from warehouse import cycle

        result = cycle.CycleResult()
        with warehouse_connection("publisher") as (connection, settings):
            cycle.publish_judged(connection, settings, leave["check_run_id"], leave["approved_by"], result, leave["note"])
        if result.publication is None:
            raise AirflowSkipException("No figure changed since the last publication")
        tell(f"Publication {result.publication}, week {result.week}: {result.rows_opened} rows opened, {result.rows_closed} closed")

    @task(trigger_rule=TriggerRule.NONE_FAILED, doc_md="The quality pages. What is published stays published if this fails.")
    def report() -> str:
        from reporting.site import build_site

        with warehouse_connection("auditor") as (connection, settings):
            return str(build_site(connection, settings))

    built = build()
    judged = judge()
    built >> judged
    gate = ApprovalGate(task_id="gate", check_run_id=judged, params={"note": NOTE}, doc_md="Lets a publication pass, stops it, or waits for a person.")
    publish(gate.output) >> report()
