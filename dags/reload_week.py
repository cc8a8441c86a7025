"""An earlier week built and published again, from the UI or the command line."""

from __future__ import annotations

import datetime as dt

from airflow.sdk import DAG, Param, get_current_context, task
from house import DEFAULTS, SUBMISSIONS, tell, warehouse_connection

DOC = """
### 重新加工某一周 | Reload a week

Marks what was accepted for `week` (of one county, if `county_code` is given) as pending and starts `build_and_publish`.
For a changed model or rule; for changed figures, have the county send its workbook again.
From the command line: `warehouse reload 2020-W24`. If nothing comes out differently, nothing is published.
"""

with DAG(
    "reload_week",
    doc_md=DOC,
    description="Build and publish an earlier week again",
    schedule=None,
    start_date=dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    catchup=False,
    is_paused_upon_creation=False,
    default_args=DEFAULTS,
    params={
        "week": Param("2020-W24", type="string", pattern=r"^\d{4}-W\d{2}$", description="Reporting week"),
        "county_code": Param(None, type=["null", "string"], pattern=r"^\d{6}$", description="One county only"),
    },
    tags=["correction", "manual"],
) as dag:

    @task(outlets=[SUBMISSIONS], doc_md="Marks the week's slices as pending; emits the asset that starts the build.")
    def mark() -> None:
        from warehouse import cycle

        params = get_current_context()["params"]
        with warehouse_connection("loader") as (connection, _):
            marked = cycle.mark_week(connection, params["week"], params["county_code"])
        tell(f"{marked} slices of {params['week']} are to be built again")

    mark()
