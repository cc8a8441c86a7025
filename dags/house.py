"""What the DAGs share: the asset between them, when a task may be tried again, a connection, and the times of a step."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

from airflow.sdk import Asset, ExceptionRetryPolicy, RetryAction, RetryRule, get_current_context

INTAKE_POOL = "intake"  # warehouse/batches.py makes it
SUBMISSIONS = Asset("submissions", uri="warehouse://intake/submissions")

# A lost connection is worth another try; wrong data stay wrong however often they are read. Two retries are also what
# the scheduler has for tasks whose process died with the machine.
DEFAULTS = {
    "owner": "city data team",
    "retries": 2,
    "retry_delay": dt.timedelta(seconds=15),
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule(
                exception=["psycopg.OperationalError", "psycopg.InterfaceError"],
                action=RetryAction.RETRY,
                retry_delay=dt.timedelta(seconds=15),
                reason="The connection to the database was lost",
            )
        ],
        default=RetryAction.FAIL,
    ),
}


STEPS = {"scan": "receive", "load_files": "load"}  # tasks that are not called like their step
phases: list[tuple[str, dt.datetime]] = []  # what this task said it was doing, and since when


@contextmanager
def warehouse_connection(role: str) -> Iterator[tuple]:
    """(connection, settings) of the warehouse, autocommit, with the rights of ``role`` ('loader', 'transformer', 'publisher',
    'auditor') and no others. A refused connection stays the driver's error: it is retried.

    The time between entering and leaving is the step's own and goes on record (``warehouse timings``).
    """
    import psycopg

    from warehouse import database, roles
    from warehouse.settings import Settings, WarehouseError

    settings = Settings.from_environment()
    try:
        connection = database.connect(settings, autocommit=True)
    except WarehouseError as error:
        if isinstance(error.__cause__, psycopg.OperationalError):
            raise error.__cause__ from None
        raise
    from warehouse.observe import lineage
    from warehouse.observe.steps import observed
    from warehouse.timings import note_step

    entered = dt.datetime.now(dt.UTC)
    phases.clear()
    ti = get_current_context().get("ti")
    step = STEPS.get(ti.task_id, ti.task_id) if ti else "task"
    with connection:
        try:
            acting = roles.acting(connection, {"auditor": roles.AUDITOR}.get(role, f"warehouse_{role}"))
            with lineage.under(lineage.airflow_run_id(ti.run_id), ti.dag_id) if ti else nullcontext(), observed(settings, step, connection), acting:
                yield connection, settings
        finally:
            with suppress(psycopg.Error, WarehouseError), roles.acting(connection, roles.LOADER):  # figures about a run must not cost the run
                note_step(connection, ti, entered, phases)


def tell(what: str, done: int | None = None, total: int | None = None) -> None:
    """Progress into the task's log, a line in a hundred."""
    import logging

    if not phases or phases[-1][0] != what:
        phases.append((what, dt.datetime.now(dt.UTC)))
    if done is None or total is None or done == total or done % 100 == 0:
        counts = "" if done is None else f" {done}/{total}" if total else f" {done}"
        logging.getLogger("airflow.task").info("%s%s", what, counts)
