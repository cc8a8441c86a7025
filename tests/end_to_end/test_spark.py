"""The same project on a Spark standalone cluster of two workers, for real: the same rows, and readers notice nothing.

Two warehouses get the same files. One builds on PostgreSQL, the other on Spark; after each build every candidate table
is the same in both, row by row. Long mode: it takes minutes. WAREHOUSE_SPARK_YEAR=1 takes the demonstration half-year.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from demo.generate import write_demo, write_week
from expectations.judge import judge
from ingestion.load import load
from ingestion.receive import receive
from warehouse import database, spark
from warehouse.build import build
from warehouse.calendar import due_at
from warehouse.publication import latest, publish, verify
from warehouse.settings import REPOSITORY, Settings, WarehouseError

LACKING = spark.lacking()
pytestmark = [
    pytest.mark.database,
    pytest.mark.long,
    pytest.mark.skipif(not os.environ.get("WAREHOUSE_LONG"), reason="long mode only: set WAREHOUSE_LONG=1"),
    pytest.mark.skipif(LACKING is not None, reason=str(LACKING)),
]
WHOLE, LISTED, SILENT = "451002", "451026", "451031"
WORKERS = 2


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Address of a standalone master with two workers on the loopback."""
    folder = tmp_path_factory.mktemp("cluster")
    command = [spark.PYTHON, REPOSITORY / "spark/cluster.py", "--workers", str(WORKERS), "--folder", folder]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("spark://"), f"no cluster: see {folder}"
        yield address
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()


@pytest.fixture
def pair(server, template, tmp_path, cluster):
    """Settings of a warehouse that builds on PostgreSQL and of one that builds on the cluster; same secrets, own databases."""
    common = replace(Settings.from_environment(), home=tmp_path / "home")
    common.prepare()
    made = []
    with psycopg.connect(server, autocommit=True) as admin:
        for name, master in (("on_postgresql", None), ("on_spark", cluster)):
            admin.execute(f"drop database if exists {name} with (force)")
            admin.execute(f"create database {name} template {template} strategy file_copy")
            made.append(replace(common, url=server.rsplit("/", 1)[0] + "/" + name, spark=master))
    yield made
    with psycopg.connect(server, autocommit=True) as admin:
        for name in ("on_postgresql", "on_spark"):
            admin.execute(f"drop database {name} with (force)")


def take(pair, folders: list[Path], now: dt.datetime) -> None:
    """Receive and load the same files in both."""
    for settings in pair:
        with database.connect(settings, autocommit=True) as connection:
            for n, folder in enumerate(folders):
                receive(connection, settings, folder, now=now - dt.timedelta(hours=6 - n))
            load(connection, settings, workers=0, outbox=False)


def structure(connection) -> list[tuple]:
    """Keys, references, indexes and column types of the candidate tables."""
    keys = "select conrelid::regclass::text, pg_get_constraintdef(oid), '' from pg_constraint where connamespace = 'candidate'::regnamespace"
    indexes = "select tablename, regexp_replace(indexdef, 'INDEX \\S+ ON', 'INDEX ON'), '' from pg_indexes where schemaname = 'candidate'"
    columns = "select table_name, column_name, data_type from information_schema.columns where table_schema = 'candidate'"
    return sorted(connection.execute(f"{keys} union all {indexes} union all {columns}").fetchall())


def candidate_rows(connection) -> dict[str, list[tuple]]:
    """Every candidate table and the slices of the build: all columns, all rows, in an order that both share."""
    found = {}
    with connection.transaction():
        connection.execute("set local timezone = 'UTC'")
        names = connection.execute(
            "select schemaname || '.' || tablename from pg_tables where schemaname = 'candidate' or tablename = 'int_reporting__slice' order by 1"
        ).fetchall()
        for (name,) in names:
            columns = connection.execute("select column_name from information_schema.columns where table_schema || '.' || table_name = %s order by 1", [name]).fetchall()
            rows = connection.execute(f"select {', '.join(c for (c,) in columns)} from {name}").fetchall()
            found[name] = sorted(rows, key=lambda row: tuple((value is not None, str(value)) for value in row))
    return found


def same(pair) -> int:
    """Assert that both engines made the same; returns the number of rows compared."""
    with database.connect(pair[0]) as postgresql, database.connect(pair[1]) as spark_made:
        assert structure(postgresql) == structure(spark_made)
        expected, found = candidate_rows(postgresql), candidate_rows(spark_made)
    assert expected.keys() == found.keys()
    for name, rows in expected.items():
        differing = [(a, b) for a, b in zip(rows, found[name], strict=False) if [(type(v), v) for v in a] != [(type(v), v) for v in b]]
        assert len(rows) == len(found[name]) and not differing, (name, len(rows), len(found[name]), differing[:3])
    assert not [name for name, rows in expected.items() if not rows and name.split(".")[1] not in EMPTY]
    return sum(map(len, expected.values()))


EMPTY = ("fct_county_exit_weekly", "fct_village_exit_weekly")  # of counties that have not exited; the first test has one


def after(settings, week: str) -> dt.datetime:
    return due_at(week, "*", {}, settings.timezone) + dt.timedelta(hours=1)


def publish_candidates(settings, now):
    with database.connect(settings, autocommit=True) as connection:
        verdict = judge(connection, settings, now=now, great_expectations=False)
        assert verdict.verdict != "blocked", verdict
        return publish(connection, settings, check_run_id=verdict.check_run_id, approved_by="审核人甲")


def test_both_engines_make_the_same_marts_and_readers_notice_nothing(pair, tmp_path):
    now = after(pair[0], "2020-W23")
    first = write_week(tmp_path / "w23", 23, counties=(WHOLE, LISTED, SILENT), payouts=6)
    take(pair, [first.folder], now)
    for settings in pair:
        assert build(settings, now=now).succeeded
    assert same(pair) > 1000
    assert publish_candidates(pair[1], now).publication_id == 1

    # the week after: one county silent but for two forms, so that figures are carried; and a correction of the week before
    later = after(pair[0], "2020-W24")
    second = write_week(tmp_path / "w24", 24, counties=(WHOLE, LISTED), payouts=6)
    few = write_week(tmp_path / "few", 24, counties=(SILENT,), forms=("EMP01", "FUN01"), payouts=6)
    again = write_week(tmp_path / "again", 23, counties=(WHOLE,), forms=("EMP01",), seed=77)
    take(pair, [second.folder, few.folder, again.folder], later)
    slices = [build(settings, now=later).slices for settings in pair]
    assert slices[0] == slices[1] > 0
    same(pair)
    second_publication = publish_candidates(pair[1], later)
    assert (second_publication.publication_id, second_publication.trigger) == (2, "weekly")

    with database.connect(pair[1], autocommit=True) as connection:
        carried = connection.execute("select count(*) from marts.fct_campaign_weekly where carried_from_week = '2020-W23' and week = '2020-W24'").fetchone()[0]
        assert carried > 0 and verify(connection) == []
        assert connection.execute(r"select count(*) from pg_namespace where nspname ~ '^landing_'").fetchone() == (0,)

    # the engine is changed: PostgreSQL makes everything again, and there is nothing to publish
    back = replace(pair[1], spark=None)
    assert build(back, now=later, full_refresh=True).succeeded
    assert publish_candidates(back, later) is None
    with database.connect(back) as connection:
        assert latest(connection).publication_id == 2


def test_a_build_that_fails_on_spark_leaves_what_stands(pair, tmp_path):
    """A cluster that is not there: one sentence, slices pending, the candidates as they were; the next build makes it good."""
    now = after(pair[1], "2020-W23")
    take(pair, [write_week(tmp_path / "w23", 23, counties=(WHOLE,), forms=("EMP01", "REC01"), payouts=6).folder], now)
    broken = replace(pair[1], spark="spark://127.0.0.1:9")
    with pytest.raises(WarehouseError, match=r"spark\.log"):
        build(broken, now=now)
    with database.connect(broken, autocommit=True) as connection:
        assert connection.execute("select count(*) from ops.pending_slice where not built").fetchone()[0] > 0
        assert connection.execute("select count(*) from pg_tables where schemaname = 'candidate'").fetchone() == (0,)
        assert connection.execute(r"select count(*) from pg_namespace where nspname ~ '^landing_'").fetchone() == (0,)


@pytest.mark.skipif(not os.environ.get("WAREHOUSE_SPARK_YEAR"), reason="set WAREHOUSE_SPARK_YEAR=1: the demonstration half-year on both engines")
def test_the_demonstration_half_year_is_the_same_on_both(pair, tmp_path):
    demo = write_demo(tmp_path / "demo")
    for settings in pair:
        with database.connect(settings, autocommit=True) as connection:
            for folder in (demo.backfill, demo.last_week):
                receive(connection, settings, folder, arrivals=folder / "arrivals.csv")
            load(connection, settings, outbox=False)
    now = after(pair[0], demo.weeks[-1])
    for settings in pair:
        assert build(settings, now=now).succeeded
    assert same(pair) > 80_000  # the floor only says that a half-year was compared; `same` compares every row
