"""A city's weeks: one workbook, a whole cycle, a correction, all rules and what a reader waits, with more and more history behind."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
import statistics
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from demo.generate import DemoSet, write_demo, write_week
from demo.history import deepen
from demo.reference import write_reference
from ingestion.reading import read_file
from tests.benchmarks.figure import Figure, Workshop, against, processor_seconds, seconds, within
from warehouse import database
from warehouse.calendar import as_of_date
from warehouse.cycle import run_cycle
from warehouse.settings import REPOSITORY, Settings

# The base is written as workbooks and goes the whole way; what lies before it is repeated in the database (demo/history.py).
# The forms begin in 2020, so that a thousand weeks end in 2039.
YEAR, BASE, COUNTIES = 2039, 13, 12
SHORT, LONG, LONGEST = 26, 260, 1001
READ = """
select sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)) from pg_stat_user_tables
where schemaname in ('intake', 'raw', 'quality', 'ops', 'candidate', 'store', 'reference')
"""
READER_QUERY = """
select c.short_name, w.iso_year, w.month_no, sum(f.{figure}), count(*)
from {schema}.{fact} f join {schema}.dim_county c using (county_code) join {schema}.dim_week w using (week)
group by 1, 2, 3
"""
READER_FACTS = (("fct_employment_weekly", "employed_away"), ("fct_subsidy_payment", "amount"))


def sheets(shop: Workshop, samples: int) -> list[Figure]:
    """A county's weekly workbook with 16 sheets: read and checked, in processor time."""
    demo = write_week(shop.folder / "sheets", 24, year=2020)
    file = next(f for f in demo.files if f.path.endswith(".xlsx") and len(f.forms) >= 16)

    def read():
        return read_file(demo.folder / file.path, received_at=file.received_at)

    assert len(read().forms) >= 16
    spent = [processor_seconds(read) for _ in range(samples)]
    return [within("workbook_16_sheets", 1.0, spent, "s", sheets=len(file.forms), clock="processor time")]


def city(shop: Workshop, samples: int, depths: tuple[int, ...] = (SHORT, LONG, LONGEST), base: int = BASE, counties: int = COUNTIES) -> list[Figure]:
    """One week of a city and one correction behind so many weeks each, then rules, then a reader."""
    with _made_up_places(shop.folder / "city", counties), contextlib.ExitStack() as stack:
        first = stack.enter_context(shop.home())
        _publish(first, shop.folder / "city" / "base", base)
        coming = [write_week(shop.folder / "city" / f"w{n}", n, year=YEAR, payouts=60) for n in range(base + 1, base + samples + 3)]
        homes = {}
        for depth in depths:
            homes[depth] = stack.enter_context(shop.home(first))
            with database.connect(homes[depth], autocommit=True) as connection:
                deepen(connection, depth)
        weekly: dict[int, list[dict]] = {depth: [] for depth in depths}
        for demo in coming[:-1]:  # the first warms up
            for depth, settings in homes.items():
                weekly[depth].append(_cycle(settings, demo))
        again = _corrections(coming[0], homes, samples, shop.folder / "city", dt.datetime(YEAR, 12, 1, 9, tzinfo=first.timezone))
        figures = [
            within("city_week_cycle", 15.0, [t["wall"] for t in weekly[depths[0]][1:]], "s", files=len(coming[1].files), counties=counties, weeks=depths[0],
                   steps={d: _steps(took[1:]) for d, took in weekly.items()}),
            *(_deeper(f"week_in_{d}_weeks", 1.3, weekly, depths[0], d, "wall", "s") for d in depths[1:]),
            *(_deeper(f"rows_read_in_{d}_weeks", 1.3, weekly, depths[0], d, "read", "rows") for d in depths[1:]),
            *(_deeper(f"correction_in_{d}_weeks", 1.3, again, depths[0], d, "wall", "s", forms=len(coming[0].files[0].forms)) for d in depths[1:]),
            *(_deeper(f"correction_rows_read_in_{d}_weeks", 1.3, again, depths[0], d, "read", "rows") for d in depths[1:]),
            _rules(homes[depths[-1]], coming[-1], samples, depths[-1]),
        ]  # fmt: skip
    return figures


@contextlib.contextmanager
def _made_up_places(folder: Path, counties: int) -> Iterator[None]:
    """Counties that bear no dates, so that they can be repeated into the past."""
    before = os.environ.get("WAREHOUSE_REFERENCE")
    os.environ["WAREHOUSE_REFERENCE"] = str(write_reference(folder / "reference", counties, townships=11, villages=12))
    try:
        yield
    finally:
        if before is None:
            del os.environ["WAREHOUSE_REFERENCE"]
        else:
            os.environ["WAREHOUSE_REFERENCE"] = before


def _publish(settings: Settings, folder: Path, weeks: int) -> None:
    """Weeks 1 to ``weeks`` in one cycle."""
    write_demo(folder, weeks + 1, year=YEAR, payouts=60, faults=False, truth=False)
    result = run_cycle(settings, inbox=folder / "backfill", arrivals=folder / "backfill" / "arrivals.csv", now=_due(settings, f"{YEAR}-W{weeks:02d}"))
    assert result.outcome == "published", result


def _due(settings: Settings, week: str) -> dt.datetime:
    """Shortly after a week's files were due."""
    return dt.datetime.combine(as_of_date(week) + dt.timedelta(days=2), dt.time(12, 30), settings.timezone)


def _cycle(settings: Settings, demo: DemoSet) -> dict:
    return _run(settings, demo.folder, _due(settings, demo.weeks[0]))


def _run(settings: Settings, inbox: Path, now: dt.datetime) -> dict:
    """A cycle as its users start it, a process with all its imports: ``wall`` seconds, ``read`` rows of tables, and what it says itself."""
    command = "from warehouse.cli import main; main()"
    arguments = ["cycle", "--inbox", inbox, "--arrivals", inbox / "arrivals.csv", "--now", now.isoformat(), "--json"]
    environment = os.environ | {"WAREHOUSE_HOME": str(settings.home), "WAREHOUSE_URL": settings.url}
    with database.connect(settings, autocommit=True) as connection:
        connection.execute("select pg_stat_reset()")
    done: list[subprocess.CompletedProcess] = []
    wall = seconds(lambda: done.append(subprocess.run(
        [sys.executable, "-c", command, *map(str, arguments)], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )))  # fmt: skip
    said = json.loads(done[0].stdout)
    assert said["outcome"] == "published", done[0].stdout + done[0].stderr
    with database.connect(settings, autocommit=True) as connection:
        (read,) = connection.execute(READ).fetchone()
    return said | {"wall": wall, "read": int(read)}


def _steps(took: list[dict]) -> dict[str, float]:
    return {step: round(statistics.median(t["seconds"].get(step, 0) for t in took), 2) for step in took[0]["seconds"]}


def _deeper(name: str, goal: float, took: dict[int, list[dict]], short: int, long: int, what: str, unit: str, **about: object) -> Figure:
    """What depth costs: medians of what was measured behind ``long`` weeks over ``short``; the first of each warmed up."""
    ours, theirs = ([t[what] for t in took[depth][1:]] for depth in (long, short))
    return against(name, goal, ours, theirs, f"{unit} / {unit}", weeks=long, peer_is=f"the same with {short} weeks of history", **about)


def _corrections(demo: DemoSet, homes: dict[int, Settings], samples: int, folder: Path, begin: dt.datetime) -> dict[int, list[dict]]:
    """One county's workbook of a published week sent again with other bytes, behind each history in turn, each a minute after the one before."""
    original = next(f for f in demo.files if f.path.endswith(".xlsx"))
    took: dict[int, list[dict]] = {depth: [] for depth in homes}
    for sample in range(samples + 1):
        for depth, settings in homes.items():
            drop = folder / f"again-{depth}-{sample}"
            drop.mkdir()
            path = Path(shutil.copy(demo.folder / original.path, drop))
            with zipfile.ZipFile(path, "a") as archive:
                archive.comment = f"{depth}-{sample}".encode()
            now = begin + dt.timedelta(minutes=sample)
            (drop / "arrivals.csv").write_text(f"path,received_at\n{path.name},{now.isoformat()}\n", encoding="utf-8")
            took[depth].append(_run(settings, drop, now))
    return took


def _rules(settings: Settings, demo: DemoSet, samples: int, depth: int) -> Figure:
    """All rules of one week over what was built: the time between question and answer, which is the database's and a little more."""
    from expectations.judge import judge
    from ingestion.load import load
    from ingestion.receive import receive
    from warehouse.build import build

    now = _due(settings, demo.weeks[0])
    with database.connect(settings, autocommit=True) as connection:
        receive(connection, settings, demo.folder, arrivals=demo.folder / "arrivals.csv")
        load(connection, settings)
        build(settings, now=now)
        spent = [seconds(lambda: judge(connection, settings, now=now, great_expectations=False)) for _ in range(samples)]
    return within("rules_of_a_week", 2.0, spent, "s", counties=len({f.county_code for f in demo.files}), weeks=depth)


def reader(shop: Workshop, samples: int, weeks: int = 52, base: int = 4, counties: int = COUNTIES, repeats: int = 20) -> list[Figure]:
    """A dashboard's query on two stars as of an earlier publication, and on plain tables that hold the same rows."""
    with _made_up_places(shop.folder / "reader", counties), shop.home() as settings:
        _publish(settings, shop.folder / "reader" / "base", base)
        with database.connect(settings, autocommit=True) as connection:
            deepen(connection, weeks - 2)
        for n in (base + 1, base + 2):
            _cycle(settings, write_week(shop.folder / "reader" / f"w{n}", n, year=YEAR, payouts=60))
        with database.connect(settings, autocommit=True) as connection:
            connection.execute("set warehouse.publication = '2'")
            connection.execute("create schema bench")
            for name in ("dim_county", "dim_week", *(fact for fact, _ in READER_FACTS)):
                connection.execute(f"create table bench.{name} as select * from marts.{name}")
            connection.execute("create unique index on bench.dim_county (county_code)")
            connection.execute("create unique index on bench.dim_week (week)")
            connection.execute("vacuum analyze")
            connection.execute("grant usage on schema bench to bi_reader")
            connection.execute("grant select on all tables in schema bench to bi_reader")
            connection.execute("set role bi_reader")  # as its users read: past the filter that shows a county its own rows
            figures = []
            for fact, figure in READER_FACTS:
                (rows,) = connection.execute(f"select count(*) from bench.{fact}").fetchone()

                def ask(schema: str, fact: str = fact, figure: str = figure) -> float:
                    query = READER_QUERY.format(schema=schema, fact=fact, figure=figure)
                    return seconds(lambda: [connection.execute(query).fetchall() for _ in range(repeats)]) / repeats

                pairs = [(ask("marts"), ask("bench")) for _ in range(samples + 1)][1:]
                about = {"rows": rows, "weeks": weeks, "counties": counties, "peer_is": "the same query on plain tables"}
                figures.append(against(f"reader_{fact}", 1.5, [a for a, _ in pairs], [b for _, b in pairs], **about))
    return figures
