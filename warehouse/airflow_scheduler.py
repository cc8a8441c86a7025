"""Airflow's scheduler, with the warehouse's steps imported before it starts.

LocalExecutor's workers are forks of the scheduler and tasks are forks of the workers, so what is imported here costs
a task nothing: dbt, Great Expectations and the parsed contracts are nine seconds in a process that starts cold. The
code is that of the scheduler's start: after an update, start it again.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
import traceback

from warehouse.airflow_api import AirflowApi

STEPS = (
    "ingestion.receive", "ingestion.load", "dbt.cli.main", "dbt.adapters.postgres", "warehouse.build", "expectations.judge",
    "expectations.validation", "great_expectations", "warehouse.publication", "warehouse.approval", "reporting.site",
)  # fmt: skip
PATIENCE = 120.0  # seconds for the API server, without which a task fails


def preload() -> None:
    """Import the steps and parse what they parse once a process. A fault is left for the task that needs the module."""
    for name in STEPS:
        try:
            importlib.import_module(name)
        except Exception:
            traceback.print_exc()
    try:
        from ingestion.contracts import contracts
        from ingestion.reference import codes

        contracts()
        codes()
    except Exception:
        traceback.print_exc()


def wait_for_api() -> None:
    """Until the API server answers at the address that tasks use, two minutes at most."""
    api = AirflowApi(os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"].removesuffix("/execution/"), "", "")
    until = time.monotonic() + PATIENCE
    while not api.answers() and time.monotonic() < until:
        time.sleep(0.3)


def main() -> None:
    """Import, wait until the API server answers, then be ``airflow scheduler`` with the arguments given."""
    preload()
    wait_for_api()
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", "scheduler", *sys.argv[1:]]
    airflow()


if __name__ == "__main__":
    main()
