"""A city's weeks: one workbook, a whole cycle, a correction deep in history, all rules, and what a reader waits."""

from __future__ import annotations

import csv
import datetime as dt
import json
import os
import shutil
import statistics
import subprocess
import sys
import zipfile
from pathlib import Path

from demo.generate import DemoSet, write_week
from ingestion.reading import read_file
from tests.benchmarks.figure import Figure, Workshop, against, processor_seconds, seconds, within
from warehouse import database
from warehouse.calendar import as_of_date
from warehouse.cycle import run_cycle
from warehouse.settings import REPOSITORY, Settings

FEW_PAYOUTS = 12
READER_QUERY = "select week, county_code, industry_code, sum(amount), count(*) from {} group by week, county_code, industry_code"


def sheets(shop: Workshop, samples: int) -> list[Figure]:
    """A county's weekly workbook with 16 sheets: read and checked, in processor time."""
    demo = write_week(shop.folder / "sheets", 24, year=2020)
    file = next(f for f in demo.files if f.path.endswith(".xlsx") and len(f.forms) >= 16)
    read = lambda: read_file(demo.folder / file.path, received_at=file.received_at)  # noqa: E731
    assert len(read().forms) >= 16
    spent = [processor_seconds(read) for _ in range(samples)]
    return [within("workbook_16_sheets", 1.0, spent, "s", sheets=len(file.forms), clock="processor time")]


def city(shop: Workshop, samples: int) -> list[Figure]:
    """The weekly cycle of all counties as its users start it, then the rules and a reader's query over what stands."""
    with shop.home() as settings:
        weeks = [write_week(shop.folder / f"city{n}", n, year=2020) for n in range(1, samples + 4)]
        for demo in weeks[:2]:
            _cycle(settings, demo)
        took = [_cycle(settings, demo) for demo in weeks[2:-1]]
        about = {"files": len(weeks[2].files), "counties": len({f.county_code for f in weeks[2].files})}
        total = within("city_week_cycle", 15.0, [t["wall"] for t in took], "s", **about, steps={
            step: round(statistics.median(t["seconds"].get(step, 0) for t in took), 2) for step in took[0]["seconds"]
        })  # fmt: skip
        return [total, _rules(settings, weeks[-1], samples), _reader(settings, samples)]


def _due(settings: Settings, week: str) -> dt.datetime:
    """Shortly after a week's files were due."""
    return dt.datetime.combine(as_of_date(week) + dt.timedelta(days=2), dt.time(12, 30), settings.timezone)


def _cycle(settings: Settings, demo: DemoSet) -> dict:
    command = "from warehouse.cli import main; main()"
    arguments = ["cycle", "--inbox", demo.folder, "--arrivals", demo.folder / "arrivals.csv", "--now", _due(settings, demo.weeks[0]).isoformat(), "--json"]
    environment = os.environ | {"WAREHOUSE_HOME": str(settings.home), "WAREHOUSE_URL": settings.url}
    done: list[subprocess.CompletedProcess] = []
    wall = seconds(lambda: done.append(subprocess.run(
        [sys.executable, "-c", command, *map(str, arguments)], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )))  # fmt: skip
    said = json.loads(done[0].stdout)
    assert said["outcome"] == "published", done[0].stdout + done[0].stderr
    return said | {"wall": wall}


def _rules(settings: Settings, demo: DemoSet, samples: int) -> Figure:
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
    return within("rules_of_a_week", 2.0, spent, "s", counties=len({f.county_code for f in demo.files}))


def _reader(settings: Settings, samples: int, repeats: int = 20) -> Figure:
    with database.connect(settings, autocommit=True) as connection:
        connection.execute("create schema bench")
        connection.execute("create table bench.payment as select * from marts.fct_subsidy_payment")
        connection.execute("analyze bench.payment")
        connection.execute("analyze store.fct_subsidy_payment")
        (rows,) = connection.execute("select count(*) from bench.payment").fetchone()
        connection.execute("grant usage on schema bench to bi_reader")
        connection.execute("grant select on bench.payment to bi_reader")
        connection.execute("set role bi_reader")  # as its users read: past the filter that shows a county its own rows

        def ask(table: str) -> float:
            query = READER_QUERY.format(table)
            return seconds(lambda: [connection.execute(query).fetchall() for _ in range(repeats)]) / repeats

        pairs = [(ask("marts.fct_subsidy_payment"), ask("bench.payment")) for _ in range(samples + 1)][1:]
    return against("reader_query", 1.5, [a for a, _ in pairs], [b for _, b in pairs], rows=rows, peer_is="the same query on a plain table")


# ---------------------------------------------------------------- history


def correction(shop: Workshop, samples: int, short: int = 26, long: int = 104, counties: int = 3) -> list[Figure]:
    """One county's week sent again, to publication, with half a year and with two years of history behind it."""
    last = [(2020, n) for n in range(53, 0, -1)] + [(2019, n) for n in range(52, 0, -1)]
    with shop.home() as young, shop.home() as old:
        files: list[DemoSet] = []
        for settings, depth in ((young, short), (old, long)):
            demos = [_week(shop.folder / f"history{year}-{n}", year, n, counties) for year, n in reversed(last[:depth])]
            _publish(settings, demos, shop.folder / f"history-of-{depth}")
            files = demos[-4:-3]
        again = next(f for f in files[0].files if f.path.endswith(".xlsx"))
        original = files[0].folder / again.path
        took: dict[int, list[float]] = {short: [], long: []}
        for sample in range(samples + 1):
            for settings, depth in ((young, short), (old, long)):
                took[depth].append(_send_again(settings, original, f"{depth}-{sample}", shop.folder))
    return [
        against(
            "correction_in_history", 1.3, took[long][1:], took[short][1:], forms=len(again.forms), weeks=long, counties=counties,
            peer_is=f"the same with {short} weeks of history",
        )
    ]  # fmt: skip


def _week(folder: Path, year: int, week: int, counties: int) -> DemoSet:
    from demo.places import load_counties

    if folder.exists():
        return _known[folder]
    demo = write_week(folder, week, year=year, counties=[c.code for c in load_counties(year)[:counties]], payouts=FEW_PAYOUTS)
    _known[folder] = demo
    return demo


_known: dict[Path, DemoSet] = {}


def _publish(settings: Settings, demos: list[DemoSet], folder: Path) -> None:
    """All weeks in one cycle."""
    folder.mkdir()
    with (folder / "arrivals.csv").open("w", encoding="utf-8", newline="") as handle:
        out = csv.writer(handle)
        out.writerow(("path", "received_at"))
        for demo in demos:
            shutil.copytree(demo.folder, folder / demo.folder.name)
            out.writerows((f"{demo.folder.name}/{f.path}", f.received_at.isoformat()) for f in demo.files)
    result = run_cycle(settings, inbox=folder, arrivals=folder / "arrivals.csv", now=_due(settings, demos[-1].weeks[0]))
    assert result.outcome == "published", result


def _send_again(settings: Settings, original: Path, mark: str, folder: Path) -> float:
    """Seconds from the inbox to publication for the same workbook with other bytes."""
    drop = folder / f"again-{mark}"
    drop.mkdir()
    path = Path(shutil.copy(original, drop))
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = mark.encode()
    now = dt.datetime(2021, 1, 12, 9, tzinfo=settings.timezone)
    (drop / "arrivals.csv").write_text(f"path,received_at\n{path.name},{now.isoformat()}\n", encoding="utf-8")
    results = []
    took = seconds(lambda: results.append(run_cycle(settings, inbox=drop, arrivals=drop / "arrivals.csv", now=now)))
    assert results[0].outcome == "published", results[0]
    return took
