"""Airflow's configuration, written down once: `make run` and the containers take it from here.

There is no ``airflow.cfg``: options are environment variables ``AIRFLOW__SECTION__NAME``.
"""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from warehouse.settings import REPOSITORY, Settings


def options(settings: Settings, *, metadata: str, address: str, logs: Path) -> dict[str, Any]:
    """Options by SECTION__NAME that hold wherever Airflow runs.

    ``metadata``: URL of its database (postgresql://…); ``address``: where tasks reach the API server, without a
    slash at the end; ``logs``: folder of the task logs.
    """
    secret = settings.secret
    return {
        "CORE__DAGS_FOLDER": REPOSITORY / "dags",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": os.environ.get("WAREHOUSE_PARALLELISM") or 4,
        "CORE__LOAD_EXAMPLES": False,
        "CORE__FERNET_KEY": base64.urlsafe_b64encode(hashlib.sha256(secret("airflow_fernet").encode()).digest()).decode(),
        "CORE__DEFAULT_TIMEZONE": settings.timezone.key,
        "CORE__HOSTNAME_CALLABLE": "socket.gethostname",  # no look-up in a name server that may be out of reach
        "CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "DATABASE__SQL_ALCHEMY_CONN": "postgresql+psycopg2://" + metadata.split("://", 1)[1],
        "DATABASE__LOAD_DEFAULT_CONNECTIONS": False,
        "API__BASE_URL": address,
        "API__WORKERS": 1,
        "API__SECRET_KEY": secret("airflow_api"),
        "API_AUTH__JWT_SECRET": secret("airflow_jwt", 64),
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.2,
        # after a kill the tasks that died are taken up again within half a minute, not after five
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": 15,
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": 20,
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": 60,
        "WORKERS__MIN_HEARTBEAT_INTERVAL": 1,
        "WORKERS__EXECUTION_API_TIMEOUT": 30,  # a machine at its limit answers late, which is no failure of a task
        "WORKERS__EXECUTION_API_RETRIES": 8,
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 60,
        "DAG_PROCESSOR__PARSING_PROCESSES": 1,
        "LOGGING__BASE_LOG_FOLDER": logs,
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": logs / "dag_processor",
        "USAGE_DATA_COLLECTION__ENABLED": False,
        **_metrics(),
    }


def _metrics() -> dict[str, object]:
    """Airflow's own metrics go where the cycle's go (warehouse/observe/metrics.py)."""
    found: dict[str, object] = {}
    if statsd := os.environ.get("WAREHOUSE_STATSD"):
        host, _, port = statsd.rpartition(":")
        found |= {"METRICS__STATSD_ON": True, "METRICS__STATSD_HOST": host, "METRICS__STATSD_PORT": port, "METRICS__STATSD_PREFIX": "airflow"}
    if otlp := os.environ.get("WAREHOUSE_OTLP"):
        parts = urlsplit(otlp)
        found |= {"METRICS__OTEL_ON": True, "METRICS__OTEL_HOST": parts.hostname, "METRICS__OTEL_PORT": parts.port or 4318, "METRICS__OTEL_PREFIX": "airflow"}
    return found


def as_environment(chosen: dict[str, Any]) -> dict[str, str]:
    """The variables of these options, and those that keep the libraries from calling home."""
    return {f"AIRFLOW__{key}": str(value) for key, value in chosen.items()} | {
        "DO_NOT_TRACK": "1",
        "SCARF_ANALYTICS": "false",
        "GX_ANALYTICS_ENABLED": "False",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "PYTHONUNBUFFERED": "1",
    }
