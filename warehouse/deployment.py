"""The services of a deployment: what a container of `docker-compose.yml` runs, and how it says that it is well.

    python -m warehouse.deployment SERVICE            migrate, api-server, scheduler, dag-processor, triggerer or worker
    python -m warehouse.deployment healthy SERVICE    exit code 0 if the service in this container works

All settings are environment variables: WAREHOUSE_URL, WAREHOUSE_AIRFLOW_URL (Airflow's database),
WAREHOUSE_AIRFLOW_ADDRESS (where tasks reach the API server), WAREHOUSE_AIRFLOW_PUBLIC_URL (where people do),
WAREHOUSE_CELERY_BROKER (Redis; with it tasks go to Celery workers) and the secrets WAREHOUSE_SECRET_*. An option that
is given as AIRFLOW__SECTION__NAME goes before ours.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from warehouse import airflow_options
from warehouse.settings import Settings, WarehouseError

PYTHON = [sys.executable, "-W", "ignore"]
# task logs are in a folder that the API server sees, so the log servers of scheduler, triggerer and workers stay off
SERVICES = {
    "api-server": ["-m", "airflow", "api-server", "--host", "0.0.0.0", "--port", "8080"],
    "scheduler": ["-m", "warehouse.airflow_scheduler", "--skip-serve-logs"],
    "dag-processor": ["-m", "airflow", "dag-processor"],
    "triggerer": ["-m", "airflow", "triggerer", "--skip-serve-logs"],
    "worker": ["-m", "warehouse.airflow_worker", "--skip-serve-logs"],
}
JOBS = {"scheduler": "SchedulerJob", "dag-processor": "DagProcessorJob", "triggerer": "TriggererJob"}
NEEDED = ("WAREHOUSE_URL", "WAREHOUSE_AIRFLOW_URL", "WAREHOUSE_AIRFLOW_ADDRESS")
SECRETS = ("AIRFLOW_FERNET", "AIRFLOW_API", "AIRFLOW_JWT")
PATIENCE = 120.0  # seconds for a database that is still starting
BEAT = 60.0  # seconds after which a service without a sign of life is ill


def here() -> bool:
    """Whether this process belongs to a deployment, where Airflow's database has an address of its own."""
    return bool(os.environ.get("WAREHOUSE_AIRFLOW_URL"))


def environment(settings: Settings) -> dict[str, str]:
    """Environment of an Airflow process. Raises WarehouseError where a setting or a secret is missing."""
    wanted = [*NEEDED, *(f"WAREHOUSE_SECRET_{name}" for name in SECRETS)]
    if missing := [name for name in wanted if not os.environ.get(name)]:
        # a secret made up here would be another one in the next container, and tasks would be refused without a word
        raise WarehouseError(f"{', '.join(missing)} must be set: start the services with docker-compose, after `python3 deploy/make_env.py`.")
    address = os.environ["WAREHOUSE_AIRFLOW_ADDRESS"].rstrip("/")
    logs = settings.logs / "airflow"
    chosen = airflow_options.options(settings, metadata=os.environ["WAREHOUSE_AIRFLOW_URL"], address=address, logs=logs) | {
        "CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "API__BASE_URL": os.environ.get("WAREHOUSE_AIRFLOW_PUBLIC_URL") or address,
    }
    if broker := os.environ.get("WAREHOUSE_CELERY_BROKER"):
        chosen |= {
            "CORE__EXECUTOR": "CeleryExecutor",
            "CELERY__BROKER_URL": broker,
            "CELERY__RESULT_BACKEND": "db+" + str(chosen["DATABASE__SQL_ALCHEMY_CONN"]),
            "CELERY__WORKER_CONCURRENCY": os.environ.get("WAREHOUSE_WORKER_CONCURRENCY") or 2,
            "CELERY__WORKER_PREFETCH_MULTIPLIER": 1,  # a worker takes no more than it can begin
            "CELERY__WORKER_ENABLE_REMOTE_CONTROL": True,
            # what a dying worker had taken and not begun is given to another after a minute and a half, not after ten
            "SCHEDULER__TASK_QUEUED_TIMEOUT": 90,
            "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": 30,
        }
    host = urlsplit(address).hostname
    direct = ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1,localhost", host]))
    own = {"AIRFLOW_HOME": str(settings.home / "airflow"), "NO_PROXY": direct, "no_proxy": direct}
    return airflow_options.as_environment(chosen) | os.environ | own


def wait_for(url: str, patience: float = PATIENCE) -> None:
    """Until a database answers. Raises WarehouseError with its last words after ``patience`` seconds."""
    until = time.monotonic() + patience
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
            return
        except psycopg.OperationalError as error:
            if time.monotonic() > until:
                last = str(error).strip().splitlines()[-1]
                raise WarehouseError(f"{urlsplit(url).hostname} did not answer within {patience:.0f} seconds: {last}") from error
            time.sleep(1.0)


def migrate(settings: Settings) -> None:
    """Bring both databases up to this version and make the first logins. Safe to repeat, and what an upgrade runs."""
    from warehouse import batches, database

    for name in NEEDED[:2]:
        wait_for(os.environ[name])
    database.start(settings)
    print("The warehouse's database is up to date", flush=True)
    surroundings = environment(settings)
    Path(surroundings["AIRFLOW_HOME"]).mkdir(parents=True, exist_ok=True)
    quiet = {"AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING"}  # a line for each of four hundred permissions otherwise
    for step in (["-m", "airflow", "db", "migrate"], ["-m", "warehouse.airflow_users"]):
        if code := subprocess.run([*PYTHON, *step], env=quiet | surroundings, check=False).returncode:
            raise WarehouseError(f"`python {' '.join(step)}` ended with code {code}; the reason is above. The services stay as they are.")
    batches.make_pool(os.environ["WAREHOUSE_AIRFLOW_URL"], surroundings)
    print("Airflow's database is up to date", flush=True)


def serve(settings: Settings, service: str) -> None:
    """Become the service. Does not return."""
    surroundings = environment(settings)
    for folder in (Path(surroundings["AIRFLOW_HOME"]), settings.logs / "airflow"):
        folder.mkdir(parents=True, exist_ok=True)
    wait_for(surroundings["WAREHOUSE_AIRFLOW_URL"])
    sys.stdout.flush()
    os.chdir(surroundings["AIRFLOW_HOME"])
    os.execve(sys.executable, [*PYTHON, *SERVICES[service]], surroundings)


def healthy(service: str) -> bool:
    """Whether the service of this container works; asked every few seconds, so nothing heavy is imported."""
    if service == "api-server":
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open("http://127.0.0.1:8080/api/v2/version", timeout=5) as answer:
            return answer.status == 200
    if service == "worker":
        from celery import Celery

        name = f"celery@{socket.gethostname()}"
        return name in (Celery(broker=os.environ["WAREHOUSE_CELERY_BROKER"]).control.inspect([name], timeout=5).ping() or {})
    with psycopg.connect(os.environ["WAREHOUSE_AIRFLOW_URL"], connect_timeout=5) as connection:
        alive = connection.execute(
            "select exists (select from job where job_type = %s and hostname = %s and state = 'running' and latest_heartbeat > now() - make_interval(secs => %s))",
            [JOBS[service], socket.gethostname(), BEAT],
        ).fetchone()
    return alive[0]


def main(arguments: list[str]) -> int:
    """Exit code 2 with one sentence for a fault that a person can mend; see the module's docstring."""
    settings = Settings.from_environment()
    try:
        match arguments:
            case ["healthy", service] if service in SERVICES:
                return 0 if healthy(service) else 1
            case ["migrate"]:
                migrate(settings)
            case [service] if service in SERVICES:
                serve(settings, service)
            case _:
                raise WarehouseError(f"Say which service: migrate, {', '.join(SERVICES)}, or healthy SERVICE.")
    except WarehouseError as error:
        print(f"warehouse: {error}", file=sys.stderr, flush=True)
        return 2
    except (OSError, psycopg.Error) as error:
        print(f"warehouse: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
