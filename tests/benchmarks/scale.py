"""Beyond a city: ten million payouts under the rules, a province from its originals, a nation's week on one server."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from unittest.mock import patch

import psycopg

from demo.generate import DemoSet, write_demo, write_week
from demo.reference import write_reference
from expectations import payouts as counts
from tests.benchmarks.figure import Figure, Watch, Workshop, against, seconds, within
from tests.benchmarks.weeks import YEAR, _corrections, _due, _made_up_places, _publish, _run, _steps
from warehouse import database
from warehouse.settings import Settings


def payouts(shop: Workshop, samples: int, rows: int = 10_000_000, weeks: int = 20, counties: int = 12) -> list[Figure]:
    """All rules of a week in front of so many payouts; and all rules of every week of them at once.

    Rules and their results; what stands out (`expectations.anomalies`) is looked for by statistics, not by a rule.
    """
    from expectations.judge import judge

    with _made_up_places(shop.folder / "payouts", counties), shop.home() as settings:
        _publish(settings, shop.folder / "payouts" / "base", weeks + 1)
        with database.connect(settings, autocommit=True) as connection:
            _many_payouts(connection, rows, weeks)
            counting = seconds(lambda: _recount(connection))
            (found,) = connection.execute("select count(*) from raw.ind02").fetchone()
            demo = write_week(shop.folder / "payouts" / "next", weeks + 2, year=YEAR, payouts=60)
        _run(settings, demo.folder, _due(settings, demo.weeks[0]))
        with database.connect(settings, autocommit=True) as connection:
            tables = ("raw.ind02", "raw.ind01", "intake.submission")

            def scan():
                return [connection.execute(f"select count(*) from {t}").fetchone() for t in tables]

            connection.execute("set enable_indexscan = off; set enable_bitmapscan = off; set enable_indexonlyscan = off; set max_parallel_workers_per_gather = 0")
            scans = [seconds(scan) for _ in range(samples + 1)][1:]
            connection.execute("reset all")
            now, week = _due(settings, demo.weeks[0]), demo.weeks[0]
            with patch("expectations.judge._anomalies"):
                one = [seconds(lambda: judge(connection, settings, now=now, publish_week=week, great_expectations=False, again=(week, week))) for _ in range(samples)]
                first = connection.execute("select min(week) from intake.submission").fetchone()[0]
                whole = [seconds(lambda: judge(connection, settings, now=now, publish_week=week, great_expectations=False, again=(first, week))) for _ in range(samples)]
    about = {"rows": found, "counted_once_s": round(counting), "peer_is": "one sequential scan of each table they read"}
    return [
        against("rules_before_payouts", 3.0, one, scans, what="the newest week", **about),
        against("rules_over_payouts", 3.0, whole, scans, what="every week", **about),
    ]


def _recount(connection: psycopg.Connection) -> None:
    """The running counts of the lists, once for all that was blown up."""
    with connection.transaction():
        counts.recount(connection)


def _many_payouts(connection: psycopg.Connection, rows: int, weeks: int) -> None:
    """Blow the accepted payout lists up to so many rows in all: the lists stay, each row comes ``times`` times."""
    (have,) = connection.execute("select count(*) from raw.ind02").fetchone()
    times = max(1, round(rows / have) - 1)
    with connection.transaction():
        connection.execute("set local session_replication_role = replica")
        connection.execute("set local work_mem = '256MB'")
        columns = [c for (c,) in connection.execute("select attname from pg_attribute where attrelid = 'raw.ind02'::regclass and attnum > 0 and not attisdropped order by attnum")]
        marked = {"payment_no": "r.payment_no || '-' || n", "batch_no": "r.batch_no || '-' || n", "id_key": "md5(r.id_key || n)", "household_key": "md5(r.household_key || n)",
                  "row_no": "r.row_no + n * 100000"}  # fmt: skip
        keys = connection.execute("select indexdef from pg_indexes where schemaname = 'raw' and tablename = 'ind02' and indexdef not like '%UNIQUE%'").fetchall()
        names = connection.execute("select indexname from pg_indexes where schemaname = 'raw' and tablename = 'ind02' and indexdef not like '%UNIQUE%'").fetchall()
        for (name,) in names:
            connection.execute(f"drop index raw.{name}")
        connection.execute(
            f"insert into raw.ind02 ({', '.join(columns)}) select {', '.join(marked.get(c, 'r.' + c) for c in columns)} from raw.ind02 r cross join generate_series(1, {times}) n"
        )
        connection.execute(
            "update intake.submission s set rows_read = n.rows, rows_loaded = n.rows from (select submission_id, count(*) as rows from raw.ind02 group by 1) n where n.submission_id = s.submission_id"
        )
        for (definition,) in keys:
            connection.execute(definition)
    connection.execute("vacuum analyze")


# ---------------------------------------------------------------- a province


def province(shop: Workshop, samples: int, counties: int = 100, weeks: int = 52) -> list[Figure]:
    """So many counties' workbooks of so many weeks, from the inbox to published: memory of all processes, the server's included."""
    folder = shop.folder / "province"
    os.environ["WAREHOUSE_REFERENCE"] = str(write_reference(folder / "reference", counties))
    try:
        with shop.home() as settings:
            written = seconds(lambda: write_demo(folder, weeks, faults=False, truth=False))
            postmaster = int((shop.server.data / "postmaster.pid").read_text().split()[0])
            with Watch(os.getpid(), postmaster) as watch:
                said = [_run(settings, drop, dt.datetime(2021, 1, 20, tzinfo=settings.timezone)) for drop in (folder / "backfill", folder / f"week{weeks:02d}")]
            size = _gigabytes(settings)
    finally:
        del os.environ["WAREHOUSE_REFERENCE"]
    rows, files = (sum(sum(one[what].values()) if what == "files" else one[what]["loaded"] for one in said) for what in ("rows", "files"))
    about = {
        "counties": counties, "weeks": weeks, "files": files, "rows": rows, "database_gb": size, "written_s": round(written),
        "seconds": round(sum(one["wall"] for one in said)), "by_step": said[0]["seconds"], "one_week_s": round(said[1]["wall"], 1),
    }  # fmt: skip
    return [within("province_memory", 4096, [watch.peak], "MB", of="PSS of all processes, PostgreSQL included", **about)]


def _gigabytes(settings: Settings) -> float:
    with database.connect(settings, autocommit=True) as connection:
        return round(connection.execute("select pg_database_size(current_database())").fetchone()[0] / 2**30, 2)


# ---------------------------------------------------------------- a nation


@dataclass(frozen=True)
class NationsWeek:
    """A week's ledgers that lie in raw and wait for a build, behind a published week."""

    settings: Settings
    connection: psycopg.Connection
    counties: int
    before: DemoSet
    demo: DemoSet
    said: dict  # of the cycle over the week before
    rows_a_second: float
    rows: int

    @property
    def week(self) -> str:
        return self.demo.weeks[0]

    @property
    def about(self) -> dict[str, int]:
        return {"rows": self.rows, "counties": self.counties}

    def judge(self) -> int:
        from expectations.judge import judge

        verdict = judge(self.connection, self.settings, now=_due(self.settings, self.week), publish_week=self.week, great_expectations=False)
        assert verdict.verdict != "blocked", verdict.blocking_zh
        return verdict.check_run_id

    def publish(self, check_run_id: int) -> object:
        from warehouse.publication import publish

        return publish(self.connection, self.settings, check_run_id=check_run_id, approved_by="benchmark")


@contextlib.contextmanager
def _nations_week(shop: Workshop, households: int, counties: int) -> Iterator[NationsWeek]:
    """The week before is published from the counties' small files; this week's ledgers come in through the inbox and are filled up in the database."""
    from ingestion.load import load
    from ingestion.receive import receive

    folder = shop.folder / "nation"
    os.environ["WAREHOUSE_REFERENCE"] = str(write_reference(folder / "reference", counties, townships=3, villages=5))
    try:
        with shop.home() as settings, database.connect(settings, autocommit=True) as connection:
            before, demo = (write_week(folder / f"w{n}", n, forms=("MON01", "MON02"), payouts=3) for n in (24, 25))
            said = _run(settings, before.folder, _due(settings, before.weeks[0]))
            receive(connection, settings, demo.folder, arrivals=demo.folder / "arrivals.csv")
            load(connection, settings)
            rate, rows = _fill_ledgers(connection, households, demo.weeks[0])
            yield NationsWeek(settings, connection, counties, before, demo, said, rate, rows)
    finally:
        del os.environ["WAREHOUSE_REFERENCE"]


def nation(shop: Workshop, samples: int, households: int = 29_500_000, counties: int = 832, name: str = "nation") -> list[Figure]:
    """One week's snapshot of the monitored households of every county, on one PostgreSQL; figures are called ``name``_….

    Once the ledgers are in raw everything is the product: build, checks, publication, and a cycle over one county's
    correction. The figures are shares of a day's time (or of a query's two seconds), so that they say how much room there is.
    """
    from warehouse.build import build

    with _nations_week(shop, households, counties) as ready:
        settings, connection, about = ready.settings, ready.connection, ready.about
        raw = _table_gb(connection, "raw.mon02")
        postmaster = int((shop.server.data / "postmaster.pid").read_text().split()[0])
        with Watch(os.getpid(), postmaster) as building:
            built = seconds(lambda: build(settings, publish_week=ready.week))
        runs: list[int] = []
        judged = seconds(lambda: runs.append(ready.judge()))
        with Watch(os.getpid(), postmaster) as publishing:
            published = seconds(lambda: ready.publish(runs[0]))
        connection.execute("vacuum analyze store.fct_monitored_household")
        store = _table_gb(connection, "store.fct_monitored_household")
        (county,) = connection.execute("select min(county_code) from reference.counties").fetchone()
        queries = {
            what: statistics.median(seconds(lambda text=text: connection.execute(text, {"county": county, "week": ready.week}).fetchall()) for _ in range(3))
            for what, text in NATION_QUERIES.items()
        }
        again = _corrections(ready.demo, {counties: settings}, samples, shop.folder / "nation", _due(settings, ready.week) + dt.timedelta(hours=1))[counties][1:]
        size, steps = _gigabytes(settings), _steps(again)
    day = 24 * 3600
    return [
        within(f"{name}_receive", 3600, [ready.said["wall"]], "s", files=len(ready.before.files), of="a cycle over every county's small file", counties=counties),
        within(f"{name}_intake", day, [ready.rows / ready.rows_a_second], "s", rows_a_second=round(ready.rows_a_second), raw_gb=raw,
               of="COPY into raw with its keys, one session", **about),
        within(f"{name}_build", day, [built], "s", peak_mb=round(building.peak), of="dbt, keys and foreign keys checked", **about),
        within(f"{name}_judge", day, [judged], "s", of="rules of the week, without Great Expectations", **about),
        within(f"{name}_publish", day, [published], "s", peak_mb=round(publishing.peak), store_gb=store, database_gb=size,
               of="row versions, hashes and revisions, one transaction", **about),
        within(f"{name}_correction", 60, [t["wall"] - t["seconds"]["report"] for t in again], "s", of="one county's week, file to published",
               by_step=steps, report_s=steps["report"], **about),
        *(within(f"{name}_query_{what}", 2.0, [took], "s", **about) for what, took in queries.items()),
    ]  # fmt: skip


def engines(shop: Workshop, samples: int, households: int = 2_950_000, counties: int = 832, name: str = "tenth") -> list[Figure]:
    """The week of `nation`, built on PostgreSQL and published, then built again on Spark: nothing may differ from what is published."""
    from warehouse.build import build

    with _nations_week(shop, households, counties) as ready:
        postgresql = seconds(lambda: build(ready.settings, publish_week=ready.week))
        assert ready.publish(ready.judge()) is not None
        ready.connection.execute(
            """insert into ops.pending_slice (form, county_code, week) select form, county_code, week from intake.accepted_submission
               where form = 'MON02' and week = %s""",
            [ready.week],
        )
        spark = seconds(lambda: build(replace(ready.settings, spark=f"local[{os.cpu_count()}]"), publish_week=ready.week))
        differs = ready.publish(ready.judge())
        assert differs is None, f"{differs.rows_opened} rows from Spark differ from those of PostgreSQL"
    return [within(f"{name}_spark", 24 * 3600, [spark], "s", postgresql_s=round(postgresql, 1), of="Parquet out, dbt, JDBC back, keys checked", **ready.about)]


NATION_QUERIES = {
    "county": "select alert_level, count(*) from marts.fct_monitored_household where county_code = %(county)s and week = %(week)s group by 1",
    "all": "select county_code, alert_level, count(*) from marts.fct_monitored_household where week = %(week)s group by 1, 2",
}


def _fill_ledgers(connection: psycopg.Connection, households: int, week: str) -> tuple[float, int]:
    """Repeat each county's ledger of a week until there are so many rows; returns rows a second of a COPY of a part of them, and the number."""
    of_week = f"submission_id in (select submission_id from intake.submission where week = '{week}')"
    (have,) = connection.execute(f"select count(*) from raw.mon02 where {of_week}").fetchone()
    times = max(0, round(households / have) - 1)
    columns = [c for (c,) in connection.execute("select attname from pg_attribute where attrelid = 'raw.mon02'::regclass and attnum > 0 and not attisdropped order by attnum")]
    marked = {"household_no": "r.household_no || '-' || n", "household_key": "md5(r.household_key || n)", "row_no": "r.row_no + n * 100000"}
    select = f"select {', '.join(marked.get(c, 'r.' + c) for c in columns)} from raw.mon02 r cross join generate_series(1, {times}) n where {of_week}"
    connection.execute("set session_replication_role = replica")
    connection.execute(f"insert into raw.mon02 ({', '.join(columns)}) {select}")
    connection.execute(
        """update intake.submission s set rows_read = n.rows, rows_loaded = n.rows
           from (select submission_id, count(*) as rows from raw.mon02 group by 1) n where n.submission_id = s.submission_id"""
    )
    connection.execute("reset session_replication_role")
    connection.execute("vacuum analyze raw.mon02")
    (rows,) = connection.execute("select count(*) from raw.mon02").fetchone()
    connection.execute("create table raw.bench_copy (like raw.mon02 including indexes)")
    with connection.cursor() as cursor, cursor.copy("copy (select * from raw.mon02 limit 1000000) to stdout") as out:
        lines = b"".join(map(bytes, out))
    took = seconds(lambda: _copy_in(connection, lines))
    copied = connection.execute("select count(*) from raw.bench_copy").fetchone()[0]
    connection.execute("drop table raw.bench_copy")
    return copied / took, rows


def _copy_in(connection: psycopg.Connection, lines: bytes) -> None:
    with connection.cursor() as cursor, cursor.copy("copy raw.bench_copy from stdin") as into:
        for begin in range(0, len(lines), 1 << 20):
            into.write(lines[begin : begin + (1 << 20)])


def _table_gb(connection: psycopg.Connection, table: str) -> float:
    return round(connection.execute("select pg_total_relation_size(%s::regclass)", [table]).fetchone()[0] / 2**30, 2)
