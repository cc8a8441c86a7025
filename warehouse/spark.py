"""A build's rows made on Spark: Parquet out, dbt over there, marts back by JDBC, put in place in one transaction.

Everything before and after is as always: `warehouse.build` decides on the slices, the rules judge the same candidate
tables, publication compares them with what stands. Spark keeps nothing from one build to the next.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import pyarrow as pa
from psycopg import sql

from ingestion import lake
from warehouse.dbt_sources import accumulating, forms_of_marts, project
from warehouse.settings import REPOSITORY, Settings, WarehouseError

PYTHON = REPOSITORY / ".venv-spark/bin/python"
JOB = REPOSITORY / "spark/build_marts.py"
JDBC_JAR = "/usr/share/java/postgresql.jar"  # Debian's libpostgresql-jdbc-java
SLICES = "intermediate.int_reporting__slice"
KINDS = {
    pa.string(): "string", pa.int64(): "bigint", pa.int32(): "int", pa.int16(): "smallint", pa.bool_(): "boolean", pa.date32(): "date",
    pa.timestamp("us", tz="UTC"): "timestamp",
}  # fmt: skip


def lacking() -> str | None:
    """What Spark needs and this machine has not, as a sentence that says what to do; None where all is there."""
    if not PYTHON.exists():
        return "Spark's packages are not installed: run `make spark-install`."
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        return "Spark needs Java 17 or newer: on Debian install openjdk-17-jre-headless."
    if not jdbc_jar().exists():
        return f"There is no JDBC driver at {jdbc_jar()}: on Debian install libpostgresql-jdbc-java, or set WAREHOUSE_JDBC_JAR."
    return None


def jdbc_jar() -> Path:
    return Path(os.environ.get("WAREHOUSE_JDBC_JAR") or JDBC_JAR)


def make_rows(
    settings: Settings,
    connection: psycopg.Connection,
    forms: list[str],
    *,
    make_tables: Callable[[Settings, psycopg.Connection], None] | None,
    progress: Callable[..., None] | None = None,
) -> str | None:
    """Make the candidate rows of the slices in ``ops.build_slice`` on ``settings.spark``; returns dbt's invocation id.

    ``forms`` are those that have slices. ``make_tables`` makes the candidate tables with their keys, where they
    are to be made anew; it is called when Spark is done, so a failure before leaves the candidates as they were.
    ``connection`` is in autocommit mode and holds the build's lock. Raises WarehouseError with the node and its message.
    """
    if reason := lacking():
        raise WarehouseError(reason)
    say = progress or (lambda *_: None)
    say("writing Parquet")
    exported = lake.export(connection, settings)
    _drop_landings(connection)
    number = connection.execute("select nextval('ops.lake_file_no')").fetchone()[0]
    landing = f"landing_{number}"
    connection.execute(sql.SQL("create schema {}").format(sql.Identifier(landing)))
    try:
        names = [SLICES, *_marts_of(settings, forms)]
        tables = {f"{landing}.{name.split('.')[1]}": name for name in names}
        with _scratch(settings, number) as scratch:
            job = _job(settings, connection, exported, tables, forms, scratch)
            answer = _run(settings, connection, job, scratch, say)
        if make_tables:
            say("making tables")
            make_tables(settings, connection)
        say("putting marts in place")
        with connection.transaction():
            _put_in_place(connection, landing, {name.split(".")[1]: answer["rows"][to] for to, name in tables.items()})
        connection.execute(f"analyze {SLICES}")
    finally:
        _drop_landings(connection)
    return answer["invocation"]


def _marts_of(settings: Settings, forms: list[str]) -> list[str]:
    """The facts of some forms and every dimension, as they are called on both engines."""
    dimensions = sorted(p.stem for p in (project(settings) / "models/marts/dimensions").glob("dim_*.sql"))
    return [f"candidate.{name}" for name in (*dimensions, *(mart for mart, form in forms_of_marts().items() if form in forms))]


# ---------------------------------------------------------------- the job


@contextlib.contextmanager
def _scratch(settings: Settings, number: int) -> Iterator[Path]:
    """A folder that Spark's tables lie in while it runs; on a cluster its workers see it like the lake."""
    root = lake.folder(settings) / "scratch"
    shutil.rmtree(root, ignore_errors=True)  # of a run that was killed; the lock is ours
    folder = root / str(number)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _job(
    settings: Settings, connection: psycopg.Connection, exported: lake.Export, tables: dict[str, str], forms: list[str], scratch: Path
) -> dict[str, Any]:
    folder = project(settings)
    select = [f"+tag:{tag}" for tag in ("dimension", "slice", *forms)]
    places = ["--project-dir", folder, "--profiles-dir", folder, "--target-path", settings.home / "dbt" / "spark", "--log-path", settings.logs / "dbt-spark"]
    quiet = ["--log-level", "none", "--log-level-file", "info", "--no-use-colors"]
    arguments = ["build", "--target", "spark", *quiet, *places, "--exclude-resource-type", "unit_test", "--indirect-selection", "buildable", "--select", *select]
    return {
        "spark": _spark_settings(settings.spark, scratch),
        "sources": [_source(s) for s in exported.sources],
        "dbt": [str(a) for a in arguments],
        "jdbc": {"url": _jdbc_url(connection), "user": connection.info.user},
        "tables": [{"from": name, "to": to} for to, name in tables.items()],
        "answer": str(scratch / "answer.json"),
    }


def _spark_settings(master: str, scratch: Path) -> dict[str, str]:
    memory = os.environ.get("WAREHOUSE_SPARK_MEMORY", "1g")
    found = {
        "spark.master": master,
        "spark.driver.memory": memory,
        "spark.executor.memory": memory,
        "spark.jars": str(jdbc_jar()),
        "spark.sql.warehouse.dir": str(scratch / "tables"),
    }
    if master.startswith("local") or "//127.0.0.1:" in master:
        found |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.sql.shuffle.partitions": "4"}
    return found


def _source(source: lake.Source) -> dict[str, Any]:
    columns = [[f.name, f"decimal({f.type.precision}, {f.type.scale})" if pa.types.is_decimal(f.type) else KINDS[f.type]] for f in source.schema]
    return {"name": source.name, "path": str(source.path), "partitioned": source.partitioned, "columns": columns + [["week", "string"]] * source.partitioned}


def _jdbc_url(connection: psycopg.Connection) -> str:
    info = connection.info
    if info.host.startswith("/"):
        raise WarehouseError("Spark reaches PostgreSQL over TCP; WAREHOUSE_URL names a Unix socket. Give it a host and a port.")
    given = info.get_parameters()
    options = {name: given[name] for name in ("sslmode", "sslrootcert") if name in given}
    return f"jdbc:postgresql://{info.host}:{info.port}/{info.dbname}?" + urlencode(options | {"reWriteBatchedInserts": "true"})


def _run(settings: Settings, connection: psycopg.Connection, job: dict[str, Any], scratch: Path, say: Callable[..., None]) -> dict[str, Any]:
    """Start the job in Spark's environment and wait; its answer. Raises WarehouseError naming what failed."""
    path, log = scratch / "job.json", settings.logs / "spark.log"
    path.write_text(json.dumps(job, ensure_ascii=False), encoding="utf-8")
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "DBT_ENV_SECRET_WAREHOUSE_PASSWORD": connection.info.password,
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
        "WAREHOUSE_TIMEZONE": str(settings.timezone),
    }
    say("starting Spark")
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [PYTHON, JOB, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment, cwd=scratch, text=True
        )
        try:
            done = 0
            for line in process.stdout:
                errors.write(line)
                errors.flush()
                if line.startswith("model"):
                    done += 1
                    say("dbt models on Spark", done)
            process.wait()
        finally:  # its input ends with us, so it ends, too
            process.stdin.close()
            process.stdout.close()
            process.wait()
    answer = Path(job["answer"])
    found = json.loads(answer.read_text(encoding="utf-8")) if answer.exists() else {"failures": []}
    if process.returncode or found["failures"]:
        what = "dbt failed on Spark in\n" + "\n".join(found["failures"][:5]) if found["failures"] else f"Spark ended with code {process.returncode}: {_last_words(log)}"
        raise WarehouseError(f"{what}\nThe log is {log}; the slices stay pending, so run the build again when this is mended.")
    return found


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return next((line for line in reversed(lines) if "Error" in line or "Exception" in line), lines[-1] if lines else "it said nothing")[:300]


# ---------------------------------------------------------------- back in PostgreSQL


def _drop_landings(connection: psycopg.Connection) -> None:
    """Those of builds that were killed, too: what still writes into one fails."""
    for (name,) in connection.execute(r"select nspname from pg_namespace where nspname ~ '^landing_\d+$'").fetchall():
        connection.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(name)))


def _put_in_place(connection: psycopg.Connection, landing: str, rows: dict[str, int]) -> None:
    """What landed replaces the rows of the same slices; dimensions take what is new or differs. The caller's transaction."""
    for name, expected in rows.items():
        (found,) = connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(landing, name))).fetchone()
        if found != expected:
            raise WarehouseError(f"Spark has {expected:,} rows of {name}, {found:,} arrived in PostgreSQL. Run the build again.")
    schema, slices = SLICES.split(".")
    connection.execute(sql.SQL("truncate {}").format(sql.Identifier(schema, slices)))
    _insert(connection, landing, schema, slices)
    forms = forms_of_marts()
    for name in (n for n in _parents_first(connection) if n in rows):
        if name not in forms:
            _insert(connection, landing, "candidate", name, update=True)
            continue
        place = "county_code" if accumulating(forms[name]) else "county_code, week"
        connection.execute(
            sql.SQL(f"delete from {{}} where ({place}) in (select {place} from {SLICES} where form = {{}})").format(
                sql.Identifier("candidate", name), sql.Literal(forms[name])
            )
        )
        _insert(connection, landing, "candidate", name)


def _parents_first(connection: psycopg.Connection) -> list[str]:
    """The candidate tables, each after those that its foreign keys point to."""
    tables: dict[str, set[str]] = {
        name: set() for (name,) in connection.execute("select relname from pg_class where relnamespace = 'candidate'::regnamespace and relkind = 'r'")
    }
    for child, parent in connection.execute(
        """select c.relname, p.relname from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_class p on p.oid = f.confrelid
           where f.contype = 'f' and f.connamespace = 'candidate'::regnamespace and c.oid <> p.oid"""
    ):
        tables[child].add(parent)
    return list(TopologicalSorter(tables).static_order())


def _insert(connection: psycopg.Connection, landing: str, schema: str, name: str, *, update: bool = False) -> None:
    """All rows of the landed table; with ``update``, those whose key is there already are changed where they differ.

    Numbers come with as many decimals as Spark's type has; those that nobody wrote are taken off again.
    """
    columns = connection.execute(
        """select attname, format_type(atttypid, null) from pg_attribute
           where attrelid = format('%%I.%%I', %s::text, %s::text)::regclass and attnum > 0 and not attisdropped order by attnum""",
        [schema, name],
    ).fetchall()
    names = [sql.Identifier(c) for c, _ in columns]
    trimmed = "case when scale({c}) = {full} then trim_scale({c}) else {c} end"
    values = [sql.SQL(trimmed if kind == "numeric" else "{c}").format(c=sql.Identifier(c), full=sql.Literal(lake.NUMBER.scale)) for c, kind in columns]
    parts = {"table": sql.Identifier(schema, name), "names": sql.SQL(", ").join(names), "values": sql.SQL(", ").join(values), "from": sql.Identifier(landing, name)}
    statement = sql.SQL("insert into {table} as t ({names}) select {values} from {from}").format(**parts)
    if update:
        key = connection.execute(
            """select array_agg(a.attname::text) from pg_constraint p join pg_attribute a on a.attrelid = p.conrelid and a.attnum = any(p.conkey)
               where p.contype = 'p' and p.conrelid = format('%%I.%%I', %s::text, %s::text)::regclass""",
            [schema, name],
        ).fetchone()[0]
        statement += sql.SQL(" on conflict ({key}) do update set ({names}) = row({new}) where ({old}) is distinct from ({new})").format(
            key=sql.SQL(", ").join(map(sql.Identifier, key)),
            names=parts["names"],
            old=sql.SQL(", ").join(sql.SQL("t.{}").format(n) for n in names),
            new=sql.SQL(", ").join(sql.SQL("excluded.{}").format(n) for n in names),
        )
    connection.execute(statement)
