"""Airflow from the command line."""

from __future__ import annotations

import sys

import click

from warehouse.commands.base import AS_JSON, main, settings_here, tell
from warehouse.settings import WarehouseError


@main.command()
@click.option("--exit-when-published", is_flag=True, help="Stop everything once the demonstration is published (for tests and CI).")
@click.option("--weeks", default=26, show_default=True, help="Weeks of demonstration data; all but the last are the backfill.")
def run(exit_when_published: bool, weeks: int) -> None:
    """Start database and Airflow, publish demonstration data, and stay up until Ctrl-C. This is `make run`.

    \b
    Run again, it goes on from where it was. Example: WAREHOUSE_HOME=/data/warehouse warehouse run
    """
    from warehouse.run import run as supervise

    sys.exit(supervise(settings_here(), exit_when_published=exit_when_published, weeks=weeks))


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def airflow(arguments: tuple[str, ...]) -> None:
    """Run the airflow command with this home's configuration; arguments are airflow's.

    \b
    Examples: warehouse airflow dags trigger reload_week --conf '{"week": "2020-W24"}'
              warehouse airflow variables set warehouse_approve always
    """
    import os

    from warehouse import deployment
    from warehouse.airflow_services import AirflowServices

    services = AirflowServices(settings_here())
    if not deployment.here() and not services.home.exists():
        raise WarehouseError("Airflow has not run here yet: run `warehouse run` first.")
    environment = deployment.environment(services.settings) if deployment.here() else services.environment()
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-W", "ignore", "-m", "airflow", *arguments], environment)


@main.command("timings")
@click.option("--run", "run_id", help="A run of build_and_publish (default: the last that published).")
@AS_JSON
def show_timings(run_id: str | None, as_json: bool) -> None:
    """How the time of a week under Airflow splits: work, dbt, Great Expectations, process starts, scheduling.

    \b
    Example: warehouse timings
    """
    from warehouse import timings

    found = timings.timings(settings_here(), run_id)
    tell(as_json, found, timings.describe(found))
