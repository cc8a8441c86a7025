"""`warehouse spark-build`: a build whose rows are made on Spark."""

from __future__ import annotations

import dataclasses

import click

from warehouse.commands.base import AS_JSON, NOW, main, progress_shown, settings_here, tell_record, time_given


@main.command("spark-build")
@NOW
@click.option("--master", help="Where Spark runs: local[2], spark://host:7077 (default: WAREHOUSE_SPARK, else local[2]).")
@click.option("--full-refresh", is_flag=True, help="Make all candidate rows again, not only those of pending slices.")
@AS_JSON
def spark_build(now: str | None, master: str | None, full_refresh: bool, as_json: bool) -> None:
    """Bring the candidate marts up to date on Spark; they come back into PostgreSQL, to be judged and published as always.

    \b
    Examples: warehouse spark-build
              warehouse spark-build --master spark://10.0.0.5:7077
    """
    from warehouse import database
    from warehouse.build import build as step

    settings = settings_here()
    settings = dataclasses.replace(settings, spark=master or settings.spark or "local[2]")
    database.start(settings)
    with progress_shown() as progress:
        result = step(settings, now=time_given(now, settings), full_refresh=full_refresh, progress=progress)
    tell_record(as_json, result)
