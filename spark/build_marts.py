"""Marts on Spark: Parquet in, dbt in this process, tables out to PostgreSQL by JDBC. Runs in ``.venv-spark``.

    python spark/build_marts.py JOB.json

``warehouse spark-build`` writes the job and reads the answer (``answer`` in the job names the file); nothing of the
warehouse's own packages is imported here. The database's password comes in the environment, never in the job.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

JOBS_IN_FLIGHT = 4  # tables written side by side; most are small


def main(path: Path) -> int:
    job = json.loads(path.read_text(encoding="utf-8"))
    _end_with_parent()
    answer: dict[str, Any] = {"seconds": {}, "failures": []}
    watch = _Watch(answer["seconds"])
    spark = open_session(job["spark"])
    watch("session")
    try:
        register(spark, job["sources"])
        watch("sources")
        answer |= run_dbt(job["dbt"])
        watch("dbt")
        if not answer["failures"]:
            answer["rows"] = write_back(spark, job["jdbc"], job["tables"])
            watch("write back")
    finally:
        Path(job["answer"]).write_text(json.dumps(answer, ensure_ascii=False), encoding="utf-8")
        spark.stop()
    return 1 if answer["failures"] else 0


class _Watch:
    """Seconds since the last call, by name."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds, self.last = seconds, time.monotonic()

    def __call__(self, name: str) -> None:
        now = time.monotonic()
        self.seconds[name], self.last = round(now - self.last, 1), now
        print(f"{name}: {self.seconds[name]} s", flush=True)


def _end_with_parent() -> None:
    """Whoever started this holds our standard input open; when it is gone, nobody waits for the marts any more."""

    def watch() -> None:
        while os.read(0, 1024):  # not through sys.stdin, whose lock an exit would trip over
            pass
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()


def open_session(settings: dict[str, str]):
    """The session that dbt finds and uses. Its catalogue lives in memory: a build starts from nothing."""
    from pyspark.sql import SparkSession

    fixed = {
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.sources.default": "parquet",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.hive.manageFilesourcePartitions": "false",  # the lake's folders are looked up, not registered
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.appName("county warehouse")
    for name, value in (fixed | settings).items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def register(spark, sources: list[dict]) -> None:
    """dbt's sources, each a table over the files of the lake."""
    for schema in {s["name"].split(".")[0] for s in sources}:
        spark.sql(f"create schema if not exists {schema}")
    for source in sources:
        columns = ", ".join(f"`{name}` {kind}" for name, kind in source["columns"])
        partitioned = " partitioned by (week)" if source["partitioned"] else ""
        spark.sql(f"create table {source['name']} ({columns}) using parquet{partitioned} location '{source['path']}'")


def run_dbt(arguments: list[str]) -> dict[str, Any]:
    """One dbt invocation in this process: its id, and a sentence for each node that failed."""
    from dbt.cli.main import dbtRunner

    invocation = None

    def watch(event) -> None:
        nonlocal invocation
        invocation = event.info.invocation_id
        if event.info.name == "LogModelResult":
            print("model", flush=True)

    result = dbtRunner(callbacks=[watch]).invoke(arguments)
    failures = []
    if result.exception is not None:
        failures.append(f"dbt could not start: {result.exception}")
    elif not result.success:
        failed = [r for r in result.result.results if str(r.status) in ("error", "fail", "runtime error")]
        failures += [f"{r.node.unique_id}: {' '.join((r.message or '').split())[:2000]}" for r in failed]
    return {"invocation": invocation, "failures": failures}


def write_back(spark, jdbc: dict[str, str], tables: list[dict]) -> dict[str, int]:
    """Make each table in PostgreSQL; returns the rows that Spark has by table, for the other side to compare."""
    from concurrent.futures import ThreadPoolExecutor

    properties = {"user": jdbc["user"], "password": os.environ["DBT_ENV_SECRET_WAREHOUSE_PASSWORD"], "driver": "org.postgresql.Driver", "batchsize": "10000"}

    def write(table: dict) -> None:
        spark.table(table["from"]).write.jdbc(jdbc["url"], table["to"], mode="append", properties=properties)

    with ThreadPoolExecutor(JOBS_IN_FLIGHT) as pool:
        list(pool.map(write, tables))
    counts = " union all ".join(f"select '{t['to']}' as name, count(*) as rows from {t['from']}" for t in tables)
    return {row["name"]: row["rows"] for row in spark.sql(counts).collect()}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
