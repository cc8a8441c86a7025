"""What the DAGs share: the asset between them, when a task may be tried again, and a connection."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk import Asset, ExceptionRetryPolicy, RetryAction, RetryRule

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


@contextmanager
def warehouse_connection() -> Iterator[tuple]:
    """(connection, settings) of the warehouse, autocommit. A refused connection stays the driver's error: it is retried."""
    import psycopg

    from warehouse import database
    from warehouse.settings import Settings, WarehouseError

    settings = Settings.from_environment()
    try:
        connection = database.connect(settings, autocommit=True)
    except WarehouseError as error:
        if isinstance(error.__cause__, psycopg.OperationalError):
            raise error.__cause__ from None
        raise
    with connection:
        yield connection, settings


def tell(what: str, done: int | None = None, total: int | None = None) -> None:
    """Progress into the task's log, a line in a hundred."""
    import logging

    if done is None or total is None or done == total or done % 100 == 0:
        counts = "" if done is None else f" {done}/{total}" if total else f" {done}"
        logging.getLogger("airflow.task").info("%s%s", what, counts)
