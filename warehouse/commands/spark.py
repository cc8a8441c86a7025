"""`warehouse spark-build`: a build whose rows are made on Spark."""

from __future__ import annotations

import dataclasses

import click

from warehouse.cli import AS_JSON, NOW, _out_record, _progress, _settings, _time, main


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

    settings = _settings()
    settings = dataclasses.replace(settings, spark=master or settings.spark or "local[2]")
    database.start(settings)
    with _progress() as progress:
        result = step(settings, now=_time(now, settings), full_refresh=full_refresh, progress=progress)
    _out_record(as_json, result)
