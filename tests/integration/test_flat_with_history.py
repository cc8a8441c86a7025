"""A week reads as much of the database with five times the history behind it: counted in rows, not in seconds.

Both histories are longer than a year, the widest window that a step looks back through.
"""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from demo.generate import DemoSet, write_week
from demo.history import deepen
from demo.reference import write_reference
from expectations.judge import judge
from ingestion.load import load
from ingestion.receive import receive
from reporting.site import build_site
from warehouse import calendar, database
from warehouse.build import build
from warehouse.calendar import as_of_date
from warehouse.publication import publish
from warehouse.settings import Settings

YEAR, BLOCK = 2039, 4  # far enough ahead for all those weeks since 2020, when the forms begin
DEPTHS = (60, 300)
# the calendar, and the register with a short row a form, county and week, which the pages join as a whole where that is cheaper
REGISTERS = ("store.dim_week", "candidate.dim_week", "intake.submission")
SLACK = 2_000  # rows a table: the planner may scan a table that is small in one history and not in the other

READ = """
select schemaname || '.' || relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
from pg_stat_user_tables where schemaname in ('intake', 'raw', 'quality', 'ops', 'candidate', 'store', 'reference')
"""


@pytest.fixture(scope="module")
def histories(server, template, tmp_path_factory):
    """depth → a home with so many published weeks of two counties, and the weeks to come."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("histories")
    patch.setenv("WAREHOUSE_REFERENCE", str(write_reference(folder / "reference", counties=2, townships=3, villages=6)))
    base = _home(server, folder, "flat_base", template)
    database.start(base)  # the made-up places take the place of those that the template was made with
    _publish(base, [write_week(folder / f"w{n}", n, year=YEAR, payouts=12) for n in range(1, BLOCK + 1)])
    homes = {}
    for depth in DEPTHS:
        homes[depth] = _home(server, folder, f"flat_{depth}", "flat_base")
        shutil.copytree(base.home, homes[depth].home, dirs_exist_ok=True)
        with database.connect(homes[depth], autocommit=True) as connection:
            assert deepen(connection, depth)[2] == depth
    yield homes, folder
    patch.undo()


def _home(server: str, folder: Path, name: str, origin: str) -> Settings:
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"drop database if exists {name} with (force)")
        admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [origin])  # dbt keeps a session
        admin.execute(f"create database {name} template {origin} strategy file_copy")
    settings = replace(Settings.from_environment(), home=folder / name, url=server.rsplit("/", 1)[0] + "/" + name)
    settings.prepare()
    return settings


def _publish(settings: Settings, demos: list[DemoSet]) -> None:
    """Every step from the inbox to the pages, but for Great Expectations, whose import takes longer than all of them."""
    now = dt.datetime.combine(as_of_date(demos[-1].weeks[0]) + dt.timedelta(days=2), dt.time(12, 30), settings.timezone)
    with database.connect(settings, autocommit=True) as connection:
        for demo in demos:
            receive(connection, settings, demo.folder, arrivals=demo.folder / "arrivals.csv")
        load(connection, settings, workers=0, outbox=False)
        week = max(demos[-1].weeks[0], calendar.publish_week(connection, now))
        build(settings, now=now, publish_week=week)
        verdict = judge(connection, settings, now=now, publish_week=week, great_expectations=False)
        assert publish(connection, settings, check_run_id=verdict.check_run_id, approved_by="审核人甲") is not None
        build_site(connection, settings)


def _rows_read(settings: Settings, demo: DemoSet) -> dict[str, int]:
    """Rows of each table that a cycle read, by scans and by index."""
    with database.connect(settings, autocommit=True) as connection:
        connection.execute("analyze")
        connection.execute("select pg_stat_reset()")
    _publish(settings, [demo])
    with database.connect(settings, autocommit=True) as connection:
        connection.execute("select pg_stat_clear_snapshot()")
        return dict(connection.execute(READ).fetchall())


def test_a_week_reads_no_more_with_five_times_the_history(histories):
    homes, folder = histories
    demo = write_week(folder / "next", BLOCK + 1, year=YEAR, payouts=12)
    few, many = (_rows_read(homes[depth], demo) for depth in DEPTHS)
    grown = {table: (few.get(table, 0), rows) for table, rows in many.items() if table not in REGISTERS and rows > 1.3 * few.get(table, 0) + SLACK}
    assert not grown


def test_a_correction_reads_no_more_with_five_times_the_history(histories):
    homes, folder = histories
    again = write_week(folder / "again", BLOCK, year=YEAR, payouts=12, seed=7, counties=["455121"], forms=["EMP01", "FUN01", "IND02"])
    few, many = (_rows_read(homes[depth], again) for depth in DEPTHS)
    grown = {table: (few.get(table, 0), rows) for table, rows in many.items() if table not in REGISTERS and rows > 1.3 * few.get(table, 0) + SLACK}
    assert not grown
