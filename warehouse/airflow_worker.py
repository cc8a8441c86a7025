"""A Celery worker with the warehouse's steps imported before it starts, as the scheduler has them.

Celery's pool are forks of this process and tasks forks of the pool, so dbt, Great Expectations and the parsed contracts
are read once a worker and not once a task. After an update of the code, start it again.
"""

from __future__ import annotations

import sys

from warehouse.airflow_scheduler import preload, wait_for_api


def main() -> None:
    """Import, wait until the API server answers, then be ``airflow celery worker`` with the arguments given."""
    preload()
    wait_for_api()
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", "celery", "worker", *sys.argv[1:]]
    airflow()


if __name__ == "__main__":
    main()
